"""Who must go: tables. Sizes in GB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fluid_server.catalog.footprint import USEFUL_CONTEXT, WORKER_BASE
from fluid_server.managers.estimate import LEAST_CONTEXT, estimate
from fluid_server.managers.eviction import Bounds, Resident, Verdict, decide
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


def judged(
    spec: ModelSpec,
    residents: list[Resident],
    *,
    limit: float | None = None,
    available: float = 100,
    max_loaded: int = 9,
) -> Verdict:
    bounds = Bounds(None if limit is None else round(limit * GB), round(available * GB), max_loaded)
    return decide(spec, residents, bounds, now=NOW)


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
    verdict = judged(model(needed), residents, limit=limit, available=available)
    assert (verdict.fits, verdict.evict) == (fits, evicted)


@pytest.mark.parametrize(("idle", "fits", "evicted"), [(None, False, ()), (5.0, True, ("a",))])
def test_no_more_models_than_allowed(idle: float | None, fits: bool, evicted: tuple[str, ...]) -> None:
    verdict = judged(model(1), [resident("a", 1, idle)], available=99, max_loaded=1)
    assert (verdict.fits, verdict.evict) == (fits, evicted)


def test_who_went_first_stays_where_a_larger_one_alone_makes_room() -> None:
    residents = [resident("small", 1, idle=99), resident("large", 6, idle=10)]
    assert judged(model(5), residents, limit=8).evict == ("large",)


def test_states_are_kept_for_all_that_run_at_once_before_the_kv_cache_gets_its_share() -> None:
    spec = replace(model(1), state_bytes=GB // 16)
    assert estimate(spec, parallel=16).total == 2 * GB
    bounds = Bounds(4 * GB, 100 * GB, 9)
    assert decide(spec, [], bounds, now=NOW, parallel=16).kv_budget == GB
    assert not decide(spec, [], replace(bounds, limit=2 * GB - 1), now=NOW, parallel=16).fits


def test_half_of_what_the_weights_leave_is_for_the_kv_cache() -> None:
    assert judged(model(2), [], limit=6).kv_budget == 2 * GB


# A model of 1 GB whose context of 32,768 tokens would take 8 GB: 1 MB for four tokens.
LONG: dict[str, Any] = {"context_length": 32768, "kv_bytes_per_token": GB // 4096}


@pytest.mark.parametrize(
    ("limit", "residents", "fits", "evicted", "tokens"),
    [
        (20, [], True, (), 9.5 * 4096),  # all of it: half of what is left
        (3, [], True, (), 4096),  # shortened, but not below what is useful
        (2.5, [resident("a", 1, idle=9)], True, ("a",), 4096),  # for a useful context somebody goes
        (4, [resident("a", 1, idle=9)], True, (), 4096),  # for a longer one nobody does
        (1.5, [], True, (), 2048),  # all that is left, since it is less than useful
        (1.5, [resident("a", 0.2)], True, (), 0.3 * 4096),
        (1.1, [], False, (), 0),  # not even the least: refused
    ],
)
def test_a_context_that_is_too_large_is_shortened_before_anyone_goes_or_is_refused(
    limit: float, residents: list[Resident], fits: bool, evicted: tuple[str, ...], tokens: float
) -> None:
    verdict = judged(replace(model(1), **LONG), residents, limit=limit)
    assert (verdict.fits, verdict.evict) == (fits, evicted)
    assert verdict.kv_budget == pytest.approx(tokens / 4096 * GB, abs=10)


def test_the_estimate_has_the_worker_the_weights_and_the_context() -> None:
    spec = replace(model(1), format=Format.GGUF, size_bytes=GB, **LONG)
    whole = estimate(spec)
    assert (whole.base, whole.weights, whole.kv_cache) == (WORKER_BASE, 2 * GB, 8 * GB)  # llama.cpp repacks
    assert whole.total == WORKER_BASE + 10 * GB
    assert estimate(spec, USEFUL_CONTEXT).kv_cache == GB
    assert estimate(spec, 10**9).context_length == 32768
    assert 0 < LEAST_CONTEXT < USEFUL_CONTEXT
