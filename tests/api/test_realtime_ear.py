"""A realtime session's way to a model that cannot be had. (That to one that can is tried through the front door.)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fluid_server.api import realtime_ear
from fluid_server.api.realtime_ear import Ear, Listener
from fluid_server.errors import FluidError, ModelFailed, ShuttingDown, Unavailable
from fluid_server.types import EndTurn, ForgetSound, ListenRequest, NothingToTake, SoundBytes, SoundForgotten, Turned
from tests.front_door import PATIENCE

ASKED = ListenRequest()
SECOND = SoundBytes(bytes(48_000))


class Manager:
    """Has no place for anybody, or fails."""

    def __init__(self, failure: FluidError | None = None) -> None:
        self.failure = failure
        self.asked = 0

    @asynccontextmanager
    async def lease(self, *_: Any, **__: Any) -> AsyncGenerator[None]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        await asyncio.Event().wait()
        yield


class Client:
    """An ear, and what it tells."""

    def __init__(self, manager: Manager) -> None:
        self.told: list[Turned | FluidError] = []
        self.forgotten = asyncio.Event()
        stand_in: Any = manager
        self.ear = Ear(stand_in, "me", 30.0, Listener(tell=self._tell, broken=self._broken, over=lambda: None))

    async def _tell(self, turned: list[Turned]) -> None:
        self.told += turned
        if SoundForgotten() in turned:
            self.forgotten.set()

    async def _broken(self, error: FluidError) -> None:
        self.told.append(error)

    async def order(self, *orders: Any) -> None:
        for fed in orders:
            await self.ear.order(fed, ASKED)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_sound_that_no_model_listens_to_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_ear, "MOST_UNHEARD", 2.0)
    monkeypatch.setattr(realtime_ear, "PATIENCE", 0.01)

    async def work() -> None:
        client = Client(Manager())
        listening = asyncio.create_task(client.ear.run())
        await client.order(SECOND, SECOND, SECOND, EndTurn(1))
        with pytest.raises(Unavailable) as refused:
            await client.order(SECOND)
        assert (refused.value.param, refused.value.code) == ("audio", "input_audio_buffer_full")
        listening.cancel()

    run(work())


def test_a_model_that_fails_is_told_once_and_left_alone_for_as_long_as_it_says() -> None:
    async def work() -> None:
        failure = ModelFailed("It is broken.", retry_after=60)
        manager = Manager(failure)
        client = Client(manager)
        listening = asyncio.create_task(client.ear.run())
        await client.order(SECOND, SECOND, EndTurn(1), SECOND, ForgetSound())
        await asyncio.wait_for(client.forgotten.wait(), PATIENCE)
        assert client.told == [failure, NothingToTake(1, 0.0), SoundForgotten()]
        assert manager.asked == 1
        listening.cancel()

    run(work())


def test_a_server_that_ends_ends_the_session() -> None:
    async def work() -> None:
        client = Client(Manager(ShuttingDown("It ends.")))
        await client.order(SECOND)
        with pytest.raises(ShuttingDown):
            await client.ear.run()

    run(work())


def test_an_end_is_an_end_also_without_a_model() -> None:
    async def work() -> None:
        client = Client(Manager())
        await client.order(EndTurn(4))
        client.ear.end()
        await client.ear.run()
        assert client.told == [NothingToTake(4, 0.0)]

    run(work())
