"""A model's place in memory: its state, its worker, its leases. One owner, one transition function."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from fluid_server.errors import FluidError
from fluid_server.managers.turnstile import Turnstile
from fluid_server.types import ModelInfo, ModelSpec
from fluid_server.workers.handle import WorkerHandle

logger = logging.getLogger(__name__)
FIRST_COOL_DOWN = 10.0
LONGEST_COOL_DOWN = 300.0
DEATHS_IN_A_ROW = 3  # of a worker that answered no request in between: then its model rests like one that did not load
UNKNOWN_LOAD = 5.0  # seconds that are said where nobody has seen the model load yet
PACE_MEMORY = 0.2  # weight of the newest answer in the running mean of how long answers take


class State(StrEnum):
    """Where a model is on its way into and out of memory."""

    ABSENT = "absent"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


ALLOWED = {
    State.ABSENT: {State.LOADING},
    State.LOADING: {State.WARMING, State.FAILED, State.ABSENT},
    State.WARMING: {State.READY, State.LOADING, State.FAILED, State.ABSENT},
    State.READY: {State.DRAINING, State.ABSENT, State.FAILED},
    State.DRAINING: {State.ABSENT},
    State.FAILED: {State.LOADING, State.ABSENT},
}


@dataclass(eq=False)
class Slot:
    """One model. Its manager alone changes it, on the event loop."""

    spec: ModelSpec
    on_move: Callable[[Slot, State], None] = field(default=lambda slot, before: None)
    state: State = State.ABSENT
    handle: WorkerHandle | None = None
    turnstile: Turnstile = field(default_factory=Turnstile)
    leases: int = 0
    places: int = 0
    pinned: bool = False
    crowded: bool = False
    keep_alive: float = 0.0
    idle_since: float | None = None
    load_seconds: float = 0.0
    ready_at: float = 0.0
    promised_bytes: int = 0
    pace: float = 0.0
    failure: FluidError | None = None
    failures: int = 0
    deaths: int = 0
    retry_at: float = 0.0
    notes: list[str] = field(default_factory=list)

    def move(self, state: State, *, failure: FluidError | None = None) -> None:
        """Change the state: the only place where that happens. Errors: RuntimeError for a forbidden step."""
        if state not in ALLOWED[self.state]:
            raise RuntimeError(f"a slot does not go from {self.state} to {state}")
        logger.debug("state", extra={"model": self.spec.id, "from": str(self.state), "to": str(state)})
        before, self.state = self.state, state
        if state is State.READY:
            self.failure = None
            self.failures = self.failures if self.deaths else 0
            self.idle_since = self.ready_at = time.monotonic()
            self.turnstile.open(self.capacity)
        elif state is State.FAILED:
            self.failures += 1
            self.failure = failure
            self.retry_at = time.monotonic() + cool_down(self.failures)
        if state in (State.ABSENT, State.FAILED):
            self.handle, self.idle_since = None, None
        if state is State.ABSENT:
            self.failure = failure
        self.on_move(self, before)

    def proved(self) -> None:
        """A request was answered: what went wrong before is over."""
        self.deaths, self.failures = 0, 0

    def took(self, seconds: float) -> None:
        """Note how long an answer held its place."""
        self.pace = seconds if not self.pace else self.pace + PACE_MEMORY * (seconds - self.pace)

    @property
    def next_place(self) -> float:
        """Seconds until a place in the queue is likely to be free: answers leave at the pace of the last ones."""
        return max(1.0 if self.state is State.READY else self.load_seconds or UNKNOWN_LOAD, self.pace / self.capacity)

    @property
    def info(self) -> ModelInfo | None:
        """What the loaded model turned out to be."""
        return self.handle.info if self.handle else None

    @property
    def usable(self) -> bool:
        """Whether a request can be sent to it now."""
        return self.state is State.READY and self.handle is not None and self.handle.alive

    @property
    def capacity(self) -> int:
        """Requests that the loaded model answers at once."""
        return self.info.parallel if self.info else 1

    @property
    def resting(self) -> float:
        """Seconds until a model that failed to load may be tried again."""
        return max(0.0, self.retry_at - time.monotonic()) if self.state is State.FAILED else 0.0

    def activity(self) -> str:
        """What a waiting client may be told, in a few words."""
        if self.crowded:
            return "waiting for memory that other models use"
        if self.state is State.LOADING:
            progress = self.handle.progress if self.handle else None
            done = f" {progress.fraction:.0%}" if progress and progress.fraction is not None else ""
            return f"loading{done}: {progress.text}" if progress else "loading"
        return str(self.state)


def cool_down(failures: int) -> float:
    """Seconds of rest after the n-th failure in a row: 10, 20, 40 … 300."""
    return min(LONGEST_COOL_DOWN, FIRST_COOL_DOWN * 2.0 ** (failures - 1))
