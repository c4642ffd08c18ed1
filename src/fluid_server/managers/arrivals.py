"""Finding the model that a request names, and fetching it first where that is allowed."""

from __future__ import annotations

import time
from contextlib import aclosing

from fluid_server.catalog.gguf_names import SUFFIX
from fluid_server.catalog.gguf_pick import models_in
from fluid_server.catalog.presets import preset
from fluid_server.catalog.wanted import parse
from fluid_server.config import ServerConfig
from fluid_server.errors import InvalidRequest, ModelDownloading, ModelNotFound
from fluid_server.managers.download_manager import DownloadManager
from fluid_server.managers.library import Library
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Download, DownloadState, ModelSpec

ON_THE_WAY = (
    DownloadState.QUEUED, DownloadState.DOWNLOADING, DownloadState.VERIFYING, DownloadState.INSTALLING,
)  # fmt: skip
STOPPED = (DownloadState.PAUSED, DownloadState.FAILED)
ASK_AGAIN = 5.0  # seconds, where nobody knows yet how long a download takes
LATEST_RETRY = 60.0
REST_AFTER_FAILURE = 60.0  # seconds in which requests are told why a download has failed, before one tries it again


class Arrivals:
    """Models that are here, and those that are on their way."""

    def __init__(self, config: ServerConfig, library: Library, downloads: DownloadManager) -> None:
        self._config = config
        self._library = library
        self._downloads = downloads

    async def find(self, model: str, visitor: Visitor) -> ModelSpec:
        """The model of that name. One that is being fetched is waited for by who can wait; a known one may be fetched.

        Errors: ModelNotFound, ModelDownloading for who cannot wait, what a download fails with.
        """
        try:
            return await self._library.find(model)
        except ModelNotFound as error:
            download = await self._on_its_way(model, error)
        await self._wait(model, download, visitor)
        return await self._library.find(model)

    async def _on_its_way(self, model: str, error: ModelNotFound) -> Download:
        known = preset(model)
        meant = [each for each in self._downloads.downloads() if _brings(each, known.name if known else model)]
        for download in meant:
            if download.state in ON_THE_WAY:
                return download
        may_fetch = known is not None and self._config.auto_download
        for download in meant:
            if download.state in STOPPED and not (may_fetch and _may_be_tried_again(download)):
                raise _stopped(model, download)
        if known is None:
            raise error
        if not self._config.auto_download:
            raise ModelNotFound(
                f"Model '{model}' is known but not here. Fetch it with `fluid-server pull {known.alias}` or "
                "POST /v1/models/pull, or start the server with --auto-download.",
                param="model",
            )
        return await self._downloads.pull(known.alias)

    async def _wait(self, model: str, download: Download, visitor: Visitor) -> None:
        if not visitor.waits and download.state is not DownloadState.COMPLETED:
            raise ModelDownloading(
                f"Model '{model}' is being downloaded{_as(model, download)} ({progress_of(download)}). Try again "
                f"later; GET /v1/downloads/{download.id} says how far it is.",
                job=download.id,
                retry_after=min(LATEST_RETRY, download.eta_seconds or ASK_AGAIN),
            )
        async with aclosing(self._downloads.watch(download.id)) as steps:
            async for step in steps:
                download = step
                visitor.activity = lambda seen=step: f"downloading {progress_of(seen)}"  # type: ignore[misc]
        if download.state is not DownloadState.COMPLETED:
            raise _stopped(model, download)


def _brings(download: Download, name: str) -> bool:
    """Whether a download brings the model of that name: the repository's, also without its owner, in any letter case;
    and the quantisation or file, where the name says which."""
    if download.name.casefold() == name.casefold():
        return True
    owner = download.repo.partition("/")[0]
    try:
        wanted = parse(name if "/" in name else f"{owner}/{name}")
    except InvalidRequest:
        return False
    if wanted.repo.casefold() != download.repo.casefold():
        return False
    paths = [file.path.casefold() for file in download.files]
    if wanted.file:
        file = wanted.file.casefold()
        return any(path == file or path.rpartition("/")[2] == file for path in paths)
    if wanted.quantization:
        return any(_is_quantized(path, wanted.quantization.casefold()) for path in paths if path.endswith(SUFFIX))
    return True


def _is_quantized(path: str, quantization: str) -> bool:
    """Whether a .gguf file is of that quantisation; all in small letters."""
    endings = tuple(f"{mark}{quantization}" for mark in "-._")
    found = models_in({path: 0})
    return any(quantization == each.label.casefold() or each.base.endswith(endings) for each in found)


def _as(model: str, download: Download) -> str:
    return f" as '{download.name}'" if download.name != model else ""


def _may_be_tried_again(download: Download) -> bool:
    """Whether a request may start it anew: not what a person has paused, nor what has failed just now."""
    return download.state is DownloadState.FAILED and time.time() - (download.ended or 0.0) > REST_AFTER_FAILURE


def _stopped(model: str, download: Download) -> ModelNotFound:
    """What was on its way and is no more, and how it goes on."""
    how = f"has failed: {download.error_message}" if download.state is DownloadState.FAILED else "is paused."
    return ModelNotFound(
        f"Model '{model}' is not here: its download {download.id}{_as(model, download)} {how} Go on with it with "
        f"`fluid-server pull {download.name}` or POST /v1/downloads/{download.id}/resume.",
        param="model",
    )


def progress_of(download: Download) -> str:
    """How far a download is, in a few words."""
    if not download.bytes_total:
        return str(download.state)
    said = f"{download.bytes_done / download.bytes_total:.0%}"
    if download.rate:
        said += f", {download.rate / 1000**2:.1f} MB/s"
    if download.eta_seconds is not None:
        said += f", {download.eta_seconds:.0f} s left"
    return said
