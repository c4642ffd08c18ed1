"""The feed of what happens: state changes, downloads, evictions, failures. Many listen, nobody is waited for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

from fluid_server.types import Happening

BEHIND = 500  # happenings that a slow listener may be behind before the oldest are dropped


class EventFeed:
    """Hands every happening to every listener. Called on the event loop only."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    def publish(self, type_: str, **data: Any) -> None:
        """Tell all who listen now; costs nothing where nobody does."""
        if self._listeners:
            happening = Happening(type=type_, created=time.time(), data=data)
            for listener in self._listeners:
                listener.put(happening)

    @contextmanager
    def listening(self) -> Generator[Listener, None, None]:
        """Everything that happens from now on, until this block or the feed ends."""
        listener = Listener()
        if self._closed:
            listener.end()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Let everybody go who still listens."""
        self._closed = True
        for listener in self._listeners:
            listener.end()


class Listener(AsyncIterator[Happening]):
    """One who listens. Who is too slow hears ``feed.lagged`` with how many were dropped."""

    def __init__(self) -> None:
        self._waiting: deque[Happening] = deque()
        self._dropped = 0
        self._ended = False
        self._arrived = asyncio.Event()

    def put(self, happening: Happening) -> None:
        """Deliver; the oldest gives way where there are too many."""
        self._waiting.append(happening)
        if len(self._waiting) > BEHIND:
            self._waiting.popleft()
            self._dropped += 1
        self._arrived.set()

    def end(self) -> None:
        """Nothing follows."""
        self._ended = True
        self._arrived.set()

    async def __anext__(self) -> Happening:
        """The next one; waits for it."""
        await self._arrived.wait()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return Happening(type="feed.lagged", created=time.time(), data={"dropped": dropped})
        if not self._waiting:
            raise StopAsyncIteration
        happening = self._waiting.popleft()
        if not self._waiting and not self._ended:
            self._arrived.clear()
        return happening
