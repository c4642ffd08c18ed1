"""What was heard in the windows of a recording becomes one transcript, in the recording's own time.

Times that a model gives are trusted as far as they agree with where speech was detected: a segment that begins in
silence begins where speech does. Where two windows overlap, the words of both are compared, and the transcript changes
from one to the other at a word that both heard, so that none is lost, doubled or cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fluid_server.content.repetition import compression_ratio
from fluid_server.content.utterances import Window
from fluid_server.types import Segment, Word

LOOPING = 2.4  # OpenAI's limit of the compression ratio: above it a model repeats itself
BLUR = 0.2  # seconds by which a model's times may reach into speech that is not the segment's
LATE = 0.5  # seconds by which a window's first segment may begin after its speech does

# Scripts that put no spaces between words: each character is a word of its own where windows are joined.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"\s*(?:[{UNSPACED}]|[^\s{UNSPACED}]+)")
_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}\u3001\u3002\uff01\uff0c\uff1f]")

_TIMED = 0.5  # seconds by which one word may be heard at different times in two windows
_GUESSED = 1.0  # the same, where a word's time is guessed from its place in the text


def is_looping(text: str) -> bool:
    """Has the model repeated itself, so that it should try again at a higher temperature?"""
    return compression_ratio(text) > LOOPING


class Transcript:
    """Puts the segments of one recording's windows together; give it the windows in their order."""

    def __init__(self) -> None:
        self._held: list[Segment] = []  # what the next window may correct
        self._end = 0.0  # of the last segment that was given out
        self._last = ""  # its text

    def add(self, window: Window, heard: Sequence[Segment]) -> tuple[Segment, ...]:
        """The segments that are certain now, in recording time. ``heard`` has its times from the window's start on.

        An end that is not after its start counts as unknown. Segments that say nothing are left out.
        """
        placed = _placed(window, [segment for segment in heard if _says_something(segment.text)])
        if self._held and placed and window.overlap:
            self._held, placed = _joined(self._held, placed, window.start, window.start + window.overlap)
        if placed:
            before = (*self._held, *placed[:1])[-2:-1]
            text = spaced(before[0].text if before else self._last, placed[0].text)
            placed[0] = replace(placed[0], text=text)
        known = [*self._held, *placed]
        sure = _sure(known, window.end - window.shared) if window.shared else len(known)
        self._held = known[sure:]
        return self._given(known[:sure])

    def finish(self) -> tuple[Segment, ...]:
        """The segments that no further window can correct."""
        held, self._held = self._held, []
        return self._given(held)

    def _given(self, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        given: list[Segment] = []
        for segment in segments:
            bounded = _bounded(segment, self._end)
            self._end, self._last = bounded.end, bounded.text
            given.append(bounded)
        return tuple(given)


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _sure(segments: Sequence[Segment], until: float) -> int:
    """How many of the segments end before a time."""
    return next((index for index, segment in enumerate(segments) if segment.end > until), len(segments))


def spaced(before: str, text: str) -> str:
    """With a space in front where a model begins a window without one, and words are set apart by spaces."""
    if not before or not text or before[-1].isspace() or text[0].isspace():
        return text
    if _UNSPACED_CHARACTER.match(before[-1]) or _UNSPACED_CHARACTER.match(text[0]):
        return text
    return f" {text}"


def _bounded(segment: Segment, start: float) -> Segment:
    """With no time before ``start``, and no word outside of its segment."""
    start = max(segment.start, start)
    end = max(segment.end, start)
    words: list[Word] = []
    for word in segment.words:
        begin = min(max(word.start, words[-1].end if words else start), end)
        words.append(replace(word, start=begin, end=min(max(word.end, begin), end)))
    return replace(segment, start=start, end=end, words=tuple(words))


# Times


def _placed(window: Window, heard: Sequence[Segment]) -> list[Segment]:
    """In recording time, within the window, and where speech is."""
    placed: list[Segment] = []
    length = window.end - window.start
    for index, segment in enumerate(heard):
        is_last = index == len(heard) - 1
        start = min(max(segment.start, 0.0), length)
        follower = length if is_last else heard[index + 1].start
        end = min(segment.end if segment.end > segment.start else max(follower, start), length)
        at_start = index == 0 and not window.overlap
        at_end = is_last and not window.shared
        bounds = _snapped(window, window.start + start, window.start + end, at_start, at_end)
        words = tuple(
            replace(word, start=word.start + window.start, end=word.end + window.start) for word in segment.words
        )
        placed.append(replace(segment, start=bounds[0], end=bounds[1], words=words))
    return placed


def _snapped(window: Window, start: float, end: float, at_start: bool, at_end: bool) -> tuple[float, float]:
    """A segment's bounds, moved out of silence. ``at_start``, ``at_end``: it is the window's first, last one."""
    if not window.speech:
        return start, end
    opening, closing = window.speech[0][0], window.speech[-1][1]
    if at_start and opening < start <= opening + LATE:
        start = opening
    if at_end and closing - LATE <= end < closing:
        end = closing
    into = next((speech for speech in window.speech if speech[1] - _blur(speech) > start), None)
    if into and start < into[0] < end:
        start = into[0]
    out_of = next((speech for speech in reversed(window.speech) if speech[0] + _blur(speech) < end), None)
    if out_of and start < out_of[1] < end:
        end = out_of[1]
    return start, end


def _blur(speech: tuple[float, float]) -> float:
    return min(BLUR, (speech[1] - speech[0]) / 2)


# Overlap


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word of a segment: its text with the space before it, and when it is said: guessed without ``word``."""

    segment: int
    text: str
    start: float
    end: float
    word: Word | None = None

    @property
    def key(self) -> str:
        return "".join(character for character in self.text.casefold() if character.isalnum())

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


def _joined(
    held: Sequence[Segment], placed: Sequence[Segment], start: float, end: float
) -> tuple[list[Segment], list[Segment]]:
    """Both without what the other says of the time from ``start`` to ``end``, which both cover."""
    old, new = _pieces(held), _pieces(placed)
    middle = (start + end) / 2
    first = next((index for index, piece in enumerate(old) if piece.end > start - _GUESSED), len(old))
    last = next((index for index, piece in enumerate(new) if piece.start > end + _GUESSED), len(new))
    matches = _aligned(old[first:], new[:last])
    if matches:
        at, to = min(matches, key=lambda pair: abs(old[first + pair[0]].middle + new[pair[1]].middle - 2 * middle))
        kept, dropped = first + at + 1, to + 1
    else:
        kept = sum(piece.middle < middle for piece in old)
        dropped = sum(piece.middle < middle for piece in new)
    return _trimmed(held, old[:kept]), _trimmed(placed, new[dropped:])


def _pieces(segments: Sequence[Segment]) -> list[_Piece]:
    return [
        piece for index, segment in enumerate(segments) for piece in _timed(index, segment) or _guessed(index, segment)
    ]


def _timed(index: int, segment: Segment) -> list[_Piece]:
    """The words that the model timed, or nothing where they are not those of the text."""
    found: list[_Piece] = []
    text, at = segment.text.rstrip(), 0
    for word in segment.words:
        if (begin := text.find(word.text.strip(), at)) < 0:
            return []
        end = len(text) if word is segment.words[-1] else begin + len(word.text.strip())
        found.append(_Piece(index, text[at:end], word.start, word.end, word))
        at = end
    return found


def _guessed(index: int, segment: Segment) -> list[_Piece]:
    """A text's words, as if every character took the same time."""
    texts = _PIECE.findall(segment.text)
    pace = (segment.end - segment.start) / sum(map(len, texts))
    found: list[_Piece] = []
    at = segment.start
    for text in texts:
        found.append(_Piece(index, text, at, at + len(text) * pace))
        at = found[-1].end
    return found


def _aligned(old: Sequence[_Piece], new: Sequence[_Piece]) -> list[tuple[int, int]]:
    """The pairs of words that are the same, in order: as many and as close in time as can be."""
    best: list[list[tuple[float, tuple[tuple[int, int], ...]]]] = [[(0.0, ())] * (len(new) + 1)]
    for i, ours in enumerate(old):
        above = best[-1]
        row = above[:1]
        for j, theirs in enumerate(new):
            choice = max(above[j + 1], row[j], key=lambda scored: scored[0])
            if likeness := _likeness(ours, theirs):
                score, pairs = above[j]
                choice = max(choice, (score + likeness, (*pairs, (i, j))), key=lambda scored: scored[0])
            row.append(choice)
        best.append(row)
    return list(best[-1][-1][1])


def _likeness(ours: _Piece, theirs: _Piece) -> float:
    """From 1 for the same word at the same time to 0 for another word, or at another time."""
    allowed = _TIMED if ours.word and theirs.word else _GUESSED
    apart = abs(ours.middle - theirs.middle)
    return 1 - apart / allowed if ours.key and ours.key == theirs.key and apart < allowed else 0.0


def _trimmed(segments: Sequence[Segment], pieces: Sequence[_Piece]) -> list[Segment]:
    """The segments with these of their words alone. What was cut has no token ids any more, which nobody knows."""
    found: list[Segment] = []
    for index, segment in enumerate(segments):
        kept = [piece for piece in pieces if piece.segment == index]
        text = "".join(piece.text for piece in kept)
        if text.strip() == segment.text.strip():
            found.append(segment)
        elif kept:
            start, end = kept[0].start, kept[-1].end
            words = tuple(piece.word for piece in kept if piece.word)
            found.append(replace(segment, start=start, end=end, text=text, words=words, tokens=()))
    return found
