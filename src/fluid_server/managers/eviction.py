"""Who must go: a pure decision about memory. Figures are bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fluid_server.types import Format, ModelSpec

# Weights in memory for each byte on disk. OpenVINO maps its files and adds compiled buffers (measured 1.1 to
# 1.4 after the first token); llama.cpp repacks Q4_0 and Q8_0 on CPU, so that weights count nearly twice.
WEIGHT_FACTOR = {Format.OPENVINO: 1.4, Format.GGUF: 2.0, Format.QNN: 1.2, Format.BUILTIN: 1.0, Format.UNKNOWN: 1.0}
WORKER_BASE = 150 * 1024**2  # a worker with its engine imported and no model: measured 80 to 145 MB
KV_SHARE = 0.5  # of what is left after the weights, the part that the KV cache may take
FREE_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory. ``idle_since`` None: it has leases and may not go."""

    id: str
    bytes_used: int
    idle_since: float | None
    load_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the model fits, who must go first, and what its KV cache may take."""

    fits: bool
    evict: tuple[str, ...]
    kv_budget: int
    needed: int
    free: int


def weights_in_memory(spec: ModelSpec) -> int:
    """What a model will take without its KV cache: an estimate from its files."""
    return WORKER_BASE + round(spec.size_bytes * WEIGHT_FACTOR[spec.format])


def decide(
    spec: ModelSpec,
    residents: Sequence[Resident],
    *,
    limit: int | None,
    available: int,
    max_loaded: int,
    now: float,
) -> Verdict:
    """Whether ``spec`` fits, and which idle models must go for it: the longest idle first, weighted by reload cost.

    ``limit`` is what all models may take together (None: a share of what the machine has free now);
    ``available`` is the machine's free memory.
    """
    needed = weights_in_memory(spec)
    leaving: list[Resident] = []
    staying = list(residents)
    goers = sorted((one for one in residents if one.idle_since is not None), key=lambda one: _reluctance(one, now))
    while not _has_room(needed, staying, leaving, limit, available, max_loaded) and goers:
        leaving.append(goers.pop(0))
        staying.remove(leaving[-1])
    free = _free(staying, leaving, limit, available)
    fits = _has_room(needed, staying, leaving, limit, available, max_loaded)
    kv_budget = max(0, round((free - needed) * KV_SHARE))
    return Verdict(fits, tuple(one.id for one in leaving) if fits else (), kv_budget, needed, free)


def _reluctance(resident: Resident, now: float) -> float:
    idle = now - (resident.idle_since if resident.idle_since is not None else now)
    return resident.load_seconds / max(idle, 1e-3)


def _free(staying: Sequence[Resident], leaving: Sequence[Resident], limit: int | None, available: int) -> int:
    freed = available + sum(one.bytes_used for one in leaving)
    if limit is None:
        return round(freed * FREE_SHARE)
    return min(limit - sum(one.bytes_used for one in staying), freed)


def _has_room(
    needed: int,
    staying: Sequence[Resident],
    leaving: Sequence[Resident],
    limit: int | None,
    available: int,
    max_loaded: int,
) -> bool:
    return len(staying) < max_loaded and needed <= _free(staying, leaving, limit, available)
