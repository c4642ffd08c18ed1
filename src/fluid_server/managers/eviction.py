"""Who must go: a pure decision about memory. Figures are bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fluid_server.catalog.footprint import FREE_SHARE, USEFUL_CONTEXT
from fluid_server.managers.estimate import LEAST_CONTEXT, Estimate, estimate
from fluid_server.types import ModelSpec

KV_SHARE = 0.5  # of what is left after the weights, the part that the KV cache may take


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory. ``idle_since`` None: it is in use or pinned, and may not go."""

    id: str
    bytes_used: int
    idle_since: float | None
    load_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the model fits, who must go first, and what its KV cache may take. ``needed`` is the least it needs."""

    fits: bool
    evict: tuple[str, ...]
    kv_budget: int
    needed: int
    free: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be used. ``limit``: by all models together, None for a share of what the machine has free now;
    ``available``: the machine's free memory; ``max_loaded``: how many models."""

    limit: int | None
    available: int
    max_loaded: int


def decide(
    spec: ModelSpec,
    residents: Sequence[Resident],
    bounds: Bounds,
    *,
    now: float,
    context_length: int | None = None,
    parallel: int = 1,
) -> Verdict:
    """Whether ``spec`` fits, and which idle models must go for it: the longest idle first, weighted by reload cost.

    A context that is too large is shortened before anyone has to go: to a useful length first, and to the least
    that makes sense where all who may go have gone.
    """
    useful, least = (
        estimate(spec, min(context_length or tokens, tokens), parallel=parallel)
        for tokens in (USEFUL_CONTEXT, LEAST_CONTEXT)
    )
    for wanted in (useful, least):
        leaving = _who_goes(wanted.total, residents, bounds, now)
        if leaving is not None:
            free = _free(residents, leaving, bounds)
            return Verdict(True, tuple(one.id for one in leaving), _kv_budget(useful, free), wanted.total, free)
    goers = [one for one in residents if one.idle_since is not None]
    return Verdict(False, (), 0, least.total, _free(residents, goers, bounds))


def _kv_budget(useful: Estimate, free: int) -> int:
    """A share of what is left beside the weights; all of it where the share is too little for a useful context."""
    spare = max(0, free - useful.base - useful.weights - useful.states)
    return min(spare, max(useful.kv_cache, round(spare * KV_SHARE)))


def _who_goes(needed: int, residents: Sequence[Resident], bounds: Bounds, now: float) -> tuple[Resident, ...] | None:
    """The fewest that make room; None where even all who may go do not."""
    goers = sorted((one for one in residents if one.idle_since is not None), key=lambda one: _reluctance(one, now))
    leaving: list[Resident] = []
    while not _has_room(needed, residents, leaving, bounds):
        if not goers:
            return None
        leaving.append(goers.pop(0))
    for one in reversed(leaving[:-1]):  # one that went early may not be needed beside a larger one that went later
        others = [other for other in leaving if other is not one]
        if _has_room(needed, residents, others, bounds):
            leaving = others
    return tuple(leaving)


def _reluctance(resident: Resident, now: float) -> float:
    idle = now - (resident.idle_since if resident.idle_since is not None else now)
    return resident.load_seconds / max(idle, 1e-3)


def _has_room(needed: int, residents: Sequence[Resident], leaving: Sequence[Resident], bounds: Bounds) -> bool:
    return len(residents) - len(leaving) < bounds.max_loaded and needed <= _free(residents, leaving, bounds)


def _free(residents: Sequence[Resident], leaving: Sequence[Resident], bounds: Bounds) -> int:
    gained = sum(one.bytes_used for one in leaving)
    freed = bounds.available + gained
    if bounds.limit is None:
        return round(freed * FREE_SHARE)
    return min(bounds.limit - sum(one.bytes_used for one in residents) + gained, freed)
