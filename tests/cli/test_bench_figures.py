"""What follows from what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.cli.bench_figures import Answer, Measured, figures, over_runs, percentile, spread

TWO_TOKENS_A_CHUNK = Answer(chunks=(0.1, 0.2, 0.3), end=0.5, tokens=6, prompt_tokens=10, cached_tokens=4)


def measured(*answers: Answer, seconds: float = 2.0, cut_chunks: int = 0, run: int = 1) -> Measured:
    return Measured(
        streams=4, run=run, seconds=seconds, answers=answers, failures={"429": 2}, cut=bool(cut_chunks),
        cut_chunks=cut_chunks,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.9, 4.6), (0.99, 4.96), (1.0, 5.0), (0.125, 1.5)]
)
def test_percentiles_lie_on_the_line_between_values(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], share) == pytest.approx(value)


def test_of_one_value_all_percentiles_are_that() -> None:
    told = spread([7.0])
    assert told is not None
    assert (told.count, told.mean, told.min, told.p50, told.p99, told.max) == (1, 7.0, 7.0, 7.0, 7.0, 7.0)
    assert spread([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_in_order(values: list[float]) -> None:
    told = spread(values)
    assert told is not None
    assert told.min <= told.p50 <= told.p90 <= told.p99 <= told.max


def test_latencies_are_those_of_the_answer() -> None:
    told = figures(measured(TWO_TOKENS_A_CHUNK))
    assert told.ttft_ms is not None and told.ttft_ms.p50 == pytest.approx(100)
    assert told.tpot_ms is not None and told.tpot_ms.p50 == pytest.approx(200 / 5)
    assert told.gap_ms is not None and told.gap_ms.count == 2 and told.gap_ms.max == pytest.approx(100)
    assert told.latency_ms is not None and told.latency_ms.p50 == pytest.approx(500)
    assert told.stream_tokens_per_second is not None
    assert told.stream_tokens_per_second.p50 == pytest.approx(12)


def test_what_arrives_together_is_one_piece() -> None:
    told = figures(measured(Answer(chunks=(0.1, 0.1, 0.1, 0.3, 0.3), end=0.5, tokens=5)))
    assert told.gap_ms is not None
    assert (told.gap_ms.count, told.tokens_per_chunk) == (1, 1.0)
    assert told.tpot_ms is not None
    assert told.tpot_ms.p50 == pytest.approx(50)


def test_rates_are_over_the_whole_time() -> None:
    told = figures(measured(TWO_TOKENS_A_CHUNK, TWO_TOKENS_A_CHUNK))
    assert (told.tokens_per_second, told.requests_per_second, told.tokens_per_chunk) == (6.0, 1.0, 2.0)
    assert (told.answers, told.failed, told.cached_share) == (2, {"429": 2}, 0.4)


def test_what_came_of_answers_that_were_cut_counts_for_the_rate_alone() -> None:
    told = figures(measured(TWO_TOKENS_A_CHUNK, cut_chunks=2))
    assert told.tokens_per_second == pytest.approx((6 + 2 * 2) / 2)
    assert (told.answers, told.cut) == (1, 1)


def test_where_nobody_counts_tokens_chunks_are_counted() -> None:
    told = figures(measured(Answer(chunks=(0.1, 0.2), end=0.2)))
    assert (told.tokens_per_second, told.prompt_tokens, told.cached_share) == (1.0, None, None)


def test_an_answer_that_comes_at_once_has_no_time_between_tokens() -> None:
    told = figures(measured(Answer(chunks=(0.1,), end=0.2, tokens=50)))
    assert (told.tpot_ms, told.gap_ms) == (None, None)
    assert told.ttft_ms is not None


def test_nothing_that_was_answered_is_no_division_by_zero() -> None:
    told = figures(measured(seconds=0.0))
    assert (told.tokens_per_second, told.ttft_ms, told.tokens_per_chunk) == (0.0, None, None)
    assert "ttft_ms_p50" not in over_runs([told])


def test_several_runs_are_told_by_median_minimum_and_maximum() -> None:
    runs = [figures(measured(TWO_TOKENS_A_CHUNK, seconds=seconds)) for seconds in (1.0, 6.0, 2.0)]
    told = over_runs(runs)["tokens_per_second"]
    assert (told.median, told.min, told.max) == (3.0, 1.0, 6.0)
