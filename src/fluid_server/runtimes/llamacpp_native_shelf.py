"""What has left the KV cache: ended conversations in ordinary memory, cut into parts. Pure.

The parts are a tree, each goes on where the one before it ends: what many conversations begin with lies here once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fluid_server.runtimes.llamacpp_slots import common

PART = 256  # tokens: each call into llama.cpp looks through all cells, and a step waits for the copy of one part
Saved = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Part:
    """PART tokens, or fewer at the end of a conversation, and the keys and values that the model made of them."""

    tokens: tuple[int, ...]
    saved: Saved
    before: Part | None = None
    after: dict[tuple[int, ...], Part] = field(default_factory=dict)


class Gap(NamedTuple):
    """What of a conversation is not here yet: its tokens from ``start`` to ``end``, which go on after ``before``."""

    before: Part
    start: int
    end: int


class Found(NamedTuple):
    """A part that holds the tokens of a prompt from ``start`` to ``end``, and perhaps others after them."""

    part: Part
    start: int
    end: int


class Shelf:
    """Parts of conversations, ``room`` bytes of them at most; what was of use longest ago goes first."""

    def __init__(self, room: int, token_bytes: int) -> None:
        self.room = room
        self.used = 0
        self._token_bytes = token_bytes
        self._root = Part((), np.empty(0, np.uint8))
        # The one used longest ago first. A part is always put behind those that come after it: the first has none.
        self._order: dict[Part, None] = {}

    def __len__(self) -> int:
        return len(self._order)

    def fits(self, count: int) -> bool:
        """Whether a conversation of so many tokens has room, were it alone here."""
        return count * self._token_bytes <= self.room

    def gap(self, tokens: Sequence[int]) -> Gap | None:
        """The first part of a conversation that is not here; None where all are. They count as used."""
        part = self._root
        for start in range(0, len(tokens), PART):
            piece = tuple(tokens[start : start + PART])
            known = part.after.get(piece) or _that_begins_with(part.after, piece)
            if known is None:
                self._touch(part)
                return Gap(part, start, start + len(piece))
            part = known
        self._touch(part)
        return None

    def put(self, gap: Gap, tokens: Sequence[int], saved: Saved) -> bool:
        """Fill a gap that was just found, and drop what there is no room for; False where that is this part itself."""
        part = Part(tuple(tokens[gap.start : gap.end]), saved, gap.before)
        for shorter in [one for one in gap.before.after.values() if part.tokens[: len(one.tokens)] == one.tokens]:
            self._drop(shorter)
        gap.before.after[part.tokens] = part
        self.used += saved.nbytes
        self._touch(part)
        while self.used > self.room:
            self._drop(next(iter(self._order)))
        return part in self._order

    def find(self, prompt: Sequence[int]) -> list[Found]:
        """The parts that hold a prompt's beginning, all but its last token at most. They count as used."""
        part, found, limit = self._root, list[Found](), len(prompt) - 1
        for start in range(0, limit, PART):
            piece = tuple(prompt[start : min(start + PART, limit)])
            shared, known = _closest(part.after, piece)
            if known is None:
                break
            part = known
            found.append(Found(part, start, start + shared))
            if shared < PART:
                break
        self._touch(part)
        return found

    def _touch(self, part: Part | None) -> None:
        while part is not None and part is not self._root:
            self._order.pop(part, None)
            self._order[part] = None
            part = part.before

    def _drop(self, part: Part) -> None:
        assert part.before is not None
        del part.before.after[part.tokens]
        del self._order[part]
        self.used -= part.saved.nbytes


def _that_begins_with(parts: dict[tuple[int, ...], Part], piece: tuple[int, ...]) -> Part | None:
    """For the end of a conversation, which another one goes beyond."""
    if len(piece) == PART:
        return None
    return next((part for tokens, part in parts.items() if tokens[: len(piece)] == piece), None)


def _closest(parts: dict[tuple[int, ...], Part], piece: tuple[int, ...]) -> tuple[int, Part | None]:
    if (whole := parts.get(piece)) is not None:
        return len(piece), whole
    best: tuple[int, Part | None] = (0, None)
    for tokens, part in parts.items():
        if (shared := common(tokens, piece)) > best[0]:
            best = shared, part
    return best
