"""One file on its way: decoded, cut into windows, recognised and told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from fluid_server.content.sound import SAMPLE_RATE
from fluid_server.content.utterances import Utterance, Utterances, Window
from fluid_server.errors import EngineFailed, FluidError, UnreadableAudio
from fluid_server.runtimes.base import plain_reason
from fluid_server.runtimes.hearing_plan import LONGEST_WINDOW, Ask
from fluid_server.runtimes.hearing_rota import Job, Task
from fluid_server.runtimes.hearing_source import Source
from fluid_server.runtimes.hearing_tries import Recognise, well_recognised
from fluid_server.runtimes.hearing_writer import Part, Writer
from fluid_server.types import Event, TranscribeRequest

AHEAD = 2  # windows that are cut and not yet taken: memory is bounded by them
SHORTEST = 400  # samples, 25 ms: Whisper's own frame; less cannot hold a sound

Tell = Callable[[Event | FluidError], None]


class Transcription(Task):
    """A recording that is transcribed from its beginning to its end.

    ``recognise`` is the runtime's, and ``detects`` whether the model tells languages apart. ``tell`` gets the events,
    in order, or the one failure that ends it all, from any thread; nothing once it was stopped.
    """

    def __init__(
        self, source: Source, request: TranscribeRequest, recognise: Recognise, tell: Tell, *, detects: bool
    ) -> None:
        self._source = source
        self._fed = False
        self._settled = request.language is not None or not detects
        self._utterances = Utterances(request.chunking, longest=LONGEST_WINDOW)
        self._ask = _ask_of(request)
        self._recognise = recognise
        self._tell_out = tell
        self._stopped = threading.Event()
        self._windows: deque[Part] = deque()
        self._running: set[Part] = set()
        self._samples = self._count = 0
        self._writer = Writer(self._tell, whole=request.logprobs)

    def stop(self) -> None:
        """Nobody waits any more: tell nothing, leave what is being done at the next occasion."""
        self._stopped.set()
        self._source.stop()

    @property
    def hungry(self) -> bool:
        """Whether there is more sound and room for it, or a source to be closed."""
        if self._fed:
            return False
        return self._stopped.is_set() or (len(self._windows) < AHEAD and self._source.ready)

    @property
    def over(self) -> bool:
        """Whether all was fed and recognised, or it was stopped and its source is closed."""
        return self._fed and (self._stopped.is_set() or not (self._windows or self._running))

    def feed(self) -> None:
        """About a second of sound; at the end of it, or of everybody's interest, the source is closed."""
        with self._own_failures("The sound could not be read"):
            if not self._stopped.is_set() and (block := self._source.pull()) is not None:
                self._samples += len(block)
                self._cut(self._utterances.feed(block))
                self._writer.fed(self._samples / SAMPLE_RATE, self._source.total)
                return
        with self._own_failures("The sound could not be read"):
            self._source.close()
            self._all_is_fed()
        self._fed = True

    def take(self) -> Job | None:
        """The next window. The first one with speech decides the language, and the others wait for it."""
        if self._stopped.is_set() or not self._windows or (self._running and not self._settled):
            return None
        part = self._windows.popleft()
        self._running.add(part)
        self._count += 1
        return partial(self._hear, part, replace(self._ask, seed=self._count * 100))

    def _hear(self, part: Part, ask: Ask) -> None:
        with self._own_failures("This could not be transcribed"):
            say = partial(self._writer.say, part)
            found = well_recognised(self._recognise, part.window.samples, ask, say, self._stopped.is_set)
            if not self._settled and found.text.strip():
                self._ask = replace(self._ask, language=found.language)
                self._settled = True
            self._writer.put(part, found)
        self._running.discard(part)

    def _all_is_fed(self) -> None:
        if self._stopped.is_set():
            return
        if self._samples < SHORTEST:
            length = f"{self._samples * 1000 / SAMPLE_RATE:.0f} ms"
            raise UnreadableAudio(
                f"The audio is {length} long: too short to hold speech. Send more of it.", param="file"
            )
        self._cut(self._utterances.finish())
        self._writer.end(self._samples / SAMPLE_RATE)

    def _cut(self, found: list[Utterance]) -> None:
        self._windows.extend(self._writer.open(one) for one in found if isinstance(one, Window))

    def _tell(self, event: Event) -> None:
        if not self._stopped.is_set():
            self._tell_out(event)

    @contextmanager
    def _own_failures(self, what: str) -> Generator[None]:
        """What goes wrong with one recording is that one's end."""
        try:
            yield
        except FluidError as error:
            self._fail(error)
        except (RuntimeError, ValueError, TypeError, OSError, MemoryError) as error:
            self._fail(EngineFailed(f"{what}: {plain_reason(error)}"))

    def _fail(self, error: FluidError) -> None:
        if not self._stopped.is_set():
            self._tell_out(error)
        self.stop()


def _ask_of(request: TranscribeRequest) -> Ask:
    return Ask(
        language=request.language,
        task=request.task,
        prompt=request.prompt,
        keywords=request.keywords,
        temperature=request.temperature,
        words=request.words,
        logprobs=request.logprobs,
    )
