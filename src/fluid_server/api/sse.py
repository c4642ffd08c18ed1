"""Server-sent events: the only writer of ``data:``."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from fluid_server.api.deps import disconnected, left
from fluid_server.api.errors import body_of, internal_error
from fluid_server.api.tasks import end
from fluid_server.errors import ClientGone, FluidError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "text/event-stream"
DONE = b"data: [DONE]\n\n"
UNREAD = 60.0  # seconds that a client may leave everything unread before its stream, and its place in the model, end
# No cache may keep it, and no proxy may collect it before it passes it on.
HEADERS = {"Cache-Control": "no-store", "Connection": "keep-alive", "X-Accel-Buffering": "no"}

HOLE = "\0"  # where a mould's text goes
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def frame(data: dict[str, Any], event: str | None = None) -> bytes:
    """One event, with its name where it has one."""
    name = b"" if event is None else f"event: {event}\n".encode()
    return name + b"data: " + _written(data).encode() + b"\n\n"


class Mould:
    """An event that is sent again and again with another text in it: all around the text is written down once."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._before, self._after = frame(data).split(_written(HOLE).encode())

    def filled(self, text: str) -> bytes:
        """The event with this text."""
        return self._before + _written(text).encode() + self._after


def described(*also: str) -> dict[int | str, dict[str, Any]]:
    """A stream as the API's description shows it: by its media type, since no schema describes a sequence of events.

    ``also`` are further media types of the same answer.
    """
    return {200: {"description": "Success", "content": {media: {} for media in (MEDIA_TYPE, *also)}}}


async def _told(error: FluidError) -> bytes:
    return frame(body_of(error))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ends: with ``last`` where all went well, else with the frames of its failure."""

    last: bytes = DONE
    failed: Callable[[FluidError], Awaitable[bytes]] = _told


async def respond(
    request: Request,
    frames: AsyncGenerator[bytes, None],
    *,
    heartbeat: float,
    activity: Callable[[], str],
    ending: Ending | None = None,
) -> Response:
    """Answer with a stream once its first frames are there, so that a failure before them has its status.

    If they take longer than ``heartbeat`` seconds the stream begins with comments that say what goes on.
    Errors: the failure before the first frames; ClientGone.
    """
    first = asyncio.ensure_future(anext(frames, b""))  # a stream may have nothing but its end
    gone = asyncio.ensure_future(disconnected(request))
    begun = False
    try:
        await asyncio.wait({first, gone}, timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED)
        if not first.done() and gone.done():
            raise ClientGone("The client closed the connection.")
        if first.done():
            first.result()
        begun = True
    finally:
        gone.cancel()
        if not begun:  # whatever ended this, the request in the worker must not go on
            await _abandon(first, frames)
    return _Stream(first, frames, heartbeat, activity, _noted(ending or Ending(), request))


def _noted(ending: Ending, request: Request) -> Ending:
    """The same, but the line of the log about this request names the failure: its status was sent long before."""

    async def failed(error: FluidError) -> bytes:
        request.state.failure = error.code
        return await ending.failed(error)

    return replace(ending, failed=failed)


class _Stream(StreamingResponse):
    """Ends where the client has left, or has stopped reading: what it holds is wanted by others.

    Nothing but the writing itself is done for each event: whether the client is there and reads is watched by tasks
    beside it.
    """

    def __init__(
        self,
        first: asyncio.Future[bytes],
        frames: AsyncGenerator[bytes, None],
        heartbeat: float,
        activity: Callable[[], str],
        ending: Ending,
    ) -> None:
        super().__init__(frames, media_type=MEDIA_TYPE, headers=HEADERS)
        self._first = first
        self._frames = frames
        self._heartbeat = heartbeat
        self._activity = activity
        self._ending = ending
        self._writing_since: float | None = None
        self._over = False  # the last event is on its way: a heartbeat behind it would be read as part of the answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, unless the client leaves or stops reading before."""
        work = (self._write(send), self._beat(send), self._unread(), left(receive))
        tasks = [asyncio.ensure_future(one) for one in work]
        written, *_, gone = tasks
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(tasks)
            await _abandon(self._first, self._frames)
        if gone in done and written not in done:
            Request(scope).state.failure = ClientGone.code
        for task in done:
            task.result()

    async def _write(self, send: Send) -> None:
        clock = asyncio.get_running_loop().time

        async def write(some: bytes, *, more: bool = True) -> None:
            self._writing_since = clock()
            await send({"type": "http.response.body", "body": some, "more_body": more})
            self._writing_since = None

        self._writing_since = clock()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if last := await self._written(write):
            await write(last)
        await write(b"", more=False)

    async def _written(self, write: Callable[[bytes], Awaitable[None]]) -> bytes:
        """Write all events but the last, which is the answer."""
        try:
            async with aclosing(self._frames) as frames:
                if not self._first.done():
                    await write(f": {self._activity()}\n\n".encode())
                await write(await self._first)
                async for some in frames:
                    await write(some)
        except FluidError as error:
            self._over = True
            return await self._ending.failed(error)
        except Exception:  # too late for a status: a client that reads the stream must still learn of it
            logger.exception("defect in the middle of a stream")
            self._over = True
            return await self._ending.failed(internal_error())
        self._over = True
        return self._ending.last

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            comment = f": {self._activity()}\n\n".encode()
            if not self._over and self._writing_since is None:
                await send({"type": "http.response.body", "body": comment, "more_body": True})

    async def _unread(self) -> None:
        """Return when the client has left everything unread for too long."""
        clock = asyncio.get_running_loop().time
        while True:
            rest = (self._writing_since or clock()) + UNREAD - clock()
            if rest <= 0:
                break
            await asyncio.sleep(rest)
        logger.warning("a client has read nothing for %.0f s: its stream is ended", UNREAD)


async def _abandon(first: asyncio.Future[bytes], frames: AsyncGenerator[bytes, None]) -> None:
    """End them, whatever they are at; nothing is left where they have ended."""
    await end([first])
    await frames.aclose()
