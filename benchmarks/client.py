"""Many streamed chats at once by a client that costs next to nothing, in a process of its own.

Clients of people have cores of their own. Here they share them with what is measured, and one that is woken for every
packet takes a core: this one looks at its sockets every two milliseconds, and counts bytes instead of parsing them.

Reads lines of JSON (``url``, ``bodies``: one for each stream) from stdin and answers each with one: ``tokens`` of each
stream by the server's own count, ``events`` (chunks of all streams), ``seconds`` from the first request to the last
byte, ``begun`` (seconds until every stream had come to its first bytes), ``cpu``: the client's seconds.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

EVERY = 0.002  # seconds between looks
ROOM = 2**20
TAIL = 4096  # bytes at the end of an answer, in which its usage stands


@dataclass(slots=True)
class Stream:
    """One answer as it comes."""

    connection: socket.socket
    events: int = 0
    tail: bytes = b""

    def read(self, buffer: memoryview) -> bool:
        """Take what is there; whether that was the end."""
        count = self.connection.recv_into(buffer)
        data = bytes(buffer[:count])
        self.events += data.count(b"data: ")
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        return count == 0

    @property
    def tokens(self) -> int:
        """How many the server says that the answer has; 0 for an answer without its end."""
        parts = self.tail.rsplit(b'"completion_tokens":', 1)
        return int(parts[1].split(b",")[0]) if len(parts) == 2 else 0


def request(netloc: str, body: dict[str, Any]) -> bytes:
    """A streamed chat, with its usage at the end."""
    payload = json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def together(url: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """All of them at once."""
    address = urlsplit(url)
    requests = [request(address.netloc, body) for body in bodies]
    streams = [Stream(socket.create_connection((address.hostname or "", address.port or 80))) for _ in bodies]
    buffer = memoryview(bytearray(ROOM))
    begun, started, used = 0.0, time.perf_counter(), time.process_time()
    with selectors.DefaultSelector() as selector:
        for stream, asked in zip(streams, requests, strict=True):
            stream.connection.sendall(asked)
            selector.register(stream.connection, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _ in selector.select():
                if key.data.read(buffer):
                    selector.unregister(key.fileobj)
            if not begun and all(stream.tail for stream in streams):
                begun = time.perf_counter() - started
            time.sleep(EVERY)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    for stream in streams:
        stream.connection.close()
    return {
        "tokens": [stream.tokens for stream in streams],
        "events": sum(stream.events for stream in streams),
        "seconds": seconds,
        "begun": begun,
        "cpu": used,
    }


def main() -> None:
    """Serve stdin."""
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(together(asked["url"], asked["bodies"])), flush=True)


if __name__ == "__main__":
    main()
