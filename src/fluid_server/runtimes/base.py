"""BaseRuntime: what the worker's loop asks of every backend. Add, step, cancel."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import ClassVar, TypeVar

from fluid_server.errors import FluidError
from fluid_server.libraries import what_is_missing
from fluid_server.types import Cancelled, Counters, Event, Fed, ModelInfo, ModelSpec, Request, RuntimeOptions

Outcome = tuple[int, Event | FluidError]
T = TypeVar("T")
COLDEST = 1e-3  # a smaller temperature is greedy: engines divide by it in single precision
IDLE_WAIT = 0.05  # seconds that a step may wait for its engine when nothing has come
ReportProgress = Callable[[str, float | None], None]


class BaseRuntime(ABC):
    """One loaded model. Lives in a worker process and is called from one thread only.

    A request that was added ends with exactly one of Done, Cancelled or a FluidError. ``step`` raises only when
    the engine cannot be used again: the worker then fails everything and ends.
    """

    name: ClassVar[str]
    steady = False
    """Whether a step takes about as long as the one before it, where no request has come or ended in between."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @abstractmethod
    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Bring the model into memory. Errors: any FluidError, or whatever the engine raises."""

    @abstractmethod
    def add(self, request_id: int, request: Request) -> None:
        """Take a request. Errors: a FluidError that says why it cannot be served."""

    @abstractmethod
    def step(self) -> list[Outcome]:
        """Move all requests one step on; may return nothing, never blocks for more than about 50 ms idly."""

    @abstractmethod
    def drop(self, request_id: int) -> bool:
        """Take a request out of the engine and free its place; False if it is not here (any more)."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether there is a request to step."""

    @property
    @abstractmethod
    def load_now(self) -> tuple[int, int]:
        """How many requests are in the engine, and how many wait before it."""

    def feed(self, request_id: int, fed: Fed) -> None:
        """More for a live request; ignored if it is not here (any more). Only runtimes that listen have any."""
        return

    def abandon(self, request_id: int) -> None:
        """A cancel has come for a request. The only method that another thread calls, while a step may be running:
        one that computes much for this request alone may end early. ``cancel`` follows.
        """
        return

    def close(self) -> None:
        """Let go of the engine in good order; the process ends after it."""
        return

    def cancel(self, request_id: int) -> list[Outcome]:
        """Drop a request that nobody waits for; a request that has ended already is left alone."""
        if not self.drop(request_id):
            return []
        self.count(cancelled=1)
        return [(request_id, Cancelled())]

    def refused(self) -> None:
        """Count a request that ``add`` did not take."""
        self.count(failed=1)

    def count(self, **increments: int) -> None:
        """Add to the runtime's own counters, by the names of the fields of types.Counters."""
        for name, increment in increments.items():
            self._counts[name] += increment

    @property
    def counters(self) -> Counters:
        """What was done so far, and what is here now."""
        running, waiting = self.load_now
        return Counters(running=running, waiting=waiting, **self._counts)


def arrived(items: SimpleQueue[T]) -> list[T]:
    """All that threads have handed over; waits a moment for the first, and is empty if nothing comes."""
    try:
        found = [items.get(timeout=IDLE_WAIT)]
    except Empty:
        return []
    while not items.empty():
        found.append(items.get())
    return found


def spare_threads() -> int:
    """All physical cores but one, which the server and everybody else keep.

    Engines' threads spin while they wait for each other. With as many as there are cores, whatever else wants to
    run holds all of them up: measured on two cores, llama.cpp fell from 117 to 0.8 tokens a second beside two busy
    neighbours, and with OpenVINO /health took up to 190 ms instead of 6.
    """
    import psutil

    return max(1, (psutil.cpu_count(logical=False) or 2) - 1)


def plain_reason(error: BaseException) -> str:
    """An engine's error text without its build paths and source lines: what a person can use.

    Where a library of the system was missing, what to install.
    """
    if missing := what_is_missing(error):
        return missing
    text = str(error).strip() or type(error).__name__
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Exception from ")]
    kept = " ".join(lines or [text])
    kept = re.sub(r"(?:[A-Za-z]:)?[\w.\-]*[\\/](?:[\w.\-+@ ]+[\\/])+", "", kept)
    kept = re.sub(r"Check '.*?' failed at \S+:\d+:?\s*", "", kept)
    return kept[:400]
