"""Responses in the background at their ends: whoever watches is let go, and little stays of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fluid_server.api import background
from fluid_server.api.background import Background, Recording
from fluid_server.api.response_run import Run
from fluid_server.errors import FluidError, InvalidRequest, QueueFull, ShuttingDown
from fluid_server.managers.visitor import Visitor
from tests.awaited import awaited


class Scripted(Run):
    """A response that says what it is told to, until ``go`` lets it end."""

    def __init__(self, texts: list[str], *, broken: bool = False) -> None:
        self.id = "resp_1"
        self.visitor = Visitor()
        self.go = asyncio.Event()
        self.keeping = asyncio.Event()
        self.keeping.set()
        self._texts = texts
        self._broken = broken

    @property
    def response(self) -> dict[str, Any]:
        return {"id": self.id}

    async def keep(self) -> None:
        await self.keeping.wait()

    async def events(self) -> AsyncGenerator[list[dict[str, Any]], None]:
        for text in self._texts:
            yield [{"type": "said", "text": text}]
        await self.go.wait()

    async def failed(self, error: FluidError) -> list[dict[str, Any]]:
        return [{"type": "failed", "message": error.message}]

    async def cancelled(self) -> list[dict[str, Any]]:
        if self._broken:
            raise RuntimeError("the end itself has failed")
        return [{"type": "cancelled"}]


async def heard(recording: Recording, after: int | None = None) -> str:
    return b"".join([frames async for frames in recording.replay(after)]).decode()


@awaited
async def test_who_watches_is_let_go_even_where_the_end_fails() -> None:
    everything = Background()
    recording = await everything.begin(Scripted(["a"], broken=True))
    watching = asyncio.ensure_future(heard(recording))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await everything.cancel("resp_1")
    assert '"a"' in await asyncio.wait_for(watching, 5)
    await everything.close()


@awaited
async def test_an_end_that_fails_does_not_keep_the_server_from_ending() -> None:
    everything = Background()
    run = Scripted([], broken=True)
    recording = await everything.begin(run)
    await asyncio.sleep(0)
    recording.stop()
    await everything.close()
    assert recording.over


@awaited
async def test_what_the_model_was_given_goes_with_the_end() -> None:
    run = Scripted(["a"])
    gone = weakref.ref(run)
    recording = Recording(run)
    run.go.set()
    await recording.ended
    del run
    gc.collect()
    assert gone() is None
    assert recording.response == {"id": "resp_1"}
    assert '"a"' in await heard(recording)


@awaited
async def test_of_a_long_answer_the_beginning_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "KEPT_BYTES", 1000)
    run = Scripted([f"word{number}" for number in range(100)])
    recording = Recording(run)
    run.go.set()
    await recording.ended
    assert recording.size <= 1000
    with pytest.raises(InvalidRequest, match="not here any more"):
        recording.replay(None)
    assert "word99" in await heard(recording, 98)
    with pytest.raises(InvalidRequest, match="number 99: none follows"):
        recording.replay(99)


@awaited
async def test_what_has_not_been_told_yet_cannot_be_gone_on_from() -> None:
    run = Scripted([])
    recording = Recording(run)
    with pytest.raises(InvalidRequest, match="0 events so far"):
        recording.replay(5)
    run.go.set()
    await recording.ended


@awaited
async def test_those_that_begin_at_once_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_RUNNING", 1)
    everything, first = Background(), Scripted([])
    first.keeping.clear()
    beginning = asyncio.ensure_future(everything.begin(first))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await everything.begin(Scripted([]))
    await everything.close()
    first.keeping.set()
    with pytest.raises(ShuttingDown):
        await beginning
