"""What the benchmarks make of repeats: spreads, ratios of pairs, and whether a target holds."""

from __future__ import annotations

import json

import pytest

from benchmarks.figures import Spread, Subject, Target, as_json, difference, from_json, percentile, ratio, value

AT_LEAST, AT_MOST = Target(0.8), Target(5.0, most=True)


def test_a_spread_is_the_median_with_minimum_and_maximum() -> None:
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_a_ratio_is_of_each_repeat_with_the_peer_of_the_same_moment() -> None:
    # The machine was half as fast in the second repeat: that is no difference between the two.
    row = ratio(Subject("x", "tokens/s", AT_LEAST), [90.0, 45.0, 88.0], [100.0, 50.0, 100.0])
    assert row.judged == Spread(0.9, 0.88, 0.9)
    assert row.ours.median == 88.0
    assert row.peer == Spread(100.0, 50.0, 100.0)
    assert row.holds


def test_repeats_without_a_peer_of_their_own_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio(Subject("x", "ms"), [1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("target", "value", "missed"),
    [(AT_LEAST, 0.8, 0.0), (AT_LEAST, 0.9, 0.0), (AT_LEAST, 0.7, 0.1), (AT_MOST, 5.0, 0.0), (AT_MOST, 7.5, 2.5)],
)
def test_a_target_is_kept_up_to_its_limit(target: Target, value: float, missed: float) -> None:
    assert target.missed_by(value) == pytest.approx(missed)


def test_a_difference_is_what_ours_takes_over_the_peer() -> None:
    row = difference(Subject("x", "ms", AT_MOST), [12.0, 11.0, 19.0], [10.0, 10.0, 10.0])
    assert row.judged == Spread(2.0, 1.0, 9.0)
    assert row.holds


def test_without_a_target_nothing_holds_and_nothing_misses() -> None:
    row = value(Subject("x", "MB"), [1.0])
    assert row.holds is None
    assert row.share_of_limit is None


@pytest.mark.parametrize(
    ("target", "figure", "share"), [(AT_MOST, 10.0, 2.0), (AT_LEAST, 0.4, 2.0), (AT_LEAST, 1.6, 0.5)]
)
def test_a_share_above_one_misses_whichever_way_the_limit_lies(target: Target, figure: float, share: float) -> None:
    row = value(Subject("x", "", target), [figure])
    assert row.share_of_limit == pytest.approx(share)
    assert row.holds is (share <= 1)


def test_a_row_comes_back_from_json_as_it_was() -> None:
    rows = [
        ratio(Subject("a", "tokens/s", AT_LEAST, {"engine": "OpenVINO"}), [1.0, 2.0], [3.0, 4.0]),
        value(Subject("b", "s"), [1.0]),
    ]
    assert [from_json(json.loads(json.dumps(as_json(row)))) for row in rows] == rows


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([float(one) for one in range(100)], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
