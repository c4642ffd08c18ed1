"""Which sequence of the KV cache holds what, and which a new prompt goes to. Pure but for the memory it is given.

All sequences share one pool of cells, and copying a beginning costs neither cells nor time. So a prompt takes what any
sequence, idle or busy, has computed of it, and lies down where the least is lost.

Every row of a step looks at all cells in use, to see that most of them are not its own. So what idles beside others
leaves the cache for a shelf in ordinary memory, and is copied back when a prompt begins with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from fluid_server.runtimes.llamacpp_native_shelf import Saved, Shelf
from fluid_server.runtimes.llamacpp_slots import common

ALWAYS_KEPT = 2  # idle sequences: a conversation, and the short questions that a program asks beside it
AT_REST = 256  # cells: so few may idle beside others; with one more all leave. llama.cpp looks at cells by the 256
ROWS_A_PART = 4  # of a step that let one part leave beside it: some of them take as long, so a step is little longer
WORTH_A_COPY = 32  # tokens: to compute fewer is as quick
WORTH_A_MOVE = 1024  # idle cells, below those of a sequence that runs
MOVABLE = 512  # tokens of a sequence that moves: it does so beside one step
SHARED = 64  # tokens that two sequences may have in the same cells, and have twice when one has moved


class Memory(Protocol):
    """llama.cpp's memory of one context."""

    def cut(self, sequence: int, length: int) -> bool:
        """Keep the first ``length`` tokens; False where this kind of memory cannot (then all must go)."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Give the empty target the source's first ``length`` tokens."""

    def save(self, sequence: int, start: int, end: int) -> Saved | None:
        """What was computed of the tokens from ``start`` to ``end``, copied; None where there is no memory for it."""

    def restore(self, sequence: int, saved: Saved, start: int, end: int) -> bool:
        """Lay the saved tokens from ``start`` to ``end`` behind what the sequence has; False where no room is left."""

    def move(self, sequence: int, length: int) -> None:
        """Put all tokens of a sequence into the first cells that are free; where there are too few they stay."""


@dataclass(slots=True)
class Cells:
    """One sequence: its tokens whose keys and values are in the cache.

    ``high``: they lie above many that idled when it began. A step looks at all cells up to the last one in use.
    ``shared``: so many of its tokens may lie in the same cells as another's.
    """

    number: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = False
    used: int = 0
    high: bool = False
    shared: int = 0


class Pool:
    """All sequences of a context. ``divisible``: beginnings can be cut off and copied, which recurrent ones cannot.

    ``shelf``: where idle sequences leave for; None where they cannot, or where it brings nothing.
    ``idle_room``: how many tokens those that cannot leave may keep between them, where they are more than ALWAYS_KEPT.
    """

    def __init__(
        self, memory: Memory, count: int, *, divisible: bool, idle_room: int | None = None, shelf: Shelf | None = None
    ) -> None:
        self._memory = memory
        self._divisible = divisible
        self._idle_room = idle_room
        self._shelf = shelf
        self._at_rest = True  # nothing has to leave
        self._clearing = False  # all that idles has to: the last one may lie in the last of all cells
        self._cells = [Cells(number) for number in range(count)]
        self._turn = 0

    def take(self, prompt: list[int]) -> Cells:
        """An idle sequence for this prompt, with as much of its beginning as there is; all but its last token at most.

        There must be an idle one.
        """
        source, shared = self._best(prompt)
        target = self._place(source, shared)
        if target is not source:
            self._shelve(target)
        self.borrow(target, source, shared)
        self._turn += 1
        target.used, target.busy = self._turn, True
        target.high = sum(len(one.tokens) for one in self._idle()) >= WORTH_A_MOVE
        self._tidy()
        self._fetch(target, prompt)
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
            target.shared, source.shared = length, max(length, source.shared)

    def release(self, cells: Cells) -> None:
        """Nothing runs there any more; what was computed stays."""
        cells.busy = False
        self._at_rest = False

    def leave(self, rows: int) -> None:
        """Beside a step of so many rows: let idle sequences leave, part by part, the one used longest ago first.

        When they have left, those that began above them move down.
        """
        for _ in range(max(1, rows // ROWS_A_PART)):
            if self._at_rest:
                return
            self._at_rest = not (self._let_leave() or self._move_down())

    def keep(self, cells: Cells) -> bool:
        """Forget what was computed beyond the sequence's tokens; False where all of it has to be forgotten."""
        return self._memory.cut(cells.number, len(cells.tokens))

    def empty(self, cells: Cells) -> None:
        """Forget all of it."""
        self._memory.cut(cells.number, 0)
        cells.tokens, cells.shared = [], 0

    def evict(self) -> bool:
        """Free the cells of the idle sequence that was used longest ago; False where there is none."""
        if idle := self._idle():
            self._shelve(idle[0])
            self.empty(idle[0])
        return bool(idle)

    def _idle(self) -> list[Cells]:
        """Those that keep something for nobody yet, the one used longest ago first."""
        return sorted((one for one in self._cells if not one.busy and one.tokens), key=lambda one: one.used)

    def _leaves(self, cells: Cells) -> bool:
        return self._shelf is not None and self._shelf.fits(len(cells.tokens))

    def _let_leave(self) -> bool:
        """One part of one sequence, and its cells with the last; False where there is nothing to do."""
        idle = self._idle()
        leaving = next((one for one in idle if self._leaves(one)), None)
        self._clearing = leaving is not None and (self._clearing or sum(len(one.tokens) for one in idle) > AT_REST)
        if leaving is None or not self._clearing:
            return False
        if not self._save_next(leaving):
            self.empty(leaving)
        return True

    def _move_down(self) -> bool:
        """One sequence; False where there is nothing to do."""
        for cells in self._cells:
            if cells.busy and cells.high and cells.tokens:
                cells.high = False
                if self._shelf is not None and len(cells.tokens) <= MOVABLE and cells.shared <= SHARED:
                    self._memory.move(cells.number, len(cells.tokens))
                    return True
        return False

    def _save_next(self, cells: Cells) -> bool:
        """Copy one part of an idle sequence; False where no more is to be copied, or can be."""
        if self._shelf is None or len(cells.tokens) < WORTH_A_COPY or (gap := self._shelf.gap(cells.tokens)) is None:
            return False
        if (saved := self._memory.save(cells.number, gap.start, gap.end)) is None:
            return False
        return self._shelf.put(gap, cells.tokens, saved) and gap.end < len(cells.tokens)

    def _shelve(self, cells: Cells) -> None:
        """Copy all of an idle sequence that may leave."""
        while cells.tokens and self._leaves(cells) and self._save_next(cells):
            pass

    def _fetch(self, cells: Cells, prompt: list[int]) -> None:
        """Copy back what the shelf has of a prompt beyond what its sequence has already."""
        found = self._shelf.find(prompt) if self._shelf is not None else []
        if not found or found[-1].end - len(cells.tokens) < WORTH_A_COPY:
            return
        for part, _, end in found:
            start = len(cells.tokens)
            if end > start:
                while not self._memory.restore(cells.number, part.saved, start, end):
                    if not self.evict():
                        return
                cells.tokens = prompt[:end]

    def _tidy(self) -> None:
        """Forget of what cannot leave."""
        if self._idle_room is None:
            return
        idle = [one for one in self._idle() if not self._leaves(one)]
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
