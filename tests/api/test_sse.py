"""What goes over the wire, in which order, while the clock and the client do what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

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


class Held:
    """Frames of which the first comes at once and no other ever, and whether they were let go of."""

    def __init__(self) -> None:
        self.closed = False

    async def frames(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: {}\n\n"
            await asyncio.Event().wait()
        finally:
            self.closed = True


class Door:
    """A client's connection, as the server's side of ASGI sees it."""

    def __init__(self, *, reads: bool = True) -> None:
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()
        self.written = asyncio.Event()
        self.complete = False
        self.scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": []}
        self._reads = reads

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            return
        if not self._reads:
            await asyncio.Event().wait()
        self.bodies += [message["body"]] if message["body"] else []
        self.complete = not message["more_body"]
        self.written.set()

    async def answer(self, frames: AsyncGenerator[bytes, None], *, heartbeat: float = 60.0) -> asyncio.Task[None]:
        """The stream, on its way."""
        request = Request(self.scope, self.receive)
        response = await sse.respond(request, frames, heartbeat=heartbeat, activity=lambda: "generating")
        return asyncio.create_task(response(self.scope, self.receive, self.send))

    @property
    def failure(self) -> str | None:
        """What the log's line about the request names."""
        failure: str | None = self.scope.get("state", {}).get("failure")
        return failure


def test_a_client_that_leaves_frees_what_it_held() -> None:
    async def work() -> None:
        held, door = Held(), Door()
        answering = await door.answer(held.frames())
        await door.written.wait()
        door.left.set()
        await answering
        assert held.closed
        assert not door.complete
        assert door.failure == "client_gone"

    asyncio.run(work())


@pytest.mark.parametrize(
    ("failure", "named"),
    [(None, None), (InvalidRequest("No.", param="stop"), "invalid_value"), (ZeroDivisionError(), "internal_error")],
    ids=["done", "failed", "defect"],
)
def test_the_log_names_what_a_stream_failed_of_though_its_status_was_sent_before(
    failure: Exception | None, named: str | None
) -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield b"data: {}\n\n"
        if failure:
            raise failure

    async def work() -> None:
        door = Door()
        await (await door.answer(frames()))
        assert door.complete
        assert door.failure == named

    asyncio.run(work())


def test_a_server_that_ends_an_answer_frees_what_it_held() -> None:
    async def work() -> None:
        held, door = Held(), Door()
        answering = await door.answer(held.frames())
        await door.written.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        assert held.closed

    asyncio.run(work())


def test_a_client_that_reads_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sse, "UNREAD", 0.01)

    async def work() -> None:
        held, door = Held(), Door(reads=False)
        await (await door.answer(held.frames()))
        assert held.closed
        assert not door.bodies

    asyncio.run(work())
    assert "has read nothing" in caplog.text


@pytest.mark.parametrize("place", [0, -1], ids=["start", "end"])
def test_a_client_that_reads_nothing_is_waited_for_neither_at_the_start_nor_at_the_end(
    monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(sse, "UNREAD", 0.01)
    stuck = ("http.response.start", "http.response.body")[place]
    sent = []

    async def frames() -> AsyncGenerator[bytes, None]:
        yield b"data: {}\n\n"

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == stuck and not message.get("more_body"):
            await asyncio.Event().wait()

    async def work() -> None:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        answer = await sse.respond(Request(scope, receive), frames(), heartbeat=60.0, activity=str)
        async with asyncio.timeout(30):
            await answer(scope, receive, send)

    asyncio.run(work())
    assert sent[-1]["type"] == stuck


def test_a_client_that_waits_for_long_is_not_taken_for_one_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "UNREAD", BEAT)

    async def work() -> None:
        held, door = Held(), Door()
        answering = await door.answer(held.frames(), heartbeat=2 * BEAT)
        while door.bodies.count(b": generating\n\n") < 3:
            door.written.clear()
            await door.written.wait()
        assert not answering.done()
        door.left.set()
        await answering

    asyncio.run(work())


def test_a_client_that_leaves_before_the_first_event_frees_what_it_held() -> None:
    closed = []

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            closed.append(True)

    async def work() -> None:
        door = Door()
        answering = await door.answer(frames(), heartbeat=BEAT)  # it has begun with a comment
        await door.written.wait()
        door.left.set()
        await answering

    asyncio.run(work())
    assert closed == [True]


def test_a_defect_in_the_middle_is_told_and_nothing_of_it_leaks(caplog: pytest.LogCaptureFixture) -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield b"data: {}\n\n"
        raise ZeroDivisionError("secret")

    async def work() -> list[bytes]:
        door = Door()
        await (await door.answer(frames()))
        assert door.complete
        return door.bodies

    first, last = asyncio.run(work())
    assert first == b"data: {}\n\n"
    assert last.startswith(b'data: {"error"')
    assert b"secret" not in last
    assert "defect in the middle of a stream" in caplog.text


def test_a_stream_without_an_event_has_its_end_alone() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        for nothing in list[bytes]():
            yield nothing

    async def work() -> list[bytes]:
        door = Door()
        await (await door.answer(frames()))
        assert door.complete
        return door.bodies

    assert asyncio.run(work()) == [sse.DONE]


def test_a_mould_fills_in_any_text_as_json_has_it() -> None:
    mould = sse.Mould({"a": 1, "text": sse.HOLE, "b": None})
    for text in ('"quotes"\\', "line\nend\u2028", "ä🦊", ""):
        assert mould.filled(text) == sse.frame({"a": 1, "text": text, "b": None})
