"""A request's mailbox on the server's side: what its worker says of it, until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from fluid_server.errors import FluidError
from fluid_server.types import Cancelled, Done, Event

LAST = (Done, Cancelled, FluidError)  # what a request's events end with


class Ticket:
    """One request's mailbox. Ends after Done or Cancelled, or by raising the request's failure."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begun = False
        self.over = False
        self._events: list[Event] = []
        self._failure: FluidError | None = None
        self._arrived = asyncio.Event()

    def put(self, event: Event | FluidError) -> None:
        """Deliver; called on the event loop only."""
        if self.over:  # ended by us, and the worker has not heard of it yet
            return
        self.begun = True
        self.over = isinstance(event, LAST)
        if isinstance(event, FluidError):
            self._failure = event
        else:
            self._events.append(event)
        self._arrived.set()

    async def batch(self) -> list[Event]:
        """All events that have come, at least one. Errors: the failure, after the events before it were given."""
        await self._arrived.wait()
        events, self._events = self._events, []
        if self._failure is None:
            self._arrived.clear()
        elif not events:
            raise self._failure
        return events

    async def batches(self) -> AsyncGenerator[list[Event], None]:
        """All batches up to the end."""
        ended = False
        while not ended:
            events = await self.batch()
            ended = isinstance(events[-1], Done | Cancelled)
            yield events
