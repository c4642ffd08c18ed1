"""The null generation: what of /health belongs to which time."""

from __future__ import annotations

from benchmarks.health_watch import EVERY
from benchmarks.null_stream import PAUSE, _open_within


def test_a_question_that_waits_when_a_burst_begins_is_of_the_burst() -> None:
    asked_long_before, asked_within, asked_after = (1.0, 80.0), (1.07, 3.0), (1.2, 1.0)
    assert _open_within([asked_long_before, asked_within, asked_after], 1.06, 1.1) == [80.0, 3.0]


def test_a_burst_is_never_between_two_questions() -> None:
    assert PAUSE > EVERY
