"""The soak and the swap of benchmarks/, short: what they look for, without their figures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import soak, swap

pytestmark = pytest.mark.skipif(
    not (find_spec("openvino_genai") and find_spec("xllamacpp")), reason="an engine has no wheel here"
)


def test_random_clients_find_no_wrong_outcome_and_leave_nothing_behind(tmp_path: Path) -> None:
    result = soak.soak(soak.Settings(seconds=8, seed=5, clients=5), tmp_path)
    assert [f"{failure.action}: {failure.what} {failure.request}" for failure in result.world.failures] == []
    assert result.problems == []
    assert result.world.counts.total()


def test_two_models_with_room_for_one_take_turns(tmp_path: Path) -> None:
    result = swap.swap(swap.Settings(rounds=2, clients=3, seconds=2), tmp_path)
    assert result.problems == []
    assert sum(value for name, value in result.counters.items() if "evictions" in name) >= 3
