"""Text that is sent out while a speech model still writes, although it may turn out wrong in the end.

What was sent stands: it cannot be taken back. So an end that repeats what was just said is held back, for that is
how a model that has lost its thread looks, and what is recognised afterwards is fitted to what was sent already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from fluid_server.content.transcript import UNSPACED, is_looping
from fluid_server.types import Segment

MEMORY = 200  # characters; the longest phrase whose repetition is noticed while it comes
LOOPING = 48  # characters of repetition, from which on a text that can be compressed well is taken for a loop

ALIKE = 0.6  # of 1; from there on two words are taken for the same one, misheard

_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


class Steady:
    """Lets text through as it comes, but for an end that was said before within the last MEMORY characters.

    In plain prose that holds back a few letters. ``loops`` says that the model is repeating itself for good.
    """

    def __init__(self) -> None:
        self._text = ""
        self._sent = 0

    def feed(self, text: str) -> str:
        """What can be sent now that ``text`` has come; nothing before the first letter or digit."""
        self._text += text
        end = len(self._text) - self._repeated()
        if end <= self._sent or not any(map(str.isalnum, self._text[:end])):
            return ""
        start, self._sent = self._sent, end
        return self._text[start:end]

    @property
    def loops(self) -> bool:
        """Whether the end repeats what was said, and the whole text says little for its length."""
        return self._repeated() >= LOOPING and is_looping(self._text)

    def _repeated(self) -> int:
        """The length of the longest end of the text that stands in it already; it may overlap with itself."""
        count, size = 0, len(self._text)
        while (
            count < size - 1 and self._text.find(self._text[-count - 1 :], max(0, size - count - 1 - MEMORY), -1) >= 0
        ):
            count += 1
        return count


def reconciled(streamed: str, segments: Sequence[Segment], start: float, end: float) -> tuple[Segment, ...]:
    """Segments whose texts together begin with what was sent already, and lose none of the words.

    Where a second try has found other words, what was sent stands in the place of those that say the same, and
    everything else follows. ``start`` and ``end`` are the window's, for text that belongs to no segment.
    """
    text = "".join(segment.text for segment in segments)
    if text.startswith(streamed):
        return tuple(segments)
    cut = _already_said(streamed, text)
    stood: list[Segment] = []
    rest = list(segments)
    while rest and cut >= len(rest[0].text):
        cut -= len(rest[0].text)
        stood.append(rest.pop(0))
    if cut:  # in the middle of a segment: its end stays with its beginning
        streamed += rest[0].text[cut:]
        stood.append(rest.pop(0))
    if not stood:
        edge = min(rest[0].start, end) if rest else end
        return (Segment(start=min(start, edge), end=edge, text=streamed), *rest)
    words = tuple(word for segment in stood for word in segment.words)
    return (replace(stood[0], end=stood[-1].end, text=streamed, words=words), *rest)


def _already_said(streamed: str, text: str) -> int:
    """Up to where ``text`` says the same as ``streamed``, in characters: 0 where they have little in common."""
    sent = [word.casefold() for word in _WORD.findall(streamed)]
    places = list(_WORD.finditer(text))
    found = [place.group().casefold() for place in places]
    matches = SequenceMatcher(None, sent, found, autojunk=False).get_matching_blocks()[:-1]
    if not matches or 2 * sum(match.size for match in matches) < len(sent):
        return 0
    last = matches[-1]
    said = last.b + last.size
    for ours, theirs in zip(sent[last.a + last.size :], found[said:], strict=False):
        if not _alike(ours, theirs):
            break
        said += 1
    end = places[said - 1].end()
    while not streamed[-1].isalnum() and end < len(text) and not (text[end].isalnum() or text[end].isspace()):
        end += 1  # one full stop is enough
    return end


def _alike(sent: str, found: str) -> bool:
    """Whether one may stand for the other: the same word misheard, or its beginning."""
    return found.startswith(sent) or SequenceMatcher(None, sent, found, autojunk=False).ratio() >= ALIKE
