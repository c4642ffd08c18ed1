"""What routes are given: the manager, the configuration, and the knowledge that a client has left.

All of it is asynchronous although nothing here waits: FastAPI runs what is not in a thread, once for each request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from starlette.types import Receive

from fluid_server.api.tasks import end
from fluid_server.config import ServerConfig
from fluid_server.errors import ClientGone, InvalidRequest, StoreOff
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.store.store import Store

T = TypeVar("T")
MAX_CLIENT = 300  # characters of what tells clients apart
SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")


async def _manager(request: HTTPConnection) -> RuntimeManager:
    return cast("RuntimeManager", request.app.state.manager)


async def _config(request: HTTPConnection) -> ServerConfig:
    return cast("ServerConfig", request.app.state.config)


async def _uploads(request: Request) -> Path:
    return cast("Path", request.app.state.uploads)


async def _kept(request: Request) -> Store | None:
    return cast("Store | None", request.app.state.store)


async def _store(request: Request) -> Store:
    return needed(await _kept(request))


def needed(store: Store | None, param: str | None = None) -> Store:
    """The store, for what cannot be done without. Errors: StoreOff, naming the field that asks for it."""
    if store is None:
        what = (
            f"'{param}' needs what this server was told not to keep"
            if param
            else "This server was told to keep nothing"
        )
        raise StoreOff(f"{what}. Start it without --no-store{', or leave it out' if param else ''}.", param=param)
    return store


async def _visitor(request: Request) -> Visitor:
    headers, own = request.headers, (await _config(request)).request_timeout
    limits = [limit for limit in (own or None, _timeout(headers.get("x-request-timeout"))) if limit is not None]
    arrived: float = request.state.arrived
    return Visitor(client=await _client(request), timeout=min(limits, default=None), started=arrived)


async def _client(request: HTTPConnection) -> str:
    host = request.client.host if request.client else ""
    program = request.headers.get("x-client-id") or request.headers.get("user-agent") or ""
    return f"{host} {program}"[:MAX_CLIENT]


def _timeout(header: str | None) -> float | None:
    if header is None:
        return None
    if not SECONDS.fullmatch(header.strip()) or float(header) <= 0:
        raise InvalidRequest(
            f"The header X-Request-Timeout must be a number of seconds above 0 (got '{header[:40]}').",
            param="X-Request-Timeout",
        )
    return float(header)


Manager = Annotated[RuntimeManager, Depends(_manager)]
Config = Annotated[ServerConfig, Depends(_config)]
Uploads = Annotated[Path, Depends(_uploads)]
Kept = Annotated[Store, Depends(_store)]
"""The store; a StoreOff where the server keeps nothing."""
KeptIfAny = Annotated[Store | None, Depends(_kept)]
Client = Annotated[str, Depends(_client)]
"""What tells clients apart."""
Visit = Annotated[Visitor, Depends(_visitor)]


def expect(visitor: Visitor, *, end_user: str = "", keep_alive: float | None = None, waits: bool = False) -> Visitor:
    """The visitor with what the request's body says of them."""
    visitor.client = f"{visitor.client} {end_user}"[:MAX_CLIENT]
    visitor.keep_alive = keep_alive
    visitor.waits = waits
    return visitor


async def disconnected(request: Request) -> None:
    """Return when the client has closed the connection. The body must have been read."""
    await left(request.receive)


async def left(receive: Receive) -> None:
    """The same, where there is no request any more."""
    while (await receive())["type"] != "http.disconnect":
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
            await end([task])
