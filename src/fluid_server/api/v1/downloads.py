"""Fetching models from the Hugging Face Hub: jobs of the server, which go on when the client leaves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response

from fluid_server.api import ndjson, sse
from fluid_server.api.deps import Config, Manager, unless_gone
from fluid_server.api.described import download_body
from fluid_server.api.errors import documented
from fluid_server.api.schemas.models import PullBody
from fluid_server.api.schemas.states import DownloadBody, DownloadList
from fluid_server.errors import (
    Conflict,
    DownloadNotFound,
    HubError,
    InvalidRequest,
    OutOfDisk,
    RepositoryGated,
    RepositoryNotFound,
    Unauthorized,
)
from fluid_server.managers.arrivals import progress_of
from fluid_server.managers.download_manager import DownloadManager
from fluid_server.managers.download_record import failure_of
from fluid_server.types import Download, DownloadState

router = APIRouter(tags=["downloads"])
FETCHING = (InvalidRequest, Unauthorized, RepositoryGated, RepositoryNotFound, Conflict, HubError, OutOfDisk)
STEERING = (Unauthorized, DownloadNotFound, Conflict)


@router.post(
    "/models/pull",
    status_code=202,
    response_model=DownloadBody,
    responses=documented(*FETCHING) | sse.described(ndjson.MEDIA_TYPE),
)
async def pull_model(request: Request, body: PullBody, manager: Manager, config: Config, response: Response) -> Any:
    """Fetch a model: answers with the job, or with its progress as server-sent events (`stream: true`).

    With `Accept: application/x-ndjson` progress comes as one JSON object a line. Asking twice joins the same job, which
    goes on when the client leaves. A stream ends when the download ends or is paused.
    """
    downloads = manager.downloads
    download = await unless_gone(request, downloads.pull(body.model))
    if ndjson.wanted(request):
        return ndjson.respond(_steps(downloads, download))
    if body.stream:
        frames = _frames(downloads, download)
        return await sse.respond(
            request,
            frames,
            heartbeat=config.heartbeat,
            activity=lambda: progress_of(downloads.download(download.id)),
        )
    response.headers["Location"] = f"/v1/downloads/{download.id}"
    return download_body(download)


@router.get("/downloads", response_model=DownloadList, responses=documented(Unauthorized))
async def list_downloads(manager: Manager) -> DownloadList:
    """All downloads since the server started, and those that a former run left; the newest first."""
    return DownloadList(data=[download_body(one) for one in manager.downloads.downloads()])


@router.get("/downloads/{download}", response_model=DownloadBody, responses=documented(Unauthorized, DownloadNotFound))
async def retrieve_download(download: str, manager: Manager) -> DownloadBody:
    """One download by its id."""
    return download_body(manager.downloads.download(download))


@router.post("/downloads/{download}/pause", response_model=DownloadBody, responses=documented(*STEERING))
async def pause_download(download: str, manager: Manager) -> DownloadBody:
    """Stop fetching and keep what is here, also over a restart of the server."""
    return download_body(await manager.downloads.pause(download))


@router.post("/downloads/{download}/resume", response_model=DownloadBody, responses=documented(*STEERING))
async def resume_download(download: str, manager: Manager) -> DownloadBody:
    """Go on with a download that was paused or has failed, from where it was."""
    return download_body(await manager.downloads.resume(download))


@router.post("/downloads/{download}/cancel", response_model=DownloadBody, responses=documented(*STEERING))
async def cancel_download(download: str, manager: Manager) -> DownloadBody:
    """Give a download up and delete what is here of it."""
    return download_body(await manager.downloads.cancel(download))


async def _steps(downloads: DownloadManager, download: Download) -> AsyncGenerator[dict[str, Any], None]:
    """A download's states until it is over. Errors: what it failed with, after its last state."""
    async with aclosing(downloads.watch(download.id)) as steps:
        async for step in steps:
            download = step
            yield download_body(step).model_dump()
    if download.state is DownloadState.FAILED:
        raise failure_of(download.error_code, download.error_message or "The download failed.")


async def _frames(downloads: DownloadManager, download: Download) -> AsyncGenerator[bytes, None]:
    async with aclosing(_steps(downloads, download)) as steps:
        async for step in steps:
            yield sse.frame(step)
