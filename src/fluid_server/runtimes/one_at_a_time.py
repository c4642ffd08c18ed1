"""OneAtATimeRuntime: plain generators as a runtime. For engines that answer a single request at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Generator

from fluid_server.errors import FluidError
from fluid_server.runtimes.base import BaseRuntime, Outcome
from fluid_server.types import Done, Event, Request

Answer = Generator[Event | None, None, None]


class OneAtATimeRuntime(BaseRuntime):
    """Gives a generator of events the three verbs. It yields None when nothing has come for a moment, so that a
    cancel is noticed; closing it must end the engine's work."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[int, Request]] = deque()
        self._current: tuple[int, Answer] | None = None

    @abstractmethod
    def check(self, request: Request) -> None:
        """Refuse a request that cannot be served, before it queues. Errors: any FluidError."""

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """The events of one request, Done last. Errors: any FluidError."""

    def add(self, request_id: int, request: Request) -> None:
        """Check the request and queue it."""
        self.check(request)
        self._waiting.append((request_id, request))

    def step(self) -> list[Outcome]:
        """The next event of the running request; the next request when there is none."""
        if self._current is None:
            request_id, request = self._waiting.popleft()
            self._current = request_id, self.answer(request)
        request_id, answer = self._current
        try:
            event = next(answer)
        except FluidError as error:
            self._current = None
            self.count(failed=1)
            return [(request_id, error)]
        if isinstance(event, Done):
            self._current = None
            answer.close()
            self.count(completed=1)
        return [(request_id, event)] if event is not None else []

    def drop(self, request_id: int) -> bool:
        """End the running answer, or leave the queue."""
        if self._current is not None and self._current[0] == request_id:
            self._current[1].close()
            self._current = None
            return True
        remaining = deque(entry for entry in self._waiting if entry[0] != request_id)
        was_here = len(remaining) < len(self._waiting)
        self._waiting = remaining
        return was_here

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        return self._current is not None or bool(self._waiting)

    @property
    def load_now(self) -> tuple[int, int]:
        """At most one runs; the others wait."""
        return int(self._current is not None), len(self._waiting)
