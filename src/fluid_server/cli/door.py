"""The door of the server: it answers /live while the app behind it is still being imported, which takes most of a
start, and lets everybody else in once that is there."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from fastapi import FastAPI

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

ALIVE = b'{"status":"alive"}'  # as the app says it


class Door:
    """An ASGI application in front of the one that ``make`` imports and makes, in a thread.

    Where that fails, or its own start does, ``failure`` says why and ``give_up`` is called: nobody is let in.
    """

    def __init__(self, make: Callable[[], FastAPI]) -> None:
        self.failure: BaseException | None = None
        self.give_up: Callable[[], None] = lambda: None
        self._make = make
        self._app: FastAPI | None = None
        self._settled = asyncio.Event()  # the app is there, or will never be
        self._closing = asyncio.Event()

    async def app(self) -> FastAPI | None:
        """The app behind the door, as soon as it has started; None where it could not."""
        await self._settled.wait()
        return self._app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is None and scope.get("path") == "/live" and scope.get("method") == "GET":
            await _say_alive(send)
        elif (app := await self.app()) is not None:
            await app(scope, receive, send)
        else:
            await asyncio.Event().wait()  # the server is ending, and closes what is open

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        serving = asyncio.create_task(self._serve())
        serving.add_done_callback(self._ended)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._closing.set()
        await asyncio.wait([serving])
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self) -> None:
        """Start the app and end it, in one task: what it opens belongs to that."""
        app = await asyncio.to_thread(self._made)
        async with app.router.lifespan_context(app):
            self._app = app
            self._settled.set()
            await asyncio.to_thread(_give_back)
            await self._closing.wait()

    def _ended(self, serving: asyncio.Task[None]) -> None:
        self._settled.set()
        self.failure = None if serving.cancelled() else serving.exception()
        if self.failure is not None:
            self.give_up()

    def _made(self) -> FastAPI:
        """Nothing that is made here ends before the server does: collecting garbage in between finds none, and costs
        a tenth of the time; later it need not look at all this again either."""
        gc.disable()
        try:
            return self._make()
        finally:
            gc.freeze()
            gc.enable()


def _give_back() -> None:
    """What the imports and the start needed for a moment, glibc keeps: megabytes that are nobody's any more."""
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


async def _say_alive(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ALIVE)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ALIVE})
