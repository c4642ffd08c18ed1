"""Which texts are embedded together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.runtimes.embedding_batch import Limits, together

LIMITS = Limits(tokens=100, rows=8)
Lengths = st.lists(st.integers(1, 300), min_size=1, max_size=20).map(lambda one: sorted(one, reverse=True))


@pytest.mark.parametrize(
    ("lengths", "counts"),
    [
        ([[10]], [1]),
        ([[10, 9, 5, 4]], [3]),  # 4 is less than half of 10
        ([[50, 40, 30]], [2]),  # two of 50 are 100
        ([[51, 40]], [1]),
        ([[300, 200]], [1]),  # one may always go
        ([[5] * 20], [8]),
        ([[10, 9], [8, 7], [6]], [2, 2, 1]),
        ([[10], [20, 10], [3]], [1, 0, 0]),  # longer than the first, and too short
        ([[20] * 9, [20]], [5, 0]),
    ],
)
def test_a_batch_is_what_fits_beside_the_first_text(lengths: list[list[int]], counts: list[int]) -> None:
    assert together(lengths, LIMITS) == counts


@given(st.lists(Lengths, min_size=1, max_size=5))
def test_a_batch_has_the_first_text_and_stays_within_its_limits(lengths: list[list[int]]) -> None:
    counts = together(lengths, LIMITS)
    chosen = [one for own, count in zip(lengths, counts, strict=True) for one in own[:count]]
    longest = lengths[0][0]
    assert counts[0] >= 1
    assert len(chosen) <= LIMITS.rows
    assert len(chosen) == 1 or longest * len(chosen) <= LIMITS.tokens
    assert all(longest / 2 <= one <= longest for one in chosen)
