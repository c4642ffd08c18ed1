"""Server-sent events: the only writer of ``data:``."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import AppStatus, EventSourceResponse, SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from fluid_server.api.deps import disconnected
from fluid_server.api.errors import body_of, internal_error
from fluid_server.errors import ClientGone, FluidError

logger = logging.getLogger(__name__)
MEDIA_TYPE = "text/event-stream"
DONE = b"data: [DONE]\n\n"
UNREAD = 60.0  # seconds that a client may leave everything unread before its stream, and its place in the model, end

# Streams are ended by the manager's drain, with an error that the client can read, rather than cut off.
AppStatus.enable_automatic_graceful_drain = False


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
    first = asyncio.ensure_future(anext(frames))
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
    return _Stream(first, frames, heartbeat, activity, ending or Ending())


class _Stream(EventSourceResponse):
    """Ends where the client has stopped reading: what it holds is wanted by others."""

    def __init__(
        self,
        first: asyncio.Future[bytes],
        frames: AsyncGenerator[bytes, None],
        heartbeat: float,
        activity: Callable[[], str],
        ending: Ending,
    ) -> None:
        super().__init__(
            self._body(first, frames, activity, ending),
            ping=heartbeat,
            ping_message_factory=lambda: ServerSentEvent(comment=activity(), sep="\n"),
            sep="\n",
            send_timeout=UNREAD,
        )
        self._over = False  # the last event is on its way: a heartbeat behind it would be read as part of the answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            logger.warning("a client has read nothing for %.0f s: its stream is ended", UNREAD)

    async def _ping(self, send: Send) -> None:
        async def unless_over(message: Message) -> None:
            if not self._over:
                await send(message)

        await super()._ping(unless_over)

    async def _body(
        self,
        first: asyncio.Future[bytes],
        frames: AsyncGenerator[bytes, None],
        activity: Callable[[], str],
        ending: Ending,
    ) -> AsyncIterator[bytes]:
        try:
            async with aclosing(frames):
                if not first.done():
                    yield f": {activity()}\n\n".encode()
                yield await first
                async for some in frames:
                    yield some
            self._over = True
            if ending.last:
                yield ending.last
        except FluidError as error:
            self._over = True
            yield await ending.failed(error)
        except Exception:  # too late for a status: a client that reads the stream must still learn of it
            logger.exception("defect in the middle of a stream")
            self._over = True
            yield await ending.failed(internal_error())


async def _abandon(first: asyncio.Future[bytes], frames: AsyncGenerator[bytes, None]) -> None:
    first.cancel()
    with suppress(asyncio.CancelledError, FluidError, StopAsyncIteration):
        await first
    await frames.aclose()
