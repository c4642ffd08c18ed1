"""What Whisper wrote in one window becomes segments: its timestamp tokens are their bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fluid_server.content.whisper_rules import Drawn
from fluid_server.content.whisper_tokens import SECONDS_PER_TIMESTAMP, Marks
from fluid_server.types import Segment

Decode = Callable[[list[int]], str]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The tokens of one segment, its times included, and where it begins and ends in steps of 20 ms."""

    tokens: tuple[Drawn, ...]
    start: int
    end: int | None


def segments(
    written: Sequence[Drawn],
    marks: Marks,
    decode: Decode,
    *,
    seconds: float,
    temperature: float = 0.0,
    no_speech: float | None = None,
) -> tuple[Segment, ...]:
    """The segments of a window that is ``seconds`` long, in order; the end of the transcript is no part of ``written``.

    One that was begun and not ended (the model ran out of places) ends with the window. Segments without text are
    left out. ``no_speech`` holds for the whole window.
    """
    made = []
    for stretch in _stretches(written, marks):
        text = decode([drawn.token for drawn in stretch.tokens if drawn.token < marks.end])
        if not text.strip():
            continue
        start = min(stretch.start * SECONDS_PER_TIMESTAMP, seconds)
        end = seconds if stretch.end is None else min(stretch.end * SECONDS_PER_TIMESTAMP, seconds)
        made.append(
            Segment(
                start=round(start, 2),
                end=round(max(start, end), 2),
                text=text,
                tokens=tuple(drawn.token for drawn in stretch.tokens),
                temperature=temperature,
                avg_logprob=sum(drawn.logprob for drawn in stretch.tokens) / len(stretch.tokens),
                no_speech_prob=no_speech,
            )
        )
    return tuple(made)


def _stretches(written: Sequence[Drawn], marks: Marks) -> Iterator[_Stretch]:
    """A time opens a stretch, the next closes it; text after a closed one belongs to a stretch from there on."""
    tokens: list[Drawn] = []
    start = 0
    has_text = False
    for drawn in written:
        tokens.append(drawn)
        if drawn.token < marks.first_timestamp:
            has_text = True
            continue
        place = drawn.token - marks.first_timestamp
        if has_text:
            yield _Stretch(tuple(tokens), start, place)
            tokens, has_text = [], False
        else:
            tokens = [drawn]
        start = place
    if has_text:
        yield _Stretch(tuple(tokens), start, None)
