"""The door answers /live at once, and lets others in when the app behind it is there."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fluid_server.cli.door import ALIVE, Door
from fluid_server.errors import ConfigError
from tests.test_architecture import in_a_fresh_python

HERE = "http://127.0.0.1"


@asynccontextmanager
async def opened(door: Door) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the door, which lives meanwhile as under a server."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    living = asyncio.create_task(door({"type": "lifespan"}, told.get, said.put))
    told.put_nowait({"type": "lifespan.startup"})
    assert await said.get() == {"type": "lifespan.startup.complete"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url=HERE) as client:
        yield client
    told.put_nowait({"type": "lifespan.shutdown"})
    assert await said.get() == {"type": "lifespan.shutdown.complete"}
    await living


def app_that_says(words: list[str]) -> FastAPI:
    """An app that writes down when it starts and ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        words.append("started")
        yield
        words.append("ended")

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/", lambda: "in")
    return app


def test_live_is_answered_while_everybody_else_waits_for_the_app() -> None:
    may_come, words = threading.Event(), list[str]()

    def make() -> FastAPI:
        may_come.wait(30)
        return app_that_says(words)

    async def visit() -> None:
        async with opened(Door(make)) as client:
            early = asyncio.create_task(client.get("/"))
            live = await client.get("/live")
            assert (live.status_code, live.content) == (200, ALIVE)
            assert not early.done()
            assert words == []
            may_come.set()
            assert (await early).json() == "in"
            assert words == ["started"]

    asyncio.run(visit())
    assert words == ["started", "ended"]


def test_where_the_app_cannot_be_made_the_server_is_told_why() -> None:
    def make() -> FastAPI:
        raise ConfigError("It cannot be.", param="port")

    async def visit() -> list[str]:
        door, ends = Door(make), list[str]()
        door.give_up = lambda: ends.append("given up")
        async with opened(door):
            assert await door.app() is None
        assert isinstance(door.failure, ConfigError)
        return ends

    assert asyncio.run(visit()) == ["given up"]


def test_the_door_says_of_life_what_the_app_says() -> None:
    code = """
import json
from fluid_server.api.health import live
import asyncio
print(json.dumps(asyncio.run(live())))
"""
    assert json.loads(in_a_fresh_python(code)) == json.loads(ALIVE)


LATE = {  # what serving does not need at once, or not at all
    "alembic", "av", "fastapi", "filelock", "httpx2", "huggingface_hub", "jinja2", "numpy", "prometheus_client",
    "rich", "sqlalchemy", "starlette", "tokenizers",
}  # fmt: skip


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("fluid_server.cli.main, fluid_server.cli.serve", LATE | {"fluid_server.app", "fluid_server.api"}),
        (
            "fluid_server.app",
            {
                "alembic",
                "av",
                "filelock",
                "httpx2",
                "huggingface_hub",
                "jinja2",
                "numpy",
                "rich",
                "sqlalchemy",
                "tokenizers",
            },
        ),
    ],
    ids=["before it listens", "before a request needs it"],
)
def test_what_is_not_needed_is_not_imported(imported: str, absent: set[str]) -> None:
    loaded = set(json.loads(in_a_fresh_python(f"import json, sys, {imported}; print(json.dumps(list(sys.modules)))")))
    assert not loaded & absent
