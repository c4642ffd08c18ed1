"""What goes over the wire, in which order, while the clock and the client do what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from fastapi import Request
from starlette.types import Message

from fluid_server.api import sse
from fluid_server.errors import FluidError, InvalidRequest

BEAT = 0.001  # seconds: far more often than any of these sends takes


async def _frames(failure: FluidError | None) -> AsyncGenerator[bytes, None]:
    await asyncio.sleep(10 * BEAT)
    yield b"data: {}\n\n"
    if failure:
        raise failure


async def _sent(failure: FluidError | None = None) -> list[bytes]:
    """The bodies that a client gets who takes several heartbeats' time for each."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "asgi": {"spec_version": "2.3"}}
    answer = await sse.respond(Request(scope, receive), _frames(failure), heartbeat=BEAT, activity=lambda: "generating")
    bodies: list[bytes] = []

    async def send(message: Message) -> None:
        bodies.append(message.get("body", b""))
        await asyncio.sleep(10 * BEAT)

    await answer(scope, receive, send)
    return [body for body in bodies if body]


@pytest.mark.parametrize("failure", [None, InvalidRequest("No.", param="stop")], ids=["done", "failed"])
def test_heartbeats_come_while_the_client_waits_and_never_behind_the_last_event(failure: FluidError | None) -> None:
    bodies = asyncio.run(_sent(failure))
    assert b": generating\n\n" in bodies[: bodies.index(b"data: {}\n\n")]
    assert bodies[-1].startswith(b'data: {"error"' if failure else b"data: [DONE]")
