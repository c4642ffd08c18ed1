"""What a model will take of memory, before it is loaded: a pure estimate from its files. Figures are bytes."""

from __future__ import annotations

from dataclasses import dataclass

from fluid_server.catalog.footprint import WEIGHT_FACTOR, WORKER_BASE
from fluid_server.catalog.qnn import chipsets
from fluid_server.types import Format, ModelSpec

LEAST_CONTEXT = 512  # tokens: a context is shortened to this before the model is refused


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a model takes: the worker itself, its weights, and a KV cache for ``context_length`` tokens."""

    base: int
    weights: int
    kv_cache: int
    context_length: int | None

    @property
    def total(self) -> int:
        """All of it."""
        return self.base + self.weights + self.kv_cache


def estimate(spec: ModelSpec, context_length: int | None = None) -> Estimate:
    """The estimate for a context: that of the model, or a shorter one if ``context_length`` says so."""
    copies = max(1, len(chipsets(spec))) if spec.format is Format.QNN else 1  # one chipset's graphs alone are loaded
    limits = [limit for limit in (context_length, spec.context_length) if limit is not None]
    context = min(limits, default=None)
    return Estimate(
        base=WORKER_BASE,
        weights=round(spec.size_bytes / copies * WEIGHT_FACTOR[spec.format]),
        kv_cache=(spec.kv_bytes_per_token or 0) * (context or 0),
        context_length=context,
    )
