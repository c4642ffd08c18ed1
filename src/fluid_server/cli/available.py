"""fluid-server list --available: the models that can be fetched by a short name, and which of them fit here."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil

from fluid_server.catalog.presets import PRESETS, Fit, Preset, fits
from fluid_server.catalog.resolve import find
from fluid_server.cli.client import Json
from fluid_server.cli.discovery import Place, server_of
from fluid_server.cli.facts import spec_of
from fluid_server.cli.words import size, table
from fluid_server.errors import ModelNotFound
from fluid_server.managers.library import Library
from fluid_server.managers.selection import Choice, select
from fluid_server.runtimes.table import RUNTIMES
from fluid_server.types import Kind, ModelSpec
from fluid_server.workers.probe import Report, probe

COLUMNS = ("NAME", "HERE", "FORMAT", "SIZE", "MEMORY", "LICENCE", "")
NPU = "NPU"
NARROWEST = 20  # columns
SAID = {Fit.FITS: "fits", Fit.CROWDED: "tight", Fit.TOO_LARGE: "too large"}
LEGEND = """\
MEMORY is an estimate with a context of 4,096 tokens; this machine has {total}, of which {free} are free.
tight: fits when other programs are closed. ~: the size is an estimate. Fetch one with: fluid-server pull NAME"""


def run(place: Place, *, as_json: bool) -> int:
    """Print a table for each kind, or one JSON array."""
    entries = asyncio.run(_entries(place))
    if as_json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
        return 0
    for kind, group in groupby(entries, key=lambda one: one["kind"]):
        print(f"{kind}\n{_cut(table([COLUMNS, *(_row(one) for one in group)]))}\n")
    memory = psutil.virtual_memory()
    print(_wrapped(LEGEND.format(total=size(memory.total), free=size(memory.available))))
    return 0


async def _entries(place: Place) -> list[dict[str, Any]]:
    specs, report = await asyncio.gather(_specs(place), probe())
    order = list(Kind)
    entries = (entry_of(one, specs, report, place.config.device) for one in PRESETS)
    return sorted(entries, key=lambda one: order.index(one["kind"]))


async def _specs(place: Place) -> Sequence[ModelSpec]:
    """The models that are here: those of the server, if there is one."""
    async with server_of(place) as server:
        if server is not None:
            return [spec_of(one) for one in await server.models()]
    return await Library(place.config.model_path, echo=False, shipped=place.config.shipped_models).specs()


def entry_of(one: Preset, specs: Sequence[ModelSpec], report: Report, device: str) -> dict[str, Any]:
    """What is known of it, and what it would be here."""
    memory = psutil.virtual_memory()
    choice = _choice(one, report, device)
    return {
        "alias": one.alias,
        "name": one.name,
        "kind": one.kind,
        "format": one.format,
        "summary": one.summary,
        "licence": one.licence,
        "parameters": one.parameters,
        "size_bytes": one.size_bytes,
        "size_estimated": one.estimated,
        "memory_bytes": one.memory_bytes,
        "device": one.device,
        "model": _here(one, specs),
        "fits": fits(one, memory_total=memory.total, memory_available=memory.available),
        "runs_with": [{"runtime": way.runtime, "device": way.device} for way in choice.candidates],
        "problem": choice.reason or None,
    }


def _choice(one: Preset, report: Report, device: str) -> Choice:
    """What would run it here. Files that are made for an NPU are of no use elsewhere."""
    spec = ModelSpec(id=one.alias, format=one.format, kind=one.kind, path=Path())
    return select(spec, report, NPU if one.device == NPU else device)


def _here(one: Preset, specs: Sequence[ModelSpec]) -> str | None:
    """The id under which it is here."""
    try:
        return find(specs, one.name).id
    except ModelNotFound:
        return None


def _row(one: Json) -> tuple[str, ...]:
    about = "~" if one["size_estimated"] else ""
    memory = size(one["memory_bytes"])
    return (
        one["alias"],
        status(one),
        one["format"],
        about + size(one["size_bytes"]),
        memory,
        one["licence"],
        one["summary"],
    )


def status(one: Json) -> str:
    """In a word or two: the most important first."""
    if one["model"]:
        return "is here"
    if one["runs_with"]:
        return SAID[one["fits"]]
    served = any(one["format"] in entry.formats and one["kind"] in entry.kinds for entry in RUNTIMES.values())
    return f"no {NPU}" if one["device"] == NPU and served else "no engine" if served else "no runtime yet"


def _cut(text: str) -> str:
    """Lines as long as the terminal is wide; elsewhere as they are."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(line if len(line) <= width else line[: width - 1] + "…" for line in text.splitlines())


def _wrapped(text: str) -> str:
    """Lines that end at a word, and no later than the terminal."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(textwrap.fill(line, max(width, NARROWEST)) for line in text.splitlines())
