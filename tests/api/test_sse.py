"""What goes over the wire, in which order, while the clock and the client do what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from fastapi import Request
from starlette.types import Message

from fluid_server.api import sse
from fluid_server.errors import FluidError, InvalidRequest

BEAT = 0.001  # seconds


class SlowClient:
    """Takes two heartbeats' time for each event, and so does what it waits for."""

    def __init__(self, failure: FluidError | None) -> None:
        self.bodies: list[bytes] = []
        self._failure = failure
        self._beat = asyncio.Event()

    def activity(self) -> str:
        """What a heartbeat says; asked at each, whether it is sent or not."""
        self._beat.set()
        return "generating"

    async def frames(self) -> AsyncGenerator[bytes, None]:
        await self._two_beats()
        yield b"data: {}\n\n"
        if self._failure:
            raise self._failure

    async def send(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        self.bodies += [body] if body else []
        if body.startswith(b"data:"):
            await self._two_beats()

    async def _two_beats(self) -> None:
        for _ in range(2):
            self._beat.clear()
            await self._beat.wait()


async def _sent(failure: FluidError | None) -> list[bytes]:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    client = SlowClient(failure)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "asgi": {"spec_version": "2.3"}}
    answer = await sse.respond(Request(scope, receive), client.frames(), heartbeat=BEAT, activity=client.activity)
    await answer(scope, receive, client.send)
    return client.bodies


@pytest.mark.parametrize("failure", [None, InvalidRequest("No.", param="stop")], ids=["done", "failed"])
def test_heartbeats_come_while_the_client_waits_and_never_behind_the_last_event(failure: FluidError | None) -> None:
    bodies = asyncio.run(_sent(failure))
    assert b": generating\n\n" in bodies[: bodies.index(b"data: {}\n\n")]
    assert bodies[-1].startswith(b'data: {"error"' if failure else b"data: [DONE]")
