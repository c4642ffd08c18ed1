"""Streams of one JSON object a line, for clients that ask for them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from fluid_server.api.errors import body_of
from fluid_server.errors import FluidError

MEDIA_TYPE = "application/x-ndjson"


def wanted(request: Request) -> bool:
    """Whether the client accepts lines of JSON."""
    return MEDIA_TYPE in request.headers.get("accept", "")


def respond(objects: AsyncGenerator[dict[str, Any], None]) -> StreamingResponse:
    """Answer with a stream; a failure in the middle is its last line, in the shape of all errors."""
    return StreamingResponse(_lines(objects), media_type=MEDIA_TYPE)


async def _lines(objects: AsyncGenerator[dict[str, Any], None]) -> AsyncIterator[bytes]:
    try:
        async with aclosing(objects):
            async for one in objects:
                yield _line(one)
    except FluidError as error:
        yield _line(body_of(error))


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
