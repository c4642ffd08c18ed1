"""Sound that comes while somebody speaks becomes turns, each of one or several windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fluid_server.content.agreement import Agreement
from fluid_server.content.sound import SAMPLE_RATE
from fluid_server.content.transcript import Transcript, spaced
from fluid_server.content.utterances import SpeechStarted, SpeechStopped, Utterance, Utterances, Window
from fluid_server.errors import FluidError
from fluid_server.runtimes.hearing_plan import LONGEST_WINDOW, Recognised
from fluid_server.types import (
    Chunking,
    NothingToTake,
    Segment,
    Turned,
    TurnStarted,
    TurnStopped,
    TurnTaken,
)

SHORTEST = 0.1  # seconds of sound that a client can make a turn of
PARTIAL = 1.0  # seconds of new sound after which the window that is open may be heard once more

Samples = npt.NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Turn:
    """What somebody says until they stop. ``live``: its text may be told before it is taken.

    ``cut`` counts its windows, ``waiting`` those that are not recognised yet; ``heard`` is its text so far. ``seconds``
    is how long it is, ``end`` where its last window ends, by the clock of what cuts it.
    ``failure`` is why one of them was not recognised; nobody asks any more for a turn that is ``forgotten``.
    """

    number: int
    live: bool
    cut: int = 0
    waiting: int = 0
    taken: bool = False
    forgotten: bool = False
    failure: FluidError | None = None
    seconds: float = 0.0
    end: float = 0.0
    heard: str = ""
    language: str | None = None
    tokens: int = 0
    transcript: Transcript = field(default_factory=Transcript)
    agreement: Agreement = field(default_factory=Agreement)

    def add(self, window: Window, found: Recognised) -> None:
        """Take in what was recognised in its next window."""
        self.tokens += found.tokens
        if found.segments:
            self.language = found.language
        self._append(self.transcript.add(window, found.segments))

    def guess(self, found: Recognised) -> str:
        """What can be told of the window that is open, going by one more hypothesis."""
        self.tokens += found.tokens
        return self.agreement.feed(self.heard + spaced(self.heard, found.text.strip()))

    def news(self) -> str:
        """What can be told of the windows that were recognised."""
        return self.agreement.settle(self.heard) if self.heard else ""

    def finish(self) -> str:
        """All that was said: no further window corrects it."""
        self._append(self.transcript.finish())
        return self.heard

    def _append(self, segments: Iterable[Segment]) -> None:
        text = "".join(segment.text for segment in segments)
        self.heard = (self.heard + text).strip() if not self.heard else self.heard + text.rstrip()


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A window to be recognised; ``number`` counts the windows of its turn. An ``open`` one still grows."""

    turn: Turn
    window: Window
    number: int
    open: bool = False

    @property
    def stale(self) -> bool:
        """Whether nobody wants to know any more."""
        return self.turn.forgotten or (self.open and self.turn.cut != self.number)


class Turns:
    """Cuts live sound. ``chunking`` says when a turn ends by itself; None: only ``take`` ends one.

    ``pieces`` wait to be recognised, in order; ``partial`` is the open window as it last was, if it is worth a look.
    """

    def __init__(self, chunking: Chunking | None, start: float, pause: float | None = None) -> None:
        self._untold = Chunking(silence=pause)  # how a turn is cut that only the client ends
        self.pieces: deque[Piece] = deque()
        self.partial: Piece | None = None
        self._complete: list[Turn] = []
        self._open: Turn | None = None
        self._count = 0
        self._fed = 0.0  # seconds since the client took something, or had it forgotten
        self._tune(chunking, start)

    def _tune(self, chunking: Chunking | None, start: float) -> None:
        self._chunking = chunking
        self._start = start
        self._utterances = Utterances(chunking or self._untold, longest=LONGEST_WINDOW)
        self._looked = 0.0

    def tune(self, chunking: Chunking | None, start: float) -> list[Turned]:
        """Go by another chunking from ``start`` seconds on. What was being said is a turn."""
        told = self.take(None)
        self._tune(chunking, start)
        return told

    def feed(self, samples: Samples) -> list[Turned]:
        """What has become known by these samples."""
        self._fed += len(samples) / SAMPLE_RATE
        told = self._cut(self._utterances.feed(samples))
        self._look()
        return told

    def take(self, mark: int | None) -> list[Turned]:
        """What was said up to here is a turn, if there is anything."""
        told = self._cut(self._utterances.finish(), mark)
        fed, self._fed = self._fed, 0.0
        self.partial = None
        if self._chunking is None and (fed >= SHORTEST if mark is not None else self._open is not None):
            told.append(self._taken(self._turn(), mark, fed))
        if not told and mark is not None:
            told.append(NothingToTake(mark, fed if self._chunking is None else 0.0))
        return told

    def complete(self) -> list[Turn]:
        """The turns that were taken since this was last asked."""
        found, self._complete = self._complete, []
        return found

    def forget(self) -> None:
        """What was said up to here, and belongs to no turn that was taken, was not."""
        self._utterances.finish()
        self._fed = 0.0
        self.partial = None
        if self._open is not None:
            self._open.forgotten = True
            self.pieces = deque(piece for piece in self.pieces if not piece.turn.forgotten)
            self._open = None

    def _cut(self, found: Sequence[Utterance], mark: int | None = None) -> list[Turned]:
        told: list[Turned] = []
        for one in found:
            match one:
                case SpeechStarted(seconds=seconds):
                    told += self._started(seconds)
                case Window():
                    self._wait(one)
                case SpeechStopped():
                    told += self._stopped(mark)
        return told

    def _started(self, seconds: float) -> list[Turned]:
        if self._chunking is None:
            return []
        self._looked = self._utterances.seconds
        begin = max(0.0, seconds - self._chunking.padding)
        return [TurnStarted(self._turn().number, self._start + begin)]

    def _stopped(self, mark: int | None) -> list[Turned]:
        """The turn's end is that of its sound: a little after the speech."""
        if self._chunking is None:
            return []
        turn = self._turn()
        return [TurnStopped(turn.number, self._start + turn.end), self._taken(turn, mark, turn.seconds)]

    def _taken(self, turn: Turn, mark: int | None, seconds: float) -> TurnTaken:
        turn.taken = True
        turn.seconds = seconds
        self._complete.append(turn)
        self._open = None
        return TurnTaken(turn.number, seconds, mark)

    def _turn(self) -> Turn:
        if self._open is None:
            self._open = Turn(self._count, live=self._chunking is not None)
            self._count += 1
        return self._open

    def _wait(self, window: Window) -> None:
        turn = self._turn()
        turn.cut += 1
        turn.waiting += 1
        turn.seconds += window.end - window.start - window.overlap
        turn.end = window.end
        self.pieces.append(Piece(turn, window, turn.cut))
        self.partial = None

    def _look(self) -> None:
        """Take a picture of the open window, when enough has come since the last one."""
        turn, now = self._open, self._utterances.seconds
        if turn is None or not turn.live or now - self._looked < PARTIAL:
            return
        self._looked = now
        if (window := self._utterances.peek()) is not None:
            self.partial = Piece(turn, window, turn.cut, open=True)
