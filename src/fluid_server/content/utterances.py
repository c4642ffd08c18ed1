"""Where in a recording is speech, and where may it be cut? Files and live sessions push their samples through this.

Frames of 32 ms are judged by content.activity. Speech begins at a frame of the threshold's probability and lasts until
one that is 0.15 below it. Runs of such frames are joined over gaps of a tenth of a second, and runs shorter than that
(clicks) are passed over. What lies between two long pauses (``Chunking.silence``) becomes one window, or several where
it is longer than a model can take: those are cut in the longest pause of their second half. Speech that pauses nowhere
is cut where it is quietest, with an overlap, which content.transcript resolves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from fluid_server.content.activity import FRAME, FRAME_SECONDS, Activity
from fluid_server.content.sound import SAMPLE_RATE
from fluid_server.types import Chunking

Samples = npt.NDArray[np.float32]

USUAL_SILENCE = 2.0  # seconds; a model takes shorter pauses in its stride, and each window costs it 30 s of work
HYSTERESIS = 0.15
BLINK = 3  # frames, 0.1 s: shorter speech is a click, and a shorter gap within speech is none
PAUSE = 2  # frames: the shortest pause in which speech that is too long may be cut
LAG = 0.125  # seconds by which a pause is heard shorter than it is, at most: 0.07 in the median of 200
OVERLAP = 1.0  # seconds that two windows share where speech is cut without a pause
QUIETEST = 0.1  # seconds over which loudness is compared to find such a place
SEARCHED = 6.0  # seconds before a window's end in which it is looked for

_WIDTH = np.dtype(np.float32).itemsize


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began ``seconds`` into the recording, after a long pause or none before it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Speech ended ``seconds`` into the recording, and a long pause, or the end, has followed."""

    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A piece of the recording for a model: mono samples at SAMPLE_RATE from ``start`` seconds on.

    ``speech`` holds the stretches of speech in it, as (start, end) in seconds into the recording. ``overlap`` is how
    many seconds it shares with the window before it, ``shared`` with the next one; 0 unless speech was cut.
    """

    start: float
    samples: Samples
    speech: tuple[tuple[float, float], ...]
    overlap: float = 0.0
    shared: float = 0.0

    @property
    def end(self) -> float:
        """Seconds into the recording at which it ends."""
        return self.start + len(self.samples) / SAMPLE_RATE


Utterance = SpeechStarted | SpeechStopped | Window
Run = tuple[int, int]  # from a frame up to another


class Utterances:
    """Cuts one recording into windows of at most ``longest`` seconds as its samples come.

    Holds no more than one window and its surroundings. SpeechStopped follows the last Window of what was said, so
    that whoever sees it has all of it. Errors: ValueError if ``longest`` leaves no room for an overlap.
    """

    def __init__(self, chunking: Chunking, *, longest: float = 30.0) -> None:
        if longest < 3 * OVERLAP:
            raise ValueError(f"Windows of {longest:g} s are too short: at least {3 * OVERLAP:g} s are needed.")
        self._activity = Activity()
        self._loud_from = chunking.threshold
        self._quiet_below = max(chunking.threshold - HYSTERESIS, 0.01)
        silence = USUAL_SILENCE if chunking.silence is None else chunking.silence
        heard = silence - min(LAG, silence / 8)  # of such a pause, at the least
        self._silence = max(BLINK, round(heard / FRAME_SECONDS))  # frames
        self._before = round(chunking.padding * SAMPLE_RATE)
        self._padding = round(min(chunking.padding, silence / 2) * SAMPLE_RATE)
        self._longest = int(longest * SAMPLE_RATE)
        self._tape = _Tape()
        self._runs = _Runs(0)  # of the open window, or what may become one
        self._loud = False
        self._speaking = False  # speech has started and not stopped
        self._spoken = 0  # the frame at which speech was last heard to end
        self._start: int | None = None  # the sample at which the open window begins
        self._overlap = 0  # samples that it shares with the window before it
        self._floor = 0  # the sample at which that one ended

    @property
    def seconds(self) -> float:
        """How much of the recording has come."""
        return self._tape.end / SAMPLE_RATE

    def feed(self, samples: Samples) -> list[Utterance]:
        """What has become known by these samples, in the order of time."""
        found: list[Utterance] = []
        for at in range(0, len(samples), SAMPLE_RATE):  # a second at a time, however much is given
            part = samples[at : at + SAMPLE_RATE]
            self._tape.append(part)
            found.extend(self._judge(self._activity.feed(part).tolist()))
        return found

    def finish(self) -> list[Utterance]:
        """The rest, as if a long pause followed. What is fed afterwards goes on in time."""
        return list(self._stop())

    def peek(self) -> Window | None:
        """The window that is open now, up to the last sample; None while nobody speaks."""
        return None if self._start is None else self._window(self._start, self._tape.end)

    def _judge(self, probabilities: Iterable[float]) -> Iterator[Utterance]:
        for probability in probabilities:
            self._loud = probability >= self._loud_from or (self._loud and probability >= self._quiet_below)
            self._runs.push(self._loud)
            if self._runs.found:
                self._spoken = self._runs.found[-1][1]
            yield from self._advance()
            self._forget()

    def _advance(self) -> Iterator[Utterance]:
        """What follows from the frame that was judged last."""
        if self._start is None and self._runs.found:
            yield from self._open(self._runs.found[0][0])
        if self._speaking and self._runs.end - self._spoken >= self._silence:
            yield from self._stop()
        elif self._start is not None and (self._runs.end + 1) * FRAME - self._start > self._longest:
            yield self._cut(self._start)

    def _open(self, frame: int) -> Iterator[Utterance]:
        self._start = max(self._floor, frame * FRAME - self._before)
        self._overlap = 0
        if not self._speaking:
            self._speaking = True
            yield SpeechStarted(frame * FRAME_SECONDS)

    def _stop(self) -> Iterator[Utterance]:
        if not self._speaking:
            return
        self._speaking = False
        if self._start is not None:
            # At the end of a recording up to a frame has not been judged: it belongs to the speech before it.
            kept = max(self._padding, FRAME)
            yield self._close(self._start, min(self._spoken * FRAME + kept, self._tape.end), self._spoken)
        yield SpeechStopped(self._spoken * FRAME_SECONDS)

    def _cut(self, start: int) -> Window:
        """The open window as long as it can be, because speech goes on."""
        pauses = self._runs.pauses((start + self._longest // 2) // FRAME)
        if not pauses:
            return self._cut_through(start)
        begin, end = max(pauses, key=lambda pause: (pause[1] - pause[0], pause[0]))
        kept = min(self._padding, (end - begin) * FRAME // 2)
        return self._close(start, begin * FRAME + kept, end)

    def _cut_through(self, start: int) -> Window:
        """As ``_cut``, where nobody pauses: what lies around the quietest place goes into both windows."""
        shared = round(OVERLAP * SAMPLE_RATE)
        place = self._quietest(start) - shared // 2
        window = self._window(start, place + shared, shared=shared)
        self._start, self._overlap, self._floor = place, shared, place + shared
        self._runs = self._runs.since(place // FRAME)
        return window

    def _quietest(self, start: int) -> int:
        """The sample around which it is quietest, near the end of the window and away from its edges."""
        width = round(QUIETEST * SAMPLE_RATE)
        last = self._runs.end * FRAME - round(OVERLAP * SAMPLE_RATE) // 2
        first = max(start + self._longest // 2, last - round(SEARCHED * SAMPLE_RATE))
        energy = np.cumsum(self._tape.copy(first, last).astype(np.float64) ** 2)
        return first + width // 2 + int(np.argmin(energy[width:] - energy[:-width]))

    def _close(self, start: int, end: int, frame: int) -> Window:
        """The open window ends at a sample; what may become the next one lies from a frame on."""
        window = self._window(start, end)
        self._start, self._floor = None, end
        self._runs = self._runs.since(frame)
        return window

    def _window(self, start: int, end: int, *, shared: int = 0) -> Window:
        bounds = ((max(begin * FRAME, start), min(stop * FRAME, end)) for begin, stop in self._runs.found)
        speech = tuple((begin / SAMPLE_RATE, stop / SAMPLE_RATE) for begin, stop in bounds if begin < stop)
        return Window(
            start / SAMPLE_RATE,
            self._tape.copy(start, end),
            speech,
            overlap=self._overlap / SAMPLE_RATE,
            shared=shared / SAMPLE_RATE,
        )

    def _forget(self) -> None:
        """Let go of what no window will need."""
        if self._start is not None:
            self._tape.drop(self._start)
            return
        if self._runs.idle:
            self._runs = _Runs(self._runs.end)
        self._tape.drop(self._runs.begin * FRAME - self._before)


class _Runs:
    """Loud and quiet frames from ``begin`` up to ``end``, and the runs of loud ones ``found`` among them."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.found: list[Run] = []
        self._frames = bytearray()
        self._run: Run | None = None  # it may still grow

    @property
    def end(self) -> int:
        return self.begin + len(self._frames)

    @property
    def idle(self) -> bool:
        """There is nothing loud in it that could be speech or become it."""
        return not self.found and self._run is None

    def push(self, loud: bool) -> None:
        """The next frame."""
        frame = self.end
        self._frames.append(loud)
        if loud:
            begin = frame if self._run is None else self._run[0]
            self._grow((begin, frame + 1))
        elif self._run is not None and self.end - self._run[1] >= BLINK:
            self._run = None

    def _grow(self, run: Run) -> None:
        self._run = run
        if self.found and self.found[-1][0] == run[0]:
            self.found[-1] = run
        elif run[1] - run[0] >= BLINK:
            self.found.append(run)

    def since(self, frame: int) -> _Runs:
        """The same from a frame on, as if it began there."""
        rest = _Runs(frame)
        for loud in self._frames[frame - self.begin :]:
            rest.push(bool(loud))
        return rest

    def pauses(self, frame: int) -> list[Run]:
        """The quiet stretches that are long enough to be cut in and do not end before a frame."""
        found: list[Run] = []
        end = self.begin
        for loud, alike in groupby(self._frames):
            begin, end = end, end + sum(1 for _ in alike)
            if not loud and end - begin >= PAUSE and end > frame:
                found.append((begin, end))
        return found


class _Tape:
    """The last samples of a recording. A bytearray grows and shrinks in place, however small the pieces."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._begin = 0

    @property
    def end(self) -> int:
        return self._begin + len(self._data) // _WIDTH

    def append(self, samples: Samples) -> None:
        self._data += np.ascontiguousarray(samples, np.float32).tobytes()

    def drop(self, before: int) -> None:
        """Forget what lies before a sample."""
        count = before - self._begin
        if count > 0:
            del self._data[: count * _WIDTH]
            self._begin = before

    def copy(self, start: int, end: int) -> Samples:
        """The samples from one up to another."""
        first, last = (start - self._begin) * _WIDTH, (end - self._begin) * _WIDTH
        return np.frombuffer(self._data[first:last], np.float32)
