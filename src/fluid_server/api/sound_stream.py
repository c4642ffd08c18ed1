"""A sound file as an answer, sent as it grows. Its failure after the first bytes can only be a cut connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

from fluid_server.api.deps import unless_gone
from fluid_server.api.sse import UNREAD
from fluid_server.errors import FluidError

logger = logging.getLogger(__name__)


async def respond(request: Request, pieces: AsyncGenerator[bytes, None], media_type: str) -> Response:
    """Answer once the first bytes are there, so that a failure before them has its status.

    Errors: the failure before the first bytes; ClientGone.
    """
    first = await unless_gone(request, _first(pieces))
    return _Sound(first, pieces, media_type)


async def _first(pieces: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(pieces)


class _Sound(StreamingResponse):
    """Ends where the client has stopped reading, as streams of events do.

    What breaks off has no last chunk: a client that looks at the protocol sees that it does not have all of it.
    """

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes, None], media_type: str) -> None:
        super().__init__(self._body(first, pieces), media_type=media_type)
        self._pieces = pieces

    async def _body(self, first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    async def stream_response(self, send: Send) -> None:
        """Send all of it, or as much as there is."""

        async def while_it_is_read(message: Message) -> None:
            async with asyncio.timeout(UNREAD):
                await send(message)

        async with aclosing(self._pieces):
            try:
                await super().stream_response(while_it_is_read)
            except FluidError as error:
                logger.warning("speech broke off: %s", error.message, extra={"code": error.code})
            except TimeoutError:
                logger.warning("a client has read nothing for %.0f s: its speech is ended", UNREAD)
