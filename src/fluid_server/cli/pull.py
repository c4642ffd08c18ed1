"""fluid-server pull: a model comes from the Hub, fetched by a running server or, without one, by this command."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from fluid_server.catalog.presets import preset, suggest
from fluid_server.cli.client import Client, Json
from fluid_server.cli.discovery import Place, server_of
from fluid_server.cli.facts import entry
from fluid_server.cli.progress import Show, shown
from fluid_server.cli.words import percent, repeated
from fluid_server.errors import Conflict, FluidError, ModelNotFound, Unavailable
from fluid_server.managers.download_job import ACTIVE
from fluid_server.managers.download_manager import DownloadManager
from fluid_server.managers.events import EventFeed
from fluid_server.managers.library import Library
from fluid_server.metrics import Metrics
from fluid_server.runtimes.table import RUNTIMES
from fluid_server.types import Download, DownloadState, FileProgress

INTERRUPTED = 130
ENDS = {DownloadState.COMPLETED, DownloadState.FAILED, DownloadState.CANCELLED, DownloadState.PAUSED}


class Source(Protocol):
    """Who fetches."""

    def steps(self, name: str) -> AsyncGenerator[Download, None]:
        """The download from now to its end."""

    async def pause(self, download: Download) -> Download:
        """Stop, and keep what is here; one that is somebody else's goes on."""

    async def described(self, model: str) -> Json:
        """What came, in the words of GET /v1/models."""

    @property
    def address(self) -> str | None:
        """Where the model can be used at once; None where no server runs."""


class FromServer:
    """A running server fetches, and goes on if this ends in any way but Ctrl-C."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.address: str | None = client.url
        self._others: frozenset[str] = frozenset()

    async def steps(self, name: str) -> AsyncGenerator[Download, None]:
        """The server's downloads are ours in another form."""
        known = await self._client.downloads()
        self._others = frozenset(one["id"] for one in known if one["state"] in ACTIVE)
        async with aclosing(self._client.pull(name)) as bodies:
            async for body in bodies:
                yield download_of(body)

    async def pause(self, download: Download) -> Download:
        """Ask the server to, if it fetches this for us alone."""
        if download.id in self._others:
            return download
        return download_of(await self._client.pause(download.id))

    async def described(self, model: str) -> Json:
        """Ask the server."""
        return await self._client.model(model)


class FromHere:
    """This process fetches. What other programs left unfinished is left alone: only the one model is asked for."""

    address: str | None = None

    def __init__(self, manager: DownloadManager, library: Library) -> None:
        self._manager = manager
        self._library = library

    async def steps(self, name: str) -> AsyncGenerator[Download, None]:
        """The manager's own."""
        download = await self._manager.pull(name)
        async with aclosing(self._manager.watch(download.id)) as steps:
            async for step in steps:
                yield step

    async def pause(self, download: Download) -> Download:
        """The next pull goes on from there, whoever does it."""
        return await self._manager.pause(download.id)

    async def described(self, model: str) -> Json:
        """Look into the folder."""
        return entry(await self._library.describe(model))


def run(place: Place, *, name: str, as_json: bool) -> int:
    """Fetch a model and show how that goes."""
    _check(name)
    logging.getLogger("fluid_server").addHandler(logging.NullHandler())  # what is worth telling is in the download
    download, told = asyncio.run(_pull(place, name, as_json=as_json))
    if download.state is DownloadState.COMPLETED:
        if not as_json:
            print(told)
        return 0
    if download.state is not DownloadState.PAUSED:
        print(f"{name} goes on in the server. To see how far it is: fluid-server ps{place.flags}", file=sys.stderr)
        return INTERRUPTED
    done = percent(download.bytes_done, download.bytes_total)
    print(f"Paused at {done}. Go on with: fluid-server pull {name}{place.flags}", file=sys.stderr)
    return INTERRUPTED


def _check(name: str) -> None:
    """Errors: ModelNotFound for a short name that is no known model's."""
    if "/" in name or preset(name) is not None:
        return
    close = " or ".join(f"'{alias}'" for alias in suggest(name))
    raise ModelNotFound(
        f"No known model is called '{repeated(name)}'. {f'Did you mean {close}? ' if close else ''}'fluid-server list "
        "--available' shows them all; any other is named by its repository on the Hub: owner/repo.",
        param="model",
    )


async def _pull(place: Place, name: str, *, as_json: bool) -> tuple[Download, str]:
    """How it ended, and what to tell of a model that is here now. Errors: why it is not."""
    async with _source(place) as source:
        with shown(name, as_json=as_json) as show:
            download = await _watched(source, name, show)
        if download.state is not DownloadState.COMPLETED or download.model is None:
            return download, f"{download.name} is here, but nothing in it is a model that this server knows."
        return download, _how_to_use(await source.described(download.model), source, place)


@asynccontextmanager
async def _source(place: Place) -> AsyncGenerator[Source, None]:
    async with server_of(place) as server:
        if server is not None:
            yield FromServer(server)
            return
    library = Library(place.config.model_path, echo=False, shipped=place.config.shipped_models)
    manager = DownloadManager(place.config, library, EventFeed(), Metrics())
    try:
        yield FromHere(manager, library)
    finally:
        await manager.close()


async def _watched(source: Source, name: str, show: Show) -> Download:
    """The download at its end, or as Ctrl-C leaves it. Errors: why it failed."""
    download: Download | None = None
    try:
        async with aclosing(source.steps(name)) as steps:
            async for step in steps:
                download = step
                show(step)
    except asyncio.CancelledError:
        if download is None or download.state in ENDS:
            raise
        return await _paused(source, download)
    except FluidError:
        _say_what_is_kept(download)
        raise
    return _ended(download)


async def _paused(source: Source, download: Download) -> Download:
    """Ctrl-C: what is here is kept. It may have ended in this very moment."""
    try:
        return await source.pause(download)
    except Conflict:
        raise asyncio.CancelledError from None


def _ended(download: Download | None) -> Download:
    """A download that has come. Errors: why it has not."""
    if download is None or download.state not in ENDS:
        raise Unavailable("The server has ended. The download goes on when it is started again.")
    if download.state is DownloadState.FAILED:
        _say_what_is_kept(download)
        raise FluidError(download.error_message or "The download failed.", code=download.error_code)
    if download.state is not DownloadState.COMPLETED:
        raise Conflict(f"Somebody else has {download.state} the download. Pull it again to go on with it.")
    return download


def _say_what_is_kept(download: Download | None) -> None:
    if download is not None and download.bytes_done * 100 >= max(1, download.bytes_total):
        done = percent(download.bytes_done, download.bytes_total)
        print(f"Stopped at {done}. What has come is kept: the same command goes on from there.", file=sys.stderr)


def _how_to_use(model: Json, source: Source, place: Place) -> str:
    """The model's id, and what to do with it."""
    name = model["id"]
    if model["problem"]:
        return f"{name} is here, but cannot be used: {model['problem']}."
    if not any(model["format"] in one.formats and model["kind"] in one.kinds for one in RUNTIMES.values()):
        return f"{name} is here. No runtime for {model['kind']} models in {model['format']} format exists yet."
    start = [] if source.address else [f"  start the server:  fluid-server{place.flags}"]
    client = f"  OpenAI clients:    base_url {source.address or place.address}/v1, model {name}"
    return "\n".join([f"{name} is here.", *start, client])


def download_of(body: Json) -> Download:
    """A download out of what the API writes."""
    error = body["error"] or {}
    return Download(
        id=body["id"],
        name=body["name"],
        repo=body["repo"],
        revision=body["revision"],
        state=DownloadState(body["state"]),
        files=tuple(FileProgress(path=one["path"], size=one["size"], done=one["done"]) for one in body["files"]),
        bytes_done=body["bytes_done"],
        bytes_total=body["bytes_total"],
        rate=body["rate"],
        eta_seconds=body["eta_seconds"],
        model=body["model"],
        note=body["note"],
        error_code=error.get("code"),
        error_message=error.get("message"),
        created=body["created"],
        ended=body["ended"],
    )
