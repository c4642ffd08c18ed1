"""One request at a time over a plain socket: answers of every framing, and servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from fluid_server.cli.bench_run import failure_of
from fluid_server.cli.bench_wire import Address, Connection, Exchange, address_at
from fluid_server.errors import InvalidRequest

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


class Says(asyncio.Protocol):
    """Answers every request with the same bytes, and may close after them."""

    def __init__(self, data: bytes, *, closes: bool = False) -> None:
        self._data, self._closes = data, closes
        self._heard = b""
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._heard.endswith(b"\r\n\r\n{}"):
            self._heard = b""
            self.answered += 1
            self._transport.write(self._data)
            if self._closes:
                self._transport.close()


Answering = Callable[[], Says]


def says(data: bytes, *, closes: bool = False) -> Answering:
    return lambda: Says(data, closes=closes)


def framed(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    head = HEAD.replace(b"200 OK", status) + more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@asynccontextmanager
async def serving(answer: Answering) -> AsyncGenerator[Address, None]:
    server = await asyncio.get_running_loop().create_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Address("127.0.0.1", port, "/v1", secure=False)
    finally:
        server.close()


async def asked(answer: Answering, *, times: int = 1, silence: float = 30.0) -> list[Exchange]:
    exchanges = [Exchange() for _ in range(times)]
    async with serving(answer) as address:
        connection = Connection(address, silence)
        for exchange in exchanges:
            await connection.post("/x", {}, exchange)
        connection.close()
    return exchanges


@pytest.mark.parametrize(
    "answer",
    [
        says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(EVENT) + EVENT + b"\r\n0\r\n\r\n"),
        says(framed(EVENT)),
        says(framed(EVENT, more=b"Connection: close\r\n"), closes=True),
        says(HEAD + b"\r\n" + EVENT, closes=True),
    ],
    ids=["chunked", "length", "closed after each", "until it closes"],
)
def test_answers_of_every_framing_come_to_their_end(answer: Answering) -> None:
    for exchange in asyncio.run(asked(answer, times=3)):
        assert failure_of(exchange) is None
        assert exchange.whole
        assert exchange.sent < exchange.reading.chunks[0] <= exchange.over


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n", closes=True), "connection cut"),
        (says(b"", closes=True), "connection cut"),
        (says(b"SSH-2.0-OpenSSH\r\n"), "no HTTP"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), "no stream"),
        (says(framed(b"data: [DONE]\n\n")), "empty answer"),
        (says(framed(b"Bad", b"502 Bad")), "502"),
        (says(framed(b'{"error":{"code":"full"}}', b"429 No")), "429 full"),
    ],
)
def test_what_went_wrong_is_a_kind(answer: Answering, kind: str) -> None:
    (exchange,) = asyncio.run(asked(answer))
    assert failure_of(exchange) == kind


def test_a_server_that_falls_silent_is_given_up() -> None:
    (exchange,) = asyncio.run(asked(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), silence=0.5))
    assert failure_of(exchange) == "timeout"


def test_a_server_that_closes_a_connection_just_as_it_is_used_again_is_asked_once_more() -> None:
    class ForgetsToSay(Says):
        def data_received(self, data: bytes) -> None:
            if self.answered:
                self._transport.close()
            super().data_received(data)

    exchanges = asyncio.run(asked(lambda: ForgetsToSay(framed(EVENT)), times=3))
    assert [failure_of(one) for one in exchanges] == [None, None, None]
    assert all(len(one.reading.chunks) == 1 for one in exchanges)


def test_the_connection_is_made_again_after_a_failure() -> None:
    failing = asyncio.run(asked(says(b"nonsense\r\n"), times=2))
    assert [failure_of(one) for one in failing] == ["no HTTP", "no HTTP"]


def test_nobody_there_is_told() -> None:
    async def nobody() -> Exchange:
        exchange = Exchange()
        async with serving(says(b"")) as address:
            pass
        await Connection(address, 5.0).post("/x", {}, exchange)
        return exchange

    assert failure_of(asyncio.run(nobody())) == "no connection (refused)"


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        ("localhost:8080", "http://localhost:8080/v1"),
        ("https://ai.example/openai/v3", "https://ai.example/openai/v3"),
        ("https://ai.example:8443", "https://ai.example:8443/v1"),
        ("http://[::1]:9/", "http://[::1]:9/v1"),
    ],
)
def test_an_address_is_what_openai_clients_take(typed: str, url: str) -> None:
    assert address_at(typed, None).url == url


@pytest.mark.parametrize(
    "typed", ["ftp://x", "http://", "http://x:port", "http://[x", "http://x/v1?a=b", "http://me:pw@x/v1"]
)
def test_an_address_that_is_none_is_named(typed: str) -> None:
    with pytest.raises(InvalidRequest, match="no address of a server") as failure:
        address_at(typed, None)
    assert failure.value.param == "base_url"


def test_the_key_goes_where_it_is_wanted_and_nowhere_else() -> None:
    assert b"\r\nAuthorization: Bearer sesame\r\n" in address_at("x:1", "sesame").head("/y", 2)
    assert b"Authorization" not in address_at("x:1", None).head("/y", 2)
