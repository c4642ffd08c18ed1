"""Which sequence of the KV cache holds what, and which a new prompt goes to. Pure but for the memory it is given.

All sequences share one pool of cells, and copying a beginning costs neither cells nor time. So a prompt takes what any
sequence, idle or busy, has computed of it, and lies down where the least is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from fluid_server.runtimes.llamacpp_slots import common

ALWAYS_KEPT = 2  # idle sequences: a conversation, and the short questions that a program asks beside it


class Memory(Protocol):
    """llama.cpp's memory of one context."""

    def cut(self, sequence: int, length: int) -> bool:
        """Keep the first ``length`` tokens; False where this kind of memory cannot (then all must go)."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Give the empty target the source's first ``length`` tokens."""


@dataclass(slots=True)
class Cells:
    """One sequence: its tokens whose keys and values are in the cache."""

    number: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = False
    used: int = 0


class Pool:
    """All sequences of a context. ``divisible``: beginnings can be cut off and copied, which recurrent ones cannot.

    ``idle_room``: how many tokens idle sequences may keep between them, where they are more than ALWAYS_KEPT. On a CPU
    every row of a step looks at all cells in use to see that they are not its own: 19,000 idle ones make a stream of
    a 67 M model 40 % slower.
    """

    def __init__(self, memory: Memory, count: int, *, divisible: bool, idle_room: int | None = None) -> None:
        self._memory = memory
        self._divisible = divisible
        self._idle_room = idle_room
        self._cells = [Cells(number) for number in range(count)]
        self._turn = 0

    def take(self, prompt: list[int]) -> Cells:
        """An idle sequence for this prompt, with as much of its beginning as there is; all but its last token at most.

        There must be an idle one.
        """
        source, shared = self._best(prompt)
        target = self._place(source, shared)
        self.borrow(target, source, shared)
        self._turn += 1
        target.used, target.busy = self._turn, True
        self._tidy()
        return target

    def borrow(self, target: Cells, source: Cells | None, length: int) -> None:
        """Leave ``length`` tokens in the target, those that it shares with the source."""
        if source is target and (length == len(target.tokens) or self._memory.cut(target.number, length)):
            del target.tokens[length:]
            return
        self.empty(target)
        if source is not None and source is not target and length:
            self._memory.copy(source.number, target.number, length)
            target.tokens = source.tokens[:length]

    def release(self, cells: Cells) -> None:
        """Nothing runs there any more; what was computed stays."""
        cells.busy = False

    def keep(self, cells: Cells) -> bool:
        """Forget what was computed beyond the sequence's tokens; False where all of it has to be forgotten."""
        return self._memory.cut(cells.number, len(cells.tokens))

    def empty(self, cells: Cells) -> None:
        """Forget all of it."""
        self._memory.cut(cells.number, 0)
        cells.tokens = []

    def evict(self) -> bool:
        """Forget the idle sequence that was used longest ago; False where there is none."""
        if idle := self._idle():
            self.empty(idle[0])
        return bool(idle)

    def _idle(self) -> list[Cells]:
        """Those that keep something for nobody yet, the one used longest ago first."""
        return sorted((one for one in self._cells if not one.busy and one.tokens), key=lambda one: one.used)

    def _tidy(self) -> None:
        if self._idle_room is None:
            return
        idle = self._idle()
        kept = sum(len(one.tokens) for one in idle)
        for one in idle[:-ALWAYS_KEPT]:
            if kept <= self._idle_room:
                break
            kept -= len(one.tokens)
            self.empty(one)

    def _best(self, prompt: list[int]) -> tuple[Cells | None, int]:
        """Where most of the prompt lies, an idle place before a busy one, and how much that is."""
        found = ((self._shared(cells, prompt), not cells.busy, cells) for cells in self._cells)
        shared, _, cells = max(found, key=lambda one: one[:2])
        return (cells, shared) if shared else (None, 0)

    def _shared(self, cells: Cells, prompt: list[int]) -> int:
        shared = min(common(cells.tokens, prompt), len(prompt) - 1)
        if self._divisible:
            return shared
        return shared if not cells.busy and shared == len(cells.tokens) else 0

    def _place(self, source: Cells | None, shared: int) -> Cells:
        """The source itself if little of it is lost, else the idle place whose loss matters least."""
        idle = [cells for cells in self._cells if not cells.busy]
        if source is not None and not source.busy and 2 * shared >= len(source.tokens):
            return source
        return min(idle, key=lambda cells: (bool(cells.tokens), cells.used))


def longest(lines: Iterable[tuple[int, list[int]]], prompt: list[int]) -> tuple[int | None, int]:
    """Of prompts with a number, the one that shares most with this prompt, and how much (all but the last token)."""
    best: tuple[int | None, int] = (None, 0)
    for number, other in lines:
        shared = min(common(other, prompt), len(prompt) - 1)
        if shared > best[1]:
            best = number, shared
    return best
