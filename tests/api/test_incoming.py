"""Bodies that are on their way when the server ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fluid_server.api.incoming import Incoming
from fluid_server.errors import ShuttingDown

PIECE = {"type": "http.request", "body": b"x", "more_body": True}


async def never() -> dict[str, Any]:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def at_once() -> dict[str, Any]:
    return PIECE


def test_a_body_that_is_waited_for_is_given_up_at_the_end() -> None:
    async def work() -> None:
        incoming = Incoming()
        waiting = asyncio.create_task(incoming.piece(never))
        await asyncio.sleep(0)
        incoming.end()
        with pytest.raises(ShuttingDown):
            await waiting
        with pytest.raises(ShuttingDown):
            await incoming.piece(never)

    asyncio.run(work())


def test_a_body_that_comes_is_passed_on() -> None:
    assert asyncio.run(Incoming().piece(at_once)) == PIECE


def test_whoever_cancels_a_wait_cancels_it() -> None:
    async def work() -> None:
        waiting = asyncio.create_task(Incoming().piece(never))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(work())


def test_a_timeout_of_the_connection_is_its_own() -> None:
    async def breaks() -> dict[str, Any]:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(Incoming().piece(breaks))
