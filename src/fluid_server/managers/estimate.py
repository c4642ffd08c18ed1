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
    """What a model takes: the worker itself, its weights, a KV cache for ``context_length`` tokens, and the states of
    recurrent layers for all sequences that run at once."""

    base: int
    weights: int
    kv_cache: int
    states: int
    context_length: int | None

    @property
    def total(self) -> int:
        """All of it."""
        return self.base + self.weights + self.states + self.kv_cache


def estimate(spec: ModelSpec, context_length: int | None = None, *, parallel: int = 1) -> Estimate:
    """The estimate for a context: that of the model, or a shorter one if ``context_length`` says so.

    ``parallel``: how many sequences run at once.
    """
    limits = [limit for limit in (context_length, spec.context_length) if limit is not None]
    context = min(limits, default=None)
    return Estimate(
        base=WORKER_BASE,
        weights=_weights(spec),
        kv_cache=(spec.kv_bytes_per_token or 0) * (context or 0),
        states=spec.state_bytes * parallel,
        context_length=context,
    )


def _weights(spec: ModelSpec) -> int:
    """Of a QNN model one chipset's graphs alone are loaded."""
    if spec.format is not Format.QNN:
        return round(spec.size_bytes * WEIGHT_FACTOR[spec.format])
    folders = chipsets(spec)
    factor = PORTABLE_FACTOR if folders <= {PORTABLE} else WEIGHT_FACTOR[Format.QNN]
    return round(spec.size_bytes / max(1, len(folders)) * factor)
