"""fluid-server rm: a model leaves the disk."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

from fluid_server.catalog.remove import plan
from fluid_server.cli.discovery import Place, client_of, server_of
from fluid_server.cli.words import size
from fluid_server.managers.library import Library

FAILED, BAD_USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Target:
    """What is to go: from the server at ``url``, or from the folder where that is None."""

    model: str
    bytes: int
    url: str | None = None


def run(place: Place, *, name: str, yes: bool, as_json: bool) -> int:
    """Ask, unless that was answered already, then remove."""
    if not yes and not sys.stdin.isatty():
        print("fluid-server: Nobody is there to be asked. Add --yes to remove without asking.", file=sys.stderr)
        return BAD_USAGE
    target = asyncio.run(_look(place, name))
    if not yes and not _agreed(target):  # asked outside of the event loop, where Ctrl-C reaches it
        print("Nothing was removed.", file=sys.stderr)
        return FAILED
    asyncio.run(_remove(place, target))
    if as_json:
        told = {"id": target.model, "object": "model", "deleted": True, "size_bytes": target.bytes}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"Removed {target.model} ({size(target.bytes)}).")
    return 0


async def _look(place: Place, name: str) -> Target:
    async with server_of(place) as server:
        if server is not None:
            model = await server.model(name)
            return Target(model["id"], model["size_bytes"], server.url)
    library = _library(place)
    spec = await library.describe(name)
    removal = await asyncio.to_thread(plan, spec, await library.specs(), library.folder)
    return Target(spec.id, removal.bytes)


async def _remove(place: Place, target: Target) -> None:
    if target.url is not None:
        async with client_of(target.url, place.config) as server:
            await server.remove(target.model)
    else:
        library = _library(place)
        await library.remove(await library.describe(target.model))


def _library(place: Place) -> Library:
    return Library(place.config.model_path, echo=place.config.echo)


def _agreed(target: Target) -> bool:
    """Ask on the terminal; only a clear yes is one."""
    print(f"Remove {target.model} ({size(target.bytes)})? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
