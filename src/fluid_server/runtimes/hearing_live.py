"""One live request: sound is taken in as it comes, and its turns are recognised and told."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from fluid_server.content.live_sound import LiveSound
from fluid_server.content.transcript import is_looping
from fluid_server.errors import EngineFailed, FluidError
from fluid_server.runtimes.base import plain_reason
from fluid_server.runtimes.hearing_plan import Ask, Recognised
from fluid_server.runtimes.hearing_rota import Job, Task
from fluid_server.runtimes.hearing_task import Tell
from fluid_server.runtimes.hearing_tries import Recognise, well_recognised
from fluid_server.runtimes.hearing_turns import Piece, Turn, Turns
from fluid_server.types import (
    Done,
    EndOfSound,
    EndTurn,
    Event,
    Fed,
    ForgetSound,
    Listened,
    ListenRequest,
    SoundBytes,
    SoundForgotten,
    TurnDone,
    Turned,
    TurnFailed,
    TurnText,
    Usage,
)

Clock = Callable[[], float]  # in seconds
Check = Callable[[ListenRequest], None]
logger = logging.getLogger(__name__)
AHEAD = 2  # windows that wait to be recognised: no more sound is taken in meanwhile
ENGINE = (RuntimeError, ValueError, TypeError, OSError, MemoryError)  # what engines raise for one window


class LiveTranscription(Task):
    """A session's sound from one end of silence to the other. One of its windows is recognised at a time.

    ``push`` is called by the loop's thread, ``feed`` by one thread, jobs by another; ``tell`` from all of these.
    While somebody speaks, what they say is recognised over and over, when nobody else needs the engine, and for at
    most half of the time: what two hypotheses agree on is told. ``check`` raises for what the model cannot be asked.
    ``pause`` is what the model wants between what it hears at once.
    """

    def __init__(
        self,
        request: ListenRequest,
        recognise: Recognise,
        tell: Tell,
        check: Check,
        *,
        pause: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        check(request)
        self._clock = clock
        self._check = check
        self._asked = request
        self._recognise = recognise
        self._tell_out = tell
        self._inbox: deque[Fed] = deque()
        self._sound = LiveSound(request.encoding, request.rate)
        self._seconds = request.start
        self._turns = Turns(request.turns, request.start, pause)
        self._lock = threading.Lock()  # for turns and all below
        self._running = False
        self._rests_until = 0.0
        self._ended = False  # nothing more comes
        self._told_end = False
        self._stopped = threading.Event()

    def push(self, fed: Fed) -> None:
        """Take an order, to be followed in its turn."""
        if isinstance(fed, SoundBytes):
            self._inbox.extend(_bites(fed, self._asked.bytes_a_second))
        else:
            self._inbox.append(fed)

    def stop(self) -> None:
        """Nobody waits any more."""
        self._stopped.set()

    @property
    def hungry(self) -> bool:
        """Whether there is an order, and room for what it may bring."""
        if self._ended:
            return False
        return self._stopped.is_set() or (bool(self._inbox) and len(self._turns.pieces) < AHEAD)

    @property
    def over(self) -> bool:
        """Whether all was told, or it was stopped."""
        return self._ended and (self._stopped.is_set() or self._told_end)

    def feed(self) -> None:
        """Follow the next order."""
        if self._stopped.is_set():
            self._ended = True
            return
        try:
            self._follow(self._inbox.popleft())
        except FluidError as error:
            self._fail(error)
        except ENGINE as error:
            self._fail(EngineFailed(f"The sound could not be read: {plain_reason(error)}"))

    def _follow(self, fed: Fed) -> None:
        with self._lock:
            match fed:
                case SoundBytes(data=data):
                    self._seconds += len(data) / self._asked.bytes_a_second
                    self._tell_turns(self._turns.feed(self._sound.feed(data)))
                    self._tell(Listened(self._seconds))
                case EndTurn(mark=mark):
                    self._tell_turns(self._turns.take(mark))
                case ForgetSound():
                    self._turns.forget()
                    self._tell(SoundForgotten())
                case ListenRequest():
                    self._tune(fed)
                case EndOfSound():
                    if self._asked.turns is not None:
                        self._tell_turns(self._turns.take(None))
                    self._ended = True
                    self._end_if_done()

    def _tune(self, asked: ListenRequest) -> None:
        """Go on in another way. Where the sound or the rule for turns changes, what was being said is a turn."""
        self._check(asked)
        before, self._asked = self._asked, asked
        if (before.encoding, before.rate) != (asked.encoding, asked.rate):
            self._sound = LiveSound(asked.encoding, asked.rate)
        if before.turns != asked.turns:
            self._tell_turns(self._turns.tune(asked.turns, self._seconds))

    # --- recognising -------------------------------------------------------------------------------------

    def take(self) -> Job | None:
        """The next window."""
        with self._lock:
            if self._stopped.is_set() or self._running or not self._turns.pieces:
                return None
            self._running = True
            return partial(self._hear, self._turns.pieces.popleft())

    def spare(self) -> Job | None:
        """The window that is still open, when nobody needs the engine."""
        with self._lock:
            piece = self._turns.partial
            if self._stopped.is_set() or self._running or piece is None or self._clock() < self._rests_until:
                return None
            self._turns.partial = None
            self._running = True
            return partial(self._guess, piece)

    def _hear(self, piece: Piece) -> None:
        turn = piece.turn
        found = Recognised()
        try:
            found = well_recognised(
                self._recognise, piece.window.samples, self._ask(turn), _nowhere, lambda: self._unwanted(piece)
            )
        except FluidError as error:
            turn.failure = error
        except ENGINE as error:
            turn.failure = EngineFailed(f"This could not be transcribed: {plain_reason(error)}")
        with self._lock:
            self._running = False
            turn.waiting -= 1
            turn.add(piece.window, found)
            self._progress(turn)
            self._end_if_done()

    def _guess(self, piece: Piece) -> None:
        """A hypothesis. One that fails, or that nobody waits for any more, is none: the turn's end brings the truth."""
        began = self._clock()
        found = Recognised()
        try:
            found = self._recognise(piece.window.samples, self._ask(piece.turn), _unsaid, lambda: self._unwanted(piece))
        except (FluidError, *ENGINE):
            logger.debug("a hypothesis has failed", exc_info=True)
        with self._lock:
            self._running = False
            now = self._clock()
            self._rests_until = now + (now - began)
            if not self._unwanted(piece) and not piece.turn.taken and not is_looping(found.text):
                self._text(piece.turn, piece.turn.guess(found))
            self._end_if_done()

    def _unwanted(self, piece: Piece) -> bool:
        return self._stopped.is_set() or piece.stale

    def _ask(self, turn: Turn) -> Ask:
        """A turn is heard in the language of its first window."""
        return Ask(
            language=self._asked.language or turn.language,
            prompt=self._asked.prompt,
            keywords=self._asked.keywords,
            temperature=self._asked.temperature,
        )

    # --- telling -----------------------------------------------------------------------------------------

    def _tell_turns(self, turned: list[Turned]) -> None:
        """``turned`` may say that a turn is complete, of which all was recognised already."""
        for one in turned:
            self._tell(one)
        for turn in self._turns.complete():
            self._progress(turn)

    def _progress(self, turn: Turn) -> None:
        if turn.forgotten:
            return
        if turn.taken and not turn.waiting:
            self._finish(turn)
        elif turn.taken or turn.live:
            self._text(turn, turn.news())

    def _text(self, turn: Turn, news: str) -> None:
        if news:
            self._tell(TurnText(turn.number, news))

    def _finish(self, turn: Turn) -> None:
        text = turn.finish()
        if (failure := turn.failure) is not None:
            self._tell(TurnFailed(turn=turn.number, message=failure.message, type=failure.type, code=failure.code))
            return
        self._tell(TurnDone(turn.number, text, Usage(completion_tokens=turn.tokens, audio_seconds=turn.seconds)))

    def _end_if_done(self) -> None:
        if self._ended and not self._told_end and not self._running and not self._turns.pieces:
            self._told_end = True
            self._tell(Done(Usage()))

    def _tell(self, event: Event) -> None:
        if not self._stopped.is_set():
            self._tell_out(event)

    def _fail(self, error: FluidError) -> None:
        if not self._stopped.is_set():
            self._tell_out(error)
        self.stop()


def _bites(sound: SoundBytes, size: int) -> Iterator[SoundBytes]:
    """A second at a time, so that others have their turn in between."""
    return (SoundBytes(sound.data[at : at + size]) for at in range(0, len(sound.data), size))


def _nowhere(text: str) -> None:
    """A window that is complete is told once it is recognised."""


def _unsaid(text: str, avg_logprob: float | None = None) -> None:
    """As ``_nowhere``, for one try."""
