"""Finding the model that a request names, and fetching it first where that is allowed."""

from __future__ import annotations

from contextlib import aclosing

from fluid_server.catalog.presets import preset
from fluid_server.config import ServerConfig
from fluid_server.errors import HubError, ModelDownloading, ModelNotFound
from fluid_server.managers.download_manager import DownloadManager
from fluid_server.managers.library import Library
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Download, DownloadState, ModelSpec

ON_THE_WAY = (
    DownloadState.QUEUED, DownloadState.DOWNLOADING, DownloadState.VERIFYING, DownloadState.INSTALLING,
)  # fmt: skip
ASK_AGAIN = 5.0  # seconds, where nobody knows yet how long a download takes
LATEST_RETRY = 60.0


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
        await self._wait(download, visitor)
        return await self._library.find(model)

    async def _on_its_way(self, model: str, error: ModelNotFound) -> Download:
        known = preset(model)
        names = {model, known.name if known else model}
        for download in self._downloads.downloads():
            if download.name in names and download.state in ON_THE_WAY:
                return download
        if known is None:
            raise error
        if not self._config.auto_download:
            raise ModelNotFound(
                f"Model '{model}' is known but not here. Fetch it with `fluid-server pull {known.alias}` or "
                "POST /v1/models/pull, or start the server with --auto-download.",
                param="model",
            )
        return await self._downloads.pull(known.alias)

    async def _wait(self, download: Download, visitor: Visitor) -> None:
        if not visitor.waits and download.state is not DownloadState.COMPLETED:
            raise ModelDownloading(
                f"Model '{download.name}' is being downloaded ({progress_of(download)}). Try again later; "
                f"GET /v1/downloads/{download.id} says how far it is.",
                job=download.id,
                retry_after=min(LATEST_RETRY, download.eta_seconds or ASK_AGAIN),
            )
        async with aclosing(self._downloads.watch(download.id)) as steps:
            async for step in steps:
                download = step
                visitor.activity = lambda seen=step: f"downloading {progress_of(seen)}"  # type: ignore[misc]
        if download.state is not DownloadState.COMPLETED:
            raise HubError(
                f"The download of '{download.name}' is {download.state}: "
                f"{download.error_message or 'resume it, or ask again'}",
                param="model",
                code=download.error_code,
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
