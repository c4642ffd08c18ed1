"""A speech runtime that hears what a test tells it to, and how to drive one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fluid_server.errors import FluidError
from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.hearing import HearingRuntime
from fluid_server.runtimes.hearing_plan import Ask, Hears, Recognised, Say
from fluid_server.types import (
    Event,
    Format,
    Kind,
    ModelInfo,
    ModelSpec,
    Request,
    RuntimeOptions,
    Segment,
    TextPiece,
)
from tests.runtimes.engines import Numbers

PATIENCE = 10.0
NOTHING = ModelSpec(id="nothing", format=Format.UNKNOWN, kind=Kind.TRANSCRIPTION, path=Path(), pause=1.0)
T = TypeVar("T")
Hear = Callable[["Heard"], str]


class Heard:
    """One call of ``recognise``: what a script may look at and wait for."""

    def __init__(self, number: int, seconds: float, ask: Ask, say: Say, stopped: Callable[[], bool]) -> None:
        self.number = number
        self.seconds = seconds
        self.ask = ask
        self.say = say
        self.stopped = stopped


class ScriptedEars(HearingRuntime):
    """Says whatever ``hear`` makes of a window, as one segment of its length. Knows English and French."""

    name = "scripted"

    def __init__(self, hear: Hear, *, lanes: int = 1, hears: Hears | None = None) -> None:
        super().__init__()
        self._hear = hear
        self._lock = threading.Lock()
        self.lanes = lanes
        self.hears = hears or Hears(languages=("en", "fr"), detects=True, prompt=True)
        self.calls: list[Heard] = []

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        return ModelInfo(runtime=self.name, device="CPU", parallel=options.parallel)

    def recognise(
        self, samples: npt.NDArray[np.float32], ask: Ask, say: Say, stopped: Callable[[], bool]
    ) -> Recognised:
        with self._lock:
            call = Heard(len(self.calls), len(samples) / 16_000, ask, say, stopped)
            self.calls.append(call)
        text = self._hear(call)
        segment = Segment(start=0.0, end=call.seconds, text=text)
        return Recognised(segments=(segment,), language=ask.language or "fr", tokens=3, prompt_tokens=1)


@contextmanager
def ears(hear: Hear, *, lanes: int = 1, hears: Hears | None = None) -> Generator[ScriptedEars, None, None]:
    """A scripted runtime, loaded, and closed in the end."""
    made = ScriptedEars(hear, lanes=lanes, hears=hears)
    made.load(NOTHING, RuntimeOptions(), lambda text, done: None)
    try:
        yield made
    finally:
        made.close()


def transcribed(runtime: HearingRuntime, *requests: Request) -> list[list[Event | FluidError]]:
    """All events of these requests, run together."""
    numbers = [Numbers.next() for _ in requests]
    for number, request in zip(numbers, requests, strict=True):
        runtime.add(number, request)
    found = until_idle(runtime)
    return [[event for number, event in found if number == wanted] for wanted in numbers]


def until_idle(runtime: HearingRuntime) -> list[tuple[int, Event | FluidError]]:
    """What comes until nothing runs any more."""
    found: list[tuple[int, Event | FluidError]] = []
    while runtime.busy:
        found += runtime.step()
    return found


def text_of(events: list[Event | FluidError]) -> str:
    """The transcript."""
    return "".join(event.text for event in events if isinstance(event, TextPiece)).strip()


def of_kind(events: list[Event | FluidError], kind: type[T]) -> list[T]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]
