"""Timestamp tokens become the bounds of segments."""

from __future__ import annotations

import pytest

from fluid_server.content.whisper_rules import Drawn
from fluid_server.content.whisper_segments import segments
from fluid_server.content.whisper_tokens import Marks
from fluid_server.types import Segment

MARKS = Marks(start=91, end=90, transcribe=92, translate=93, no_timestamps=99, first_timestamp=100)


def at(seconds: float) -> int:
    return MARKS.first_timestamp + round(seconds / 0.02)


def found(*tokens: int, seconds: float = 30.0) -> tuple[Segment, ...]:
    written = [Drawn(token, -0.5) for token in tokens]
    words = dict(enumerate([" Hello", " world", ".", " "]))
    return segments(written, MARKS, lambda ids: "".join(words[one] for one in ids), seconds=seconds, no_speech=0.1)


def bounds(*tokens: int, seconds: float = 30.0) -> list[tuple[float, float, str]]:
    return [(one.start, one.end, one.text) for one in found(*tokens, seconds=seconds)]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], []),
        ([at(0.5)], []),
        ([at(0.5), 0, 1, at(2)], [(0.5, 2.0, " Hello world")]),
        ([at(0.5), 0, at(2), at(2.5), 1, at(3)], [(0.5, 2.0, " Hello"), (2.5, 3.0, " world")]),
        ([at(0.5), 0, at(2), at(2), 1], [(0.5, 2.0, " Hello"), (2.0, 30.0, " world")]),
        ([at(0.5), 0, at(2), 1, at(4)], [(0.5, 2.0, " Hello"), (2.0, 4.0, " world")]),
        ([at(0.5), at(1), 0, at(2)], [(1.0, 2.0, " Hello")]),
        ([at(0.5), 3, at(2), at(2), 1, at(3)], [(2.0, 3.0, " world")]),
        ([0, 1], [(0.0, 30.0, " Hello world")]),
    ],
    ids=["nothing", "only opened", "one", "two", "unended", "unpaired", "opened twice", "blank", "without times"],
)
def test_bounds_and_text(tokens: list[int], expected: list[tuple[float, float, str]]) -> None:
    assert bounds(*tokens) == expected


def test_nothing_ends_after_its_window() -> None:
    assert bounds(at(0.5), 0, at(9), seconds=4.2) == [(0.5, 4.2, " Hello")]


def test_a_segment_carries_its_own_statistics() -> None:
    (segment,) = found(at(0.5), 0, at(2))
    assert segment.tokens == (at(0.5), 0, at(2))
    assert segment.avg_logprob == pytest.approx(-0.5)
    assert segment.no_speech_prob == 0.1
