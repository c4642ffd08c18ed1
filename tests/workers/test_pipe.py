"""The server's end of a pipe, by the event loop and by a thread."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from fluid_server.workers.pipe import HERE, ROOM, Listener, ThreadedPipe, WatchedPipe

WAYS = [ThreadedPipe, *([WatchedPipe] if sys.platform != "win32" else [])]
MUCH = bytes(range(256)) * (3 * ROOM // 256)
PATIENCE = 30.0


class Heard:
    """A pipe that is listened to, and what came of it."""

    def __init__(self, way: type[Listener]) -> None:
        reading, self.writing = os.pipe()
        self.stream = os.fdopen(reading, "rb")
        self.data = b""
        self.pieces = 0
        self.came = asyncio.Event()
        self.ended = asyncio.Event()
        self.listener = way(asyncio.get_running_loop(), cast("Any", self.stream), self._heard, self.ended.set)
        self.listener.start()

    def _heard(self, data: bytes) -> None:
        self.data += data
        self.pieces += 1
        self.came.set()

    async def write(self, data: bytes, *, close: bool = False) -> None:
        """From a thread, as another process would: a full pipe makes it wait."""

        def work() -> None:
            os.write(self.writing, data)
            if close:
                os.close(self.writing)

        await asyncio.to_thread(work)


def run(work: Callable[[Heard], Coroutine[Any, Any, None]], way: type[Listener]) -> None:
    async def all_of_it() -> None:
        heard = Heard(way)
        async with asyncio.timeout(PATIENCE):
            await work(heard)
        heard.stream.close()

    asyncio.run(all_of_it())


@pytest.mark.parametrize("way", WAYS)
def test_all_that_is_written_is_heard_in_its_order_up_to_the_end(way: type[Listener]) -> None:
    async def work(heard: Heard) -> None:
        await heard.write(MUCH, close=True)
        await heard.ended.wait()
        assert heard.data == MUCH
        assert heard.pieces >= len(MUCH) // ROOM  # between them others have their turn

    run(work, way)


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_after_a_silence_is_heard_too(way: type[Listener]) -> None:
    async def work(heard: Heard) -> None:
        for number in range(3):
            heard.came.clear()
            await heard.write(b"%d" % number)
            await heard.came.wait()
        await heard.write(b"", close=True)
        await heard.ended.wait()
        assert heard.data == b"012"

    run(work, way)


@pytest.mark.parametrize("way", WAYS)
def test_who_stops_hears_neither_more_nor_the_end(way: type[Listener]) -> None:
    async def work(heard: Heard) -> None:
        await heard.write(b"first")
        await heard.came.wait()
        heard.listener.stop()
        await heard.write(b"second", close=True)
        for _ in range(100):
            await asyncio.sleep(0)
        assert heard.data == b"first"
        assert not heard.ended.is_set()

    run(work, way)


def test_a_thread_listens_where_the_event_loop_cannot() -> None:
    assert (HERE is ThreadedPipe) == (sys.platform == "win32")
