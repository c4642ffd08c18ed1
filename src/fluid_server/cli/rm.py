"""fluid-server rm: a model, or a download that has not ended, leaves the disk."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fluid_server.catalog.presets import preset
from fluid_server.catalog.remove import Removal, plan
from fluid_server.catalog.resolve import meant
from fluid_server.catalog.scan import NOTHING_KNOWN
from fluid_server.cli import announcement, unfinished
from fluid_server.cli.client import Client, Json
from fluid_server.cli.discovery import Place, client_of, server_of
from fluid_server.cli.facts import entry, spec_of
from fluid_server.cli.words import repeated, size
from fluid_server.errors import ConfigError, FluidError, InvalidRequest, ModelNotFound
from fluid_server.managers.library import Library
from fluid_server.types import ModelSpec

FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to go: from the server at ``url``, or from the folder where that is None. ``done``: what is said then."""

    id: str
    object: str
    bytes: int
    question: str
    done: str
    url: str | None


def run(place: Place, *, name: str, yes: bool, as_json: bool) -> int:
    """Ask, unless that was answered already, then remove."""
    target = asyncio.run(_look(place, name))
    if not yes and not sys.stdin.isatty():
        raise ConfigError("Nobody is there to be asked. Add --yes to remove without asking.")
    if not yes and not _agreed(target):  # asked outside of the event loop, where Ctrl-C reaches it
        print("Nothing was removed.", file=sys.stderr)
        return FAILED
    asyncio.run(_remove(place, target))
    if as_json:
        told = {"id": target.id, "object": target.object, "deleted": True, "size_bytes": target.bytes}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(target.done)
    return 0


async def _look(place: Place, name: str) -> Target:
    async with server_of(place) as server:
        if server is not None:
            return await _look_there(place, server, name)
    library = _library(place)
    specs = await library.specs()
    try:
        spec = await library.describe(name)
    except ModelNotFound:
        downloads = await asyncio.to_thread(unfinished.of_folder, library.folder)
        if (found := unfinished.named(downloads, name)) is None:
            raise
        return _download(found, None)
    _check_clear(specs, name)
    removal = await asyncio.to_thread(plan, spec, specs, library.folder)
    return _model(entry(spec), removal, None)


async def _look_there(place: Place, server: Client, name: str) -> Target:
    try:
        model = await server.model(name)
        is_here = model["state"] != "downloading"  # a server shows what is on its way as a model too
    except FluidError as error:
        if error.code != ModelNotFound.code or (found := unfinished.named(await server.downloads(), name)) is None:
            raise
        return _download(found, server.url)
    if not is_here and (found := unfinished.named(await server.downloads(), name)) is not None:
        return _download(found, server.url)
    _check_clear([spec_of(one) for one in await server.models()], name)
    return _model(model, await _removal(place, model, server.url), server.url)


def _check_clear(specs: Sequence[ModelSpec], name: str) -> None:
    """Errors: InvalidRequest for a name of several quantisations: elsewhere it means the usual one."""
    known = preset(name)
    several = meant(specs, known.name if known else name)
    if len(several) > 1:
        ids = [spec.id for spec in several]
        raise InvalidRequest(
            f"'{repeated(name)}' means {len(ids)} models: {', '.join(ids)}. Say which, for example: fluid-server rm "
            f"{ids[0]}",
            param="model",
        )


async def _removal(place: Place, model: Json, url: str) -> Removal | None:
    """What the server is going to delete; None where its folder is not known here."""
    library = _library(place)
    told = announcement.read(library.folder)
    if told is None or urlsplit(told.url).port != urlsplit(url).port:
        return None
    specs = await library.specs()
    spec = next((spec for spec in specs if spec.id == model["id"]), None)
    return await asyncio.to_thread(plan, spec, specs, library.folder) if spec else None


def _model(model: Json, removal: Removal | None, url: str | None) -> Target:
    count = removal.bytes if removal else model["size_bytes"]
    question = f"Remove {model['id']} ({size(count)})?"
    if model["problem"]:
        question = f"{model['id']} {_trouble(model['problem'])}{_amount(removal)}. Remove it?"
    done = f"Removed {model['id']} ({size(count)})." if removal or count else f"Removed {model['id']}."
    return Target(id=model["id"], object="model", bytes=count, question=question, done=done, url=url)


def _trouble(problem: str) -> str:
    """What is wrong with it, without what to do about that."""
    if problem == NOTHING_KNOWN:
        return "is no model that this server knows"
    return f"cannot be used ({problem.partition(':')[0]})"


def _amount(removal: Removal | None) -> str:
    if removal is None:
        return ""
    return f": {removal.files} file{'' if removal.files == 1 else 's'}, {size(removal.bytes)}"


def _download(one: Json, url: str | None) -> Target:
    what = f"the unfinished download of {one['name']} ({size(one['bytes_done'])})"
    return Target(
        id=one["id"],
        object="download",
        bytes=one["bytes_done"],
        question=f"Delete {what}?",
        done=f"Deleted {what}.",
        url=url,
    )


async def _remove(place: Place, target: Target) -> None:
    if target.url is not None:
        async with client_of(target.url, place.config) as server:
            await (server.remove(target.id) if target.object == "model" else server.cancel(target.id))
        return
    library = _library(place)
    if target.object == "model":
        await library.remove(await library.describe(target.id))
    else:
        await asyncio.to_thread(unfinished.give_up, library.folder, target.id)


def _library(place: Place) -> Library:
    return Library(place.config.model_path, echo=place.config.echo, shipped=place.config.shipped_models)


def _agreed(target: Target) -> bool:
    """Ask on the terminal; only a clear yes is one."""
    print(f"{target.question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
