"""HearingRuntime: the one pipeline of all speech-to-text runtimes. A runtime only turns 30 s of samples into text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from fluid_server.errors import EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.base import BaseRuntime, Outcome, ReportProgress, arrived
from fluid_server.runtimes.hearing_live import LiveTranscription
from fluid_server.runtimes.hearing_plan import Ask, Hears, Recognised, Say
from fluid_server.runtimes.hearing_rota import Rota
from fluid_server.runtimes.hearing_source import FileSource
from fluid_server.runtimes.hearing_task import Tell, Transcription
from fluid_server.types import (
    Done,
    Event,
    Fed,
    ListenRequest,
    ModelInfo,
    ModelSpec,
    Request,
    RuntimeOptions,
    TranscribeRequest,
    TurnDone,
)


class HearingRuntime(BaseRuntime):
    """Decodes files, cuts them at silence, has their windows recognised and puts the answers together.

    A subclass gives ``open`` and ``recognise``, and sets ``hears`` in ``open`` (and ``lanes``, where the engine
    gains from several windows at once). Files are served in turn, a window each, so that a short one does not wait
    for the end of a long one. One more thread decodes, at most two windows ahead of each file.

    A prompt goes to every window: they are recognised apart from each other, so that none can lead the next astray.
    """

    hears: Hears = Hears()
    lanes: int = 1  # threads that call ``recognise``

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[int, Transcription | LiveTranscription] = {}
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._rota: Rota | None = None
        self._pause: float | None = None

    @abstractmethod
    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Bring the model into memory. ``parallel`` of the answer is how many files may be here at once."""

    @abstractmethod
    def recognise(
        self, samples: npt.NDArray[np.float32], ask: Ask, say: Say, stopped: Callable[[], bool]
    ) -> Recognised:
        """What is said in one window: mono samples at 16 kHz, shape [n], 25 ms to 30 s, in [-1, 1].

        Called from ``lanes`` threads, each with one window at a time. ``say`` takes text while it is recognised; it
        may be called for some of the text or never. ``stopped`` is to be asked at every token: once it says so,
        return what there is, which may be nothing. Errors: FluidError; RuntimeError, ValueError, TypeError, OSError
        and MemoryError are taken for the engine's failure at this file. After anything else the worker ends.
        """

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Bring the model into memory and start the threads."""
        info = self.open(spec, options, progress)
        self._pause = spec.pause
        self._rota = Rota(self.lanes)
        return info

    def add(self, request_id: int, request: Request) -> None:
        """Take a file. Errors: InvalidRequest, UnsupportedField."""
        assert self._rota is not None
        task = self._task(request, partial(self._tell, request_id))
        self._tasks[request_id] = task
        self._rota.add(task)

    def _task(self, request: Request, tell: Tell) -> Transcription | LiveTranscription:
        if isinstance(request, ListenRequest):
            return LiveTranscription(request, self.recognise, tell, self.hears.check, pause=self._pause)
        if not isinstance(request, TranscribeRequest):
            raise InvalidRequest("This model transcribes speech and cannot do anything else.", param="model")
        self.hears.check(request)
        if request.chunking.silence is None:
            request = replace(request, chunking=replace(request.chunking, silence=self._pause))
        source = FileSource(request.audio, max_seconds=request.max_seconds)
        return Transcription(source, request, self.recognise, tell, detects=self.hears.detects)

    def feed(self, request_id: int, fed: Fed) -> None:
        """More sound, or an order, for a live request."""
        task = self._tasks.get(request_id)
        if isinstance(task, LiveTranscription):
            task.push(fed)
            self._stir()

    def step(self) -> list[Outcome]:
        """What the threads have told since; waits a moment for the first. Errors: EngineFailed if one has died."""
        if self._rota is None or self._rota.broken:
            raise EngineFailed("A thread of the engine has died.")
        return [(number, event) for number, event in arrived(self._outcomes) if self._counts_for(number, event)]

    def drop(self, request_id: int) -> bool:
        """Leave a file alone; a window of it that the engine has begun ends at its next token."""
        if (task := self._tasks.pop(request_id, None)) is None:
            return False
        task.stop()
        self._stir()
        return True

    @property
    def busy(self) -> bool:
        """Whether there is a file."""
        return bool(self._tasks)

    @property
    def load_now(self) -> tuple[int, int]:
        """All files are worked at in turn; none waits."""
        return len(self._tasks), 0

    def close(self) -> None:
        """Leave all files and end the threads."""
        for number in list(self._tasks):
            self.drop(number)
        if self._rota is not None:
            self._rota.close()

    def _tell(self, number: int, event: Event | FluidError) -> None:
        self._outcomes.put((number, event))

    def _stir(self) -> None:
        if self._rota is not None:
            self._rota.stir()

    def _counts_for(self, number: int, event: Event | FluidError) -> bool:
        """Whether the file is still here to be told; a file that has ended is forgotten."""
        if number not in self._tasks:
            return False
        if isinstance(event, Done | TurnDone):
            usage = event.usage
            self.count(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        if isinstance(event, Done):
            self.count(completed=1)
        if isinstance(event, FluidError):
            self.count(failed=1)
        if isinstance(event, Done | FluidError):
            del self._tasks[number]
        return True
