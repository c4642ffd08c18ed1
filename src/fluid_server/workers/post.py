"""What a worker's steps bring, on its way to the server: at once, or with what the next steps bring."""

from __future__ import annotations

import time
from typing import Self

from fluid_server.errors import FluidError
from fluid_server.runtimes.base import BaseRuntime, Outcome
from fluid_server.types import Cancelled, Done, ReasoningPiece, TextPiece, ToolPiece
from fluid_server.workers.protocol import Channel, Events

TOGETHER = 0.004  # seconds that a piece may be kept: a quarter of what a screen shows its picture
PIECES = frozenset({TextPiece, ReasoningPiece, ToolPiece})


class Post:
    """Tells the server what steps bring, one message a step, or fewer where steps are shorter than anybody can see.

    A step of a small model takes half a millisecond, and to tell of it, to wake the server and to be interrupted by it
    takes a tenth of that again. So pieces of answers wait for those of the next steps, TOGETHER at most: not the first
    one of an answer, nothing but pieces, and only where the next step is known to be about as short as the last.
    What is left is sent when the block ends.
    """

    def __init__(self, channel: Channel, runtime: BaseRuntime) -> None:
        self._channel = channel
        self._runtime = runtime
        self._told = runtime.counters
        self._kept: list[Outcome] = []
        self._known: set[int] = set()  # requests whose first piece has been sent
        self._sent = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send()

    def take(self, outcomes: list[Outcome], began: float) -> None:
        """Take what the step brought that began then, by ``time.monotonic``.

        Before the worker falls idle it also sends counters that have changed without an event: the last released
        sequence may leave the engine in a step that brings nothing.
        """
        self._kept += outcomes
        if not self._runtime.busy:
            if self._kept or self._runtime.counters != self._told:
                self._tell()
        elif not (self._runtime.steady and self._may_wait(outcomes, began)):
            self.send()

    def send(self) -> None:
        """Send what is kept."""
        if self._kept:
            self._tell()

    def _tell(self) -> None:
        self._told = self._runtime.counters
        kept, self._kept = self._kept, []
        self._channel.send(Events(tuple(kept), self._told))
        self._sent = time.monotonic()

    def _may_wait(self, outcomes: list[Outcome], began: float) -> bool:
        for number, event in outcomes:
            if number not in self._known or type(event) not in PIECES:
                self._note(outcomes)
                return False
        now = time.monotonic()
        return now + (now - began) < self._sent + TOGETHER

    def _note(self, outcomes: list[Outcome]) -> None:
        for number, event in outcomes:
            if isinstance(event, Done | Cancelled | FluidError):
                self._known.discard(number)
            else:
                self._known.add(number)
