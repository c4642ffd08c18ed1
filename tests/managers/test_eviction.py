"""Who must go: tables. Sizes in GB."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluid_server.managers.eviction import WORKER_BASE, Resident, decide, weights_in_memory
from fluid_server.types import Format, Kind, ModelSpec

GB = 1024**3
NOW = 1000.0


def model(gigabytes: float) -> ModelSpec:
    """A model that will take this much memory in all, without its KV cache."""
    return ModelSpec(
        id="new", format=Format.BUILTIN, kind=Kind.TEXT, path=Path(), size_bytes=round(gigabytes * GB) - WORKER_BASE
    )


def resident(name: str, gigabytes: float, idle: float | None = None, load_seconds: float = 1.0) -> Resident:
    """``idle`` seconds without a lease; None: in use."""
    return Resident(name, round(gigabytes * GB), None if idle is None else NOW - idle, load_seconds)


@pytest.mark.parametrize(
    ("needed", "residents", "limit", "available", "fits", "evicted"),
    [
        (4, [], None, 8, True, ()),
        (8, [], None, 8, False, ()),  # a fifth of what is free stays free
        (4, [], 3, 100, False, ()),
        (4, [resident("a", 3)], 8, 100, True, ()),
        (4, [resident("a", 5)], 8, 100, False, ()),  # in use: it stays
        (4, [resident("a", 5, idle=10)], 8, 100, True, ("a",)),
        (4, [resident("a", 3, idle=10), resident("b", 3, idle=99)], 8, 100, True, ("b",)),  # the longer idle
        (6, [resident("a", 3, idle=10), resident("b", 3, idle=99)], 8, 100, True, ("b", "a")),
        (4, [resident("a", 3, idle=90, load_seconds=60), resident("b", 3, idle=50)], 8, 100, True, ("b",)),
        (9, [resident("a", 3, idle=10)], 8, 100, False, ()),  # nobody goes for nothing
        (4, [resident("a", 6, idle=10)], None, 1, True, ("a",)),  # the machine is full, a's memory comes back
    ],
)
def test_idle_models_go_first(
    needed: float,
    residents: list[Resident],
    limit: float | None,
    available: float,
    fits: bool,
    evicted: tuple[str, ...],
) -> None:
    verdict = decide(
        model(needed),
        residents,
        limit=None if limit is None else round(limit * GB),
        available=round(available * GB),
        max_loaded=9,
        now=NOW,
    )
    assert (verdict.fits, verdict.evict) == (fits, evicted)


@pytest.mark.parametrize(("idle", "fits", "evicted"), [(None, False, ()), (5.0, True, ("a",))])
def test_no_more_models_than_allowed(idle: float | None, fits: bool, evicted: tuple[str, ...]) -> None:
    verdict = decide(model(1), [resident("a", 1, idle)], limit=None, available=99 * GB, max_loaded=1, now=NOW)
    assert (verdict.fits, verdict.evict) == (fits, evicted)


def test_half_of_what_the_weights_leave_is_for_the_kv_cache() -> None:
    verdict = decide(model(2), [], limit=6 * GB, available=99 * GB, max_loaded=1, now=NOW)
    assert verdict.kv_budget == 2 * GB


def test_a_gguf_counts_twice_since_llama_cpp_repacks_it() -> None:
    spec = ModelSpec(id="m", format=Format.GGUF, kind=Kind.TEXT, path=Path(), size_bytes=GB)
    assert weights_in_memory(spec) == WORKER_BASE + 2 * GB
