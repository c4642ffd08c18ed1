"""What routes are given: the manager, the configuration, and the knowledge that a client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request

from fluid_server.config import ServerConfig
from fluid_server.errors import ClientGone
from fluid_server.managers.runtime_manager import RuntimeManager

T = TypeVar("T")


def _manager(request: Request) -> RuntimeManager:
    return cast("RuntimeManager", request.app.state.manager)


def _config(request: Request) -> ServerConfig:
    return cast("ServerConfig", request.app.state.config)


def _uploads(request: Request) -> Path:
    return cast("Path", request.app.state.uploads)


Manager = Annotated[RuntimeManager, Depends(_manager)]
Config = Annotated[ServerConfig, Depends(_config)]
Uploads = Annotated[Path, Depends(_uploads)]


async def disconnected(request: Request) -> None:
    """Return when the client has closed the connection. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` as long as the client waits for it. Errors: those of the work; ClientGone when it was cancelled."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("The client closed the connection.")
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
