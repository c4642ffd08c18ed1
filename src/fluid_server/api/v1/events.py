"""GET /v1/events: what happens, as it happens."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from fluid_server.api import sse
from fluid_server.api.deps import Config, Manager
from fluid_server.api.described import arriving, download_body, model_body
from fluid_server.api.errors import documented
from fluid_server.errors import Unauthorized
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.types import Download, Happening

router = APIRouter(tags=["events"])
Types = Annotated[
    str | None, Query(description="only these, such as `model,download.completed`; a prefix stands for all below it")
]


@router.get("/events", responses=documented(Unauthorized) | sse.described())
async def events(request: Request, manager: Manager, config: Config, types: Types = None) -> Any:
    """One feed of state changes, load and download progress, evictions and failures, as server-sent events.

    The first event is a `snapshot` of all models and downloads. A client that is too slow is told with
    `feed.lagged` how many events it has missed.
    """
    wanted = tuple(one.strip() for one in (types or "").split(",") if one.strip())
    return await sse.respond(
        request, _frames(manager, wanted), heartbeat=config.heartbeat, activity=lambda: "listening"
    )


async def _frames(manager: RuntimeManager, wanted: tuple[str, ...]) -> AsyncGenerator[bytes, None]:
    with manager.feed.listening() as happenings:
        yield sse.frame(await _snapshot(manager))
        async for happening in happenings:
            if not wanted or any(_fits(happening.type, one) for one in wanted):
                yield sse.frame(_body(happening))


def _fits(kind: str, wanted: str) -> bool:
    return kind == wanted or kind.startswith(wanted + ".") or kind.startswith("feed.")


async def _snapshot(manager: RuntimeManager) -> dict[str, Any]:
    specs = await manager.library.specs()
    models = [*(model_body(manager, spec) for spec in specs), *arriving(manager, specs)]
    return {
        "type": "snapshot",
        "created": time.time(),
        "models": [one.model_dump() for one in models],
        "downloads": [download_body(one).model_dump() for one in manager.downloads.downloads()],
    }


def _body(happening: Happening) -> dict[str, Any]:
    data = {
        name: download_body(value).model_dump() if isinstance(value, Download) else value
        for name, value in happening.data.items()
    }
    return {"type": happening.type, "created": happening.created, **data}
