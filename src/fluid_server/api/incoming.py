"""Requests whose body is still on its way when the server ends: their clients are told, not cut off."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from fluid_server.errors import ShuttingDown


class Incoming:
    """All bodies that are being waited for."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()
        self._over = False

    async def piece(self, receive: Receive) -> Message:
        """The next message of a body. Errors: ShuttingDown, once ``end`` was called and it is not there yet."""
        wait = asyncio.timeout(0 if self._over else None)
        self._waits.add(wait)
        try:
            async with wait:
                return await receive()
        except TimeoutError:
            if not wait.expired():
                raise
            raise ShuttingDown("The server is shutting down. Send the request again when it is back.") from None
        finally:
            self._waits.discard(wait)

    def end(self) -> None:
        """Whatever is not complete now would find no model any more."""
        self._over = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)
