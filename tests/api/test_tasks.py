"""The tasks of a request are ended, and a cancellation that comes meanwhile stays what it was."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from fluid_server.api.tasks import end
from tests.awaited import awaited, turns


async def _ends_slowly() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await turns(3)


async def _fails_at_the_end() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("nobody asks any more")


@awaited
async def test_all_have_ended_and_none_tells_its_failure() -> None:
    tasks = [asyncio.ensure_future(one()) for one in (_ends_slowly, _fails_at_the_end)]
    await turns(1)
    await end(tasks)
    assert all(task.done() for task in tasks)


@awaited
async def test_nothing_to_end_is_well() -> None:
    await end([])


@pytest.mark.parametrize("late", range(6))
@awaited
async def test_a_scope_knows_its_cancellation_again(late: int) -> None:
    task = asyncio.ensure_future(_ends_slowly())
    await turns(1)
    with anyio.CancelScope() as scope:
        asyncio.ensure_future(turns(late)).add_done_callback(lambda _: scope.cancel())
        await end([task])
        await asyncio.Event().wait()
    assert scope.cancelled_caught
