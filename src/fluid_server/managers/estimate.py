"""What a model will take of memory, before it is loaded: a pure estimate from its files. Figures are bytes."""

from __future__ import annotations

from dataclasses import dataclass

from fluid_server.catalog.footprint import WEIGHT_FACTOR, WORKER_BASE
from fluid_server.catalog.qnn import PORTABLE, chipsets
from fluid_server.types import Format, ModelSpec

# Graphs for no chip are stored as float16 and computed in float32, which onnxruntime keeps twice: measured 3.8.
PORTABLE_FACTOR = 4.0
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
    limits = [limit for limit in (context_length, spec.context_length) if limit is not None]
    context = min(limits, default=None)
    return Estimate(
        base=WORKER_BASE,
        weights=_weights(spec),
        kv_cache=(spec.kv_bytes_per_token or 0) * (context or 0),
        context_length=context,
    )


def _weights(spec: ModelSpec) -> int:
    """Of a QNN model one chipset's graphs alone are loaded."""
    if spec.format is not Format.QNN:
        return round(spec.size_bytes * WEIGHT_FACTOR[spec.format])
    folders = chipsets(spec)
    factor = PORTABLE_FACTOR if folders <= {PORTABLE} else WEIGHT_FACTOR[Format.QNN]
    return round(spec.size_bytes / max(1, len(folders)) * factor)
