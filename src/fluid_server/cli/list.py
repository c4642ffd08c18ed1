"""fluid-server list: the models that are here, as the server or the folder has them."""

from __future__ import annotations

import asyncio
import json
import sys

from fluid_server.cli.client import Json
from fluid_server.cli.discovery import Place, server_of
from fluid_server.cli.facts import entry
from fluid_server.cli.ps import of_downloads, under_way
from fluid_server.cli.unfinished import of_folder
from fluid_server.cli.words import size, table
from fluid_server.managers.library import Library

COLUMNS = ("MODEL", "KIND", "FORMAT", "QUANT", "CONTEXT", "SIZE", "STATE", "")


def run(place: Place, *, available: bool, as_json: bool) -> int:
    """Print a table, or one JSON array."""
    if available:
        from fluid_server.cli.available import run as what_can_be_fetched

        return what_can_be_fetched(place, as_json=as_json)
    entries, downloads = asyncio.run(_look(place))
    if as_json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
        return 0
    if not entries:
        print(_nothing(place), file=sys.stderr)
    parts = [table([COLUMNS, *(_row(entry) for entry in entries)])] if entries else []
    if downloads:
        parts.append(of_downloads(downloads))
    print("\n\n".join(parts), end="\n" if parts else "")
    return 0


async def _look(place: Place) -> tuple[list[Json], list[Json]]:
    """The models, and the downloads that have not ended."""
    async with server_of(place) as server:
        if server is not None:
            return await server.models(), under_way(await server.downloads())
    library = Library(place.config.model_path, echo=place.config.echo, shipped=place.config.shipped_models)
    found = [entry(spec) for spec in await library.specs()]
    return found, await asyncio.to_thread(of_folder, library.folder)


def _nothing(place: Place) -> str:
    return (
        f"No models in {place.config.model_path}. Fetch one ('fluid-server list --available' shows some, 'fluid-server "
        "pull NAME' brings it), copy one in, or choose another folder with --model-path."
    )


def _row(one: Json) -> tuple[str, ...]:
    where = f"{one['runtime']} on {one['device']}" if one.get("runtime") else ""
    return (
        one["id"],
        one["kind"],
        one["format"],
        one["quantization"] or "-",
        str(one["context_length"] or "-"),
        size(one["size_bytes"]),
        "-" if one["state"] == "absent" else one["state"],
        one["problem"] or where,
    )
