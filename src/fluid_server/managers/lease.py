"""The right to use a loaded model now, and what is counted while it is used."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from fluid_server.errors import FluidError
from fluid_server.managers.slot import Slot
from fluid_server.managers.visitor import Visitor
from fluid_server.metrics import Metrics
from fluid_server.types import (
    Ability,
    Done,
    EmbedRequest,
    Event,
    Fed,
    ListenRequest,
    ModelInfo,
    ModelSpec,
    ReasoningPiece,
    Request,
    TextPiece,
    ToolPiece,
    TranscribeRequest,
    TurnDone,
    Usage,
)
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.ticket import Ticket

PIECES = (TextPiece, ReasoningPiece, ToolPiece)
DOING = {TranscribeRequest: "transcribing", EmbedRequest: "embedding"}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a loaded model now. As long as it is held, the model stays."""

    spec: ModelSpec
    info: ModelInfo
    _handle: WorkerHandle
    _slot: Slot
    _visitor: Visitor
    _metrics: Metrics
    granted: float = field(default_factory=time.monotonic)

    @property
    def arrived(self) -> float:
        """When the request came, by time.monotonic()."""
        return self._visitor.started

    @property
    def load_seconds(self) -> float:
        """How much of the wait for this lease was the model's loading."""
        if self._slot.ready_at <= self.arrived:
            return 0.0
        return min(self._slot.load_seconds, self._slot.ready_at - self.arrived)

    async def run(self, request: Request) -> AsyncGenerator[list[Event], None]:
        """The answer's events in batches. Errors: the request's failure, or DeadlineExceeded; leaving cancels it."""
        watch = _Stopwatch(self._metrics, self.spec.id, self._visitor.started)
        doing = DOING.get(type(request), "generating")
        self._visitor.activity = lambda: doing
        running = self._handle.run(request, timeout=self._visitor.remaining, too_late=self._visitor.too_late)
        async with aclosing(running) as batches:
            async for events in batches:
                watch.see(events)
                if isinstance(events[-1], Done):
                    self._slot.proved()
                yield events

    @contextmanager
    def listen(self, request: ListenRequest) -> Generator[Live, None, None]:
        """A live request, as long as this block lasts; it is cancelled then. Errors: WorkerDied."""
        ticket = self._handle.submit(request)
        self._visitor.activity = lambda: "listening"
        try:
            yield Live(self._handle, ticket, self._count_turns)
        finally:
            self._handle.cancel(ticket)

    def _count_turns(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, TurnDone):
                self._slot.proved()
                _count(self._metrics, self.spec.id, event.usage)


@dataclass(frozen=True, slots=True)
class Live:
    """A live request that runs: what it is fed, and what it says."""

    _handle: WorkerHandle
    _ticket: Ticket
    _seen: Callable[[list[Event]], None]

    def feed(self, fed: Fed) -> None:
        """Give it more; nothing happens once it has ended."""
        self._handle.feed(self._ticket, fed)

    async def events(self) -> AsyncGenerator[list[Event], None]:
        """Its events in batches, up to the end. Errors: the request's failure."""
        async for events in self._ticket.batches():
            self._seen(events)
            yield events


class _Stopwatch:
    """Measures one answer as its batches come by."""

    def __init__(self, metrics: Metrics, model: str, started: float) -> None:
        self._metrics = metrics
        self._model = model
        self._started = started
        self._gaps = metrics.inter_token_seconds.labels(model)
        self._last: float | None = None

    def see(self, events: list[Event]) -> None:
        if pieces := _most_of_one_choice(events):
            self._text(pieces, time.monotonic())
        if isinstance(last := events[-1], Done):
            _count(self._metrics, self._model, last.usage)

    def _text(self, pieces: int, now: float) -> None:
        """Pieces that come together, since nobody took them sooner, came one by one in the time since the last."""
        if self._last is None:
            self._metrics.first_token_seconds.labels(self._model).observe(now - self._started)
        else:
            self._gaps.observe((now - self._last) / pieces, pieces)
        self._last = now


def _count(metrics: Metrics, model: str, usage: Usage) -> None:
    metrics.prompt_tokens.labels(model).inc(usage.prompt_tokens)
    metrics.cached_tokens.labels(model).inc(usage.cached_tokens)
    metrics.completion_tokens.labels(model).inc(usage.completion_tokens)
    metrics.audio_seconds.labels(model).inc(usage.audio_seconds)
    metrics.spoken_seconds.labels(model).inc(usage.spoken_seconds)


def _most_of_one_choice(events: list[Event]) -> int:
    """Choices are generated side by side: a step brings each of them a piece."""
    counts: dict[int, int] = {}
    for event in events:
        if isinstance(event, PIECES):
            counts[event.choice] = counts.get(event.choice, 0) + 1
    return max(counts.values(), default=0)


@contextmanager
def measured(metrics: Metrics, model: str, ability: Ability, visitor: Visitor) -> Generator[None, None, None]:
    """Count a request and its outcome, from the visitor's arrival to the end of this block."""
    try:
        yield
    finally:
        metrics.requests.labels(model, ability, _outcome(sys.exception())).inc()
        metrics.request_seconds.labels(model, ability).observe(time.monotonic() - visitor.started)


def _outcome(error: BaseException | None) -> str:
    match error:
        case None:
            return "ok"
        case FluidError():
            return error.code or "server_error"
        case asyncio.CancelledError() | GeneratorExit():
            return "cancelled"
    return "internal_error"
