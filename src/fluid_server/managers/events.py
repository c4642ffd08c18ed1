"""The feed of what happens: state changes, downloads, evictions, failures. Many listen, nobody is waited for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from fluid_server.types import Happening

BEHIND = 500  # happenings that a slow listener may be behind before the oldest are dropped


class EventFeed:
    """Hands every happening to every listener. Called on the event loop only."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def publish(self, type_: str, **data: Any) -> None:
        """Tell all who listen now; costs nothing where nobody does."""
        if self._listeners:
            happening = Happening(type=type_, created=time.time(), data=data)
            for listener in self._listeners:
                listener.put(happening)

    async def listen(self) -> AsyncGenerator[Happening, None]:
        """Everything from the first step of this on. Who is too slow hears ``feed.lagged`` with what was dropped."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.get()
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self._waiting: deque[Happening] = deque()
        self._dropped = 0
        self._arrived = asyncio.Event()

    def put(self, happening: Happening) -> None:
        self._waiting.append(happening)
        if len(self._waiting) > BEHIND:
            self._waiting.popleft()
            self._dropped += 1
        self._arrived.set()

    async def get(self) -> Happening:
        await self._arrived.wait()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return Happening(type="feed.lagged", created=time.time(), data={"dropped": dropped})
        happening = self._waiting.popleft()
        if not self._waiting:
            self._arrived.clear()
        return happening
