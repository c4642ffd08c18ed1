"""How long what still runs gets at the end."""

from __future__ import annotations

import asyncio

import pytest

from fluid_server.managers.grace import Grace
from tests.awaited import awaited, turns

LONG = 3600.0


@awaited
async def test_work_that_ends_is_not_waited_for_any_longer() -> None:
    await Grace(LONG).give(turns(3))


@awaited
async def test_its_failure_is_told() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Grace(LONG).give(fails())


@pytest.mark.parametrize("late", [0, 3])
@awaited
async def test_it_may_be_cut_short_before_and_while_it_lasts(late: int) -> None:
    grace = Grace(LONG)
    asyncio.ensure_future(turns(late)).add_done_callback(lambda _: grace.cut_short())
    await grace.give(asyncio.Event().wait())
    await grace.give(asyncio.Event().wait(), more=LONG)


@awaited
async def test_it_ends_by_itself() -> None:
    await Grace(0).give(asyncio.Event().wait())
