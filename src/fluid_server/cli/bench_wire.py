"""HTTP for measuring: one request at a time over a connection that stays open, and the time at which each piece came.

A general client takes longer for a chunk than a quick server does. This one hands the bytes on as the socket gives
them, and llhttp, in C, undoes the chunked encoding.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote, urlsplit

import httptools

from fluid_server import __version__
from fluid_server.cli.bench_stream import Reading, message_of
from fluid_server.errors import InvalidRequest

OK = 200
PORTS = {False: 80, True: 443}
CUT = "connection cut"
STREAM = "text/event-stream"
KEPT = 65536  # bytes of an answer that is no stream: it is only read for what it says of a failure


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go. ``path`` is the base URL's."""

    host: str
    port: int
    path: str
    secure: bool
    key: str | None = None

    @property
    def url(self) -> str:
        """As a person writes it."""
        return f"{'https' if self.secure else 'http'}://{self.place}{self.path}"

    @property
    def place(self) -> str:
        """Host and port, the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.secure] else f"{host}:{self.port}"

    def head(self, path: str, length: int) -> bytes:
        """The head of a POST of JSON."""
        lines = [
            f"POST {self.path}{path} HTTP/1.1",
            f"Host: {self.place}",
            f"User-Agent: fluid-server-bench/{__version__}",
            f"Accept: {STREAM}, application/json",
            "Accept-Encoding: identity",
            "Content-Type: application/json",
            f"Content-Length: {length}",
            *([f"Authorization: Bearer {self.key}"] if self.key else []),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def address_at(url: str, key: str | None) -> Address:
    """An OpenAI client's base_url; where it has no path, /v1 is meant. Errors: InvalidRequest."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.username:
        raise InvalidRequest(f"'{url}' is no address of a server. Write it as http://HOST:PORT/v1.", param="base_url")
    secure = parts.scheme == "https"
    path = quote(parts.path.rstrip("/"), safe="/%:@") or "/v1"
    return Address(host, port or PORTS[secure], path, secure, key)


@dataclass(slots=True)
class Exchange:
    """One request and what came of it. Times in seconds of ``time.perf_counter``; ``status`` 0: no answer came.

    ``failure`` says what kept the answer from its end: a kind, short enough for a table. ``whole``: it came to its end.
    """

    sent: float = 0.0
    over: float = 0.0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    body: bytes = b""
    whole: bool = False
    failure: str | None = None

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.status == OK and self.headers.get("content-type", "").startswith(STREAM)

    @property
    def refusal(self) -> tuple[str | None, str]:
        """The code and the message of an answer that is a failure."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return None, self.body.decode(errors="replace").strip()[:200] or "no reason given"
        error = told.get("error") if isinstance(told, dict) else None
        code = (error.get("code") or error.get("type")) if isinstance(error, dict) else None
        return None if code is None else str(code), message_of(told)


class Connection(asyncio.Protocol):
    """One connection. It is opened again where the server has closed it after an answer."""

    def __init__(self, address: Address, silence: float) -> None:
        self.address = address
        self._silence = silence  # seconds without a byte after which an answer is given up
        self._transport: asyncio.Transport | None = None
        self._exchange = Exchange()
        self._parser = httptools.HttpResponseParser(self)
        self._over: asyncio.Future[None] | None = None
        self._heard = 0.0
        self.closed = True

    async def open(self) -> None:
        """Connect, if it is not. Errors: OSError, TimeoutError."""
        if not self.closed:
            return
        secure = _tls() if self.address.secure else None
        async with asyncio.timeout(self._silence):
            await asyncio.get_running_loop().create_connection(
                lambda: self, self.address.host, self.address.port, ssl=secure
            )

    def close(self) -> None:
        """Leave, in the middle of an answer too: the server sees that nobody waits for it any more."""
        if self._transport is not None:
            self._transport.abort()
        self.closed = True

    async def post(self, path: str, body: Mapping[str, object], exchange: Exchange) -> None:
        """Send a request and read its answer to the end into ``exchange``, which says what went wrong, if anything.

        Cancelled, it leaves the connection closed and in ``exchange`` what has come until then.
        """
        data = json.dumps(body).encode()
        used = not self.closed
        await self._once(path, data, exchange)
        if used and not exchange.status and exchange.failure == CUT:  # it was closed just as it was used again
            exchange.failure = None
            await self._once(path, data, exchange)

    async def _once(self, path: str, data: bytes, exchange: Exchange) -> None:
        try:
            await self.open()
        except (OSError, TimeoutError) as error:  # ssl's errors are of the first kind
            exchange.failure = f"no connection ({_reason(error)})"
            return
        assert self._transport is not None
        self._exchange = exchange
        self._parser = httptools.HttpResponseParser(self)
        self._over = over = asyncio.get_running_loop().create_future()
        exchange.sent = self._heard = time.perf_counter()
        self._transport.write(self.address.head(path, len(data)) + data)
        try:
            await self._answer(over)
        finally:
            exchange.over = time.perf_counter()
            if not over.done():  # it was broken off: what still comes would be taken for the next answer
                self.close()

    async def _answer(self, over: asyncio.Future[None]) -> None:
        while not over.done():
            left = self._heard + self._silence - time.perf_counter()
            if left <= 0:
                self._end("timeout")
                self.close()
            else:
                await asyncio.wait((over,), timeout=left)

    def _end(self, failure: str | None = None) -> None:
        if self._over is not None and not self._over.done():
            self._exchange.failure = failure
            self._over.set_result(None)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.closed = False

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        self._heard = time.perf_counter()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end("no HTTP")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has gone. That is the end of an answer whose length nobody told."""
        self.closed = True
        framed = self._exchange.headers.keys() & {"content-length", "transfer-encoding"}
        self._exchange.whole = self._exchange.whole or bool(self._exchange.status and not framed and exc is None)
        self._end(None if self._exchange.whole else CUT)

    # --- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer."""
        self._exchange.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The status is known."""
        self._exchange.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """A piece of the answer."""
        if self._exchange.streams:
            self._exchange.reading.feed(self._heard, body)
        elif len(self._exchange.body) < KEPT:
            self._exchange.body += body

    def on_message_complete(self) -> None:
        """All of the answer is here."""
        self._exchange.whole = True
        if not self._parser.should_keep_alive():
            self.close()
        self._end()


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that every other connection of ours trusts."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
