"""fluid-server ps: what is in memory now, until when, and what is being fetched."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from fluid_server.cli.client import Client, Json
from fluid_server.cli.discovery import Place, server_of
from fluid_server.cli.unfinished import STATES, of_folder
from fluid_server.cli.words import about, duration, percent, size, table
from fluid_server.errors import Unavailable

MODELS = ("MODEL", "STATE", "RUNTIME", "DEVICE", "MEMORY", "CONTEXT", "REQUESTS", "UNTIL")
DOWNLOADS = ("DOWNLOAD", "STATE", "DONE", "OF", "RATE", "LEFT", "")
RESTING = {"absent", "broken", "downloading"}  # a download has its own table
REFRESH = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Sight:
    """What a server does at one moment. Not ``served``: there is none, and the downloads are those in the folder."""

    models: Sequence[Json]
    downloads: Sequence[Json]
    served: bool = True

    def for_machines(self) -> list[Json]:
        """Both in one list: ``object`` tells them apart."""
        return [*self.models, *self.downloads]


def run(place: Place, *, watch: bool, as_json: bool) -> int:
    """Print it once, or again and again until Ctrl-C, which is how that ends well."""
    asyncio.run(_watch(place, as_json=as_json) if watch else _once(place, as_json=as_json))
    return 0


def no_server(place: Place) -> str:
    """That there is none, and how to start one."""
    return f"No server runs. Start one with: fluid-server{place.flags}"


async def _once(place: Place, *, as_json: bool) -> None:
    async with server_of(place) as server:
        sight = await _look(server) if server else await _rest(place)
    if as_json:
        print(json.dumps(sight.for_machines(), indent=2, ensure_ascii=False))
        return
    if not sight.served:
        print(no_server(place), file=sys.stderr)
    if sight.served or sight.downloads:
        print(picture(sight, now=time.time()))


async def _look(server: Client) -> Sight:
    models, downloads = await asyncio.gather(server.models(), server.downloads())
    return Sight([one for one in models if one["state"] not in RESTING], under_way(downloads))


async def _rest(place: Place) -> Sight:
    """What there is to see without a server."""
    return Sight((), await asyncio.to_thread(of_folder, place.config.model_path), served=False)


def under_way(downloads: Sequence[Json]) -> list[Json]:
    """Those that have not come to their end."""
    return [one for one in downloads if one["state"] in STATES]


async def _watch(place: Place, *, as_json: bool) -> None:
    """Look each second. A server that goes is waited for, and so is the folder's while it does not answer."""
    with suppress(asyncio.CancelledError), _screen(place, as_json=as_json) as show:
        while True:
            if not await _watch_one(place, show):
                show(await _rest(place))
            await asyncio.sleep(REFRESH)


async def _watch_one(place: Place, show: Callable[[Sight], None]) -> bool:
    """Watch a server until it goes; returns whether there is one. Errors: Unavailable for one that was typed."""
    found = False
    try:
        async with server_of(place) as server:
            while server is not None:
                found = True
                show(await _look(server))
                await asyncio.sleep(REFRESH)
    except Unavailable:
        if place.server_typed and not found:
            raise
        return not found
    return False


@contextmanager
def _screen(place: Place, *, as_json: bool) -> Generator[Callable[[Sight], None], None, None]:
    """Where a watched picture goes: over the last one on a terminal, else below it, if it is another."""

    def words(sight: Sight) -> str:
        if as_json:
            return json.dumps(sight.for_machines(), ensure_ascii=False)
        parts = [] if sight.served else [no_server(place)]
        if sight.served or sight.downloads:
            parts.append(picture(sight, now=time.time()))
        return "\n\n".join(parts)

    if as_json or not sys.stdout.isatty():
        yield _printer(words)
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        yield lambda sight: live.update(Text(words(sight), no_wrap=True, overflow="ellipsis"), refresh=True)


def _printer(words: Callable[[Sight], str]) -> Callable[[Sight], None]:
    last = ""

    def show(sight: Sight) -> None:
        nonlocal last
        if (text := words(sight)) != last:
            print(text, flush=True)
        last = text

    return show


def picture(sight: Sight, *, now: float) -> str:
    """Tables for people. ``now`` in epoch seconds."""
    parts = ["No model is loaded."] if sight.served else []
    if sight.models:
        parts = [table([MODELS, *(_model(one, now) for one in sight.models)])]
    if sight.downloads:
        parts.append(of_downloads(sight.downloads))
    return "\n\n".join(parts)


def of_downloads(downloads: Sequence[Json]) -> str:
    """A table of downloads."""
    return table([DOWNLOADS, *(_download(one) for one in downloads)])


def _model(one: Json, now: float) -> tuple[str, ...]:
    queued = f", {one['queued']} queued" if one["queued"] else ""
    return (
        one["id"],
        one["state"],
        one["runtime"] or "-",
        one["device"] or "-",
        size(one["memory_bytes"]) if one["memory_bytes"] else "-",
        str(one["context_length"] or "-"),
        f"{one['leases']}{queued}",
        _until(one, now),
    )


def _until(one: Json, now: float) -> str:
    """When it goes by itself."""
    if one["problem"]:
        return str(one["problem"])
    if one["state"] != "ready":
        return "-"
    if one["pinned"]:
        return "pinned"
    if one["leases"]:
        return "in use"
    if one["expires_at"] is None:
        return "for ever"
    return f"{about(one['expires_at'] - now)} from now" if one["expires_at"] > now else "now"


def _download(one: Json) -> tuple[str, ...]:
    moving = one["state"] == "downloading"
    return (
        one["name"],
        one["state"],
        percent(one["bytes_done"], one["bytes_total"]),
        size(one["bytes_total"]),
        f"{size(one['rate'])}/s" if moving and one["rate"] else "-",
        duration(one["eta_seconds"]) if moving and one["eta_seconds"] is not None else "-",
        one["note"] or "",
    )
