"""Reads many chats at once over plain sockets and counts what comes: a client that costs next to nothing.

A process of its own, so that neither the server nor who measures pays for it. The address of the server is the first
argument. Reads ``streams tokens`` lines from stdin and answers each with one JSON object: tokens (the server's own
count), seconds from the first request to the last byte, begun (seconds until each stream had come to its first bytes),
events (chunks of the streams), reads, and the client's own seconds of CPU. The sockets are looked at every two
milliseconds, not at every packet: a reader that is woken for each one takes a core from the server that it measures.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

EVERY = 0.002  # seconds between looks
ROOM = 2**20
TAIL = 4096  # bytes at the end of an answer, in which its usage stands
WORDS = "one two three four five six seven eight nine ten"


@dataclass
class Stream:
    """One answer as it comes."""

    connection: socket.socket
    events: int = 0
    reads: int = 0
    tail: bytes = field(default=b"", repr=False)

    def read(self, buffer: memoryview) -> bool:
        """Take what is there; whether that was the end."""
        count = self.connection.recv_into(buffer)
        data = bytes(buffer[:count])
        self.reads += 1
        self.events += data.count(b"data: ")
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        return count == 0

    @property
    def tokens(self) -> int:
        """How many tokens the server says the answer has. Errors: IndexError for an answer that was cut."""
        return int(self.tail.rsplit(b'"completion_tokens":', 1)[1].split(b",")[0])


def question(host: str, tokens: int) -> bytes:
    """A streamed chat of exactly this many tokens."""
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": WORDS}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    payload = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def together(url: str, streams: int, tokens: int) -> dict[str, float]:
    """So many chats at once."""
    address = urlsplit(url)
    selector = selectors.DefaultSelector()
    opened = [socket.create_connection((address.hostname, address.port)) for _ in range(streams)]
    asked, buffer = question(address.netloc, tokens), memoryview(bytearray(ROOM))
    all_of_them = [Stream(connection) for connection in opened]
    started, used = time.perf_counter(), time.process_time()
    for stream in all_of_them:
        stream.connection.sendall(asked)
        selector.register(stream.connection, selectors.EVENT_READ, stream)
    begun = 0.0
    while selector.get_map():
        for key, _ in selector.select():
            if key.data.read(buffer):
                selector.unregister(key.fileobj)
        if not begun and all(stream.reads for stream in all_of_them):
            begun = time.perf_counter() - started
        time.sleep(EVERY)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    for connection in opened:
        connection.close()
    return {
        "tokens": sum(stream.tokens for stream in all_of_them),
        "seconds": seconds,
        "begun": begun,
        "events": sum(stream.events for stream in all_of_them),
        "reads": sum(stream.reads for stream in all_of_them),
        "cpu": used,
    }


def main() -> None:
    """Serve stdin."""
    print("ready", flush=True)
    for line in sys.stdin:
        streams, tokens = map(int, line.split())
        print(json.dumps(together(sys.argv[1], streams, tokens)), flush=True)


if __name__ == "__main__":
    main()
