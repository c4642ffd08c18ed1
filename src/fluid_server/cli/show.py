"""fluid-server show: what a model is, what it needs, and what would run it here."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from fluid_server.catalog.presets import Preset, preset
from fluid_server.cli.available import entry_of
from fluid_server.cli.client import Json
from fluid_server.cli.discovery import Place, server_of
from fluid_server.cli.facts import entry, of_files, of_machine
from fluid_server.cli.words import size, table
from fluid_server.errors import AbilityMissing, FluidError, ModelNotFound
from fluid_server.managers.library import Library
from fluid_server.types import ModelSpec
from fluid_server.workers.probe import probe

TEMPLATE_LINES = 4
FILES = 6
COMMIT = 8
INDENT = "  "


def run(place: Place, *, name: str, template: bool, as_json: bool) -> int:
    """Print it for people, as JSON, or the template alone."""
    try:
        facts = asyncio.run(_facts(place, name, look_around=not template))
    except FluidError as error:
        known = preset(name)
        if error.code != ModelNotFound.code or known is None:
            raise
        return _not_here(known, place, template=template, as_json=as_json)
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    elif not template:
        print("\n".join([facts["id"], *(INDENT + line for line in picture(facts).splitlines())]))
    elif text := facts.get("chat_template"):
        print(text)
    else:
        raise AbilityMissing(f"No chat template of '{facts['id']}' is known here.", param="model")
    return 0


def _not_here(known: Preset, place: Place, *, template: bool, as_json: bool) -> int:
    """What is known of a model that could be fetched. Errors: ModelNotFound where its files are needed."""
    told = f"{known.alias} is not here. Fetch it with: fluid-server pull {known.alias}{place.flags}"
    if template:
        raise ModelNotFound(told, param="model")
    one = entry_of(known, (), asyncio.run(probe()), place.config.device)
    if as_json:
        print(json.dumps(one, indent=2, ensure_ascii=False))
        return 0
    ways = ", then ".join(f"{way['runtime']} on {way['device']}" for way in one["runs_with"])
    rows = (
        ("Repository", known.name),
        ("About", known.summary),
        ("Kind", known.kind),
        ("Format", known.format),
        ("Parameters", f"{known.parameters:g} billion"),
        ("Licence", known.licence),
        ("Download", ("about " if known.estimated else "") + size(known.size_bytes)),
        ("Memory", f"about {size(known.memory_bytes)}: {one['fits']}"),
        ("Runs here", ways or one["problem"] or "nothing runs it"),
    )
    print("\n".join([told, *(INDENT + line for line in table(rows).splitlines())]))
    return 0


async def _facts(place: Place, name: str, *, look_around: bool) -> dict[str, Any]:
    """All that is known: by the files where they are here, and by a server where there is one."""
    async with server_of(place) as server:
        live = await server.model(name) if server else None
    spec = await _spec(place, name, live)
    if spec is None:
        return dict(live or {})
    report = await probe() if look_around else {}
    return {**entry(spec), **(live or {}), **of_files(spec), **of_machine(spec, place.config, report)}


async def _spec(place: Place, name: str, live: Json | None) -> ModelSpec | None:
    """The model in the folder; None where the server has another folder, so that its model is not here."""
    config = place.config
    library = Library(config.model_path, echo=config.echo or live is not None, shipped=config.shipped_models)
    if live is None:
        return await library.describe(name)
    found = next((spec for spec in await library.specs() if spec.id == live["id"]), None)
    same = found is not None and (found.size_bytes, found.format) == (live["size_bytes"], live["format"])
    return found if same else None


def picture(facts: Json) -> str:
    """The facts for people, each under its name."""
    rows = [
        (name if number == 0 else "", line)
        for name, text in _rows(facts)
        for number, line in enumerate(text.splitlines())
    ]
    parts = [table(rows)]
    if facts.get("files"):
        parts.append(_files(facts))
    if facts.get("chat_template"):
        parts.append(_template(facts["chat_template"]))
    return "\n\n".join(parts)


def _rows(facts: Json) -> Iterator[tuple[str, str]]:
    yield "Problem", facts["problem"] or ""
    yield "Also called", ", ".join(facts["aliases"])
    yield "Kind", f"{facts['kind']} ({', '.join(facts['capabilities'])})" if facts["capabilities"] else facts["kind"]
    yield "Format", ", ".join(part for part in (facts["format"], facts["quantization"]) if part)
    yield "Architecture", facts["architecture"] or ""
    yield "Parameters", facts.get("parameters") or ""
    yield "Context", f"{facts['context_length']} tokens" if facts["context_length"] else ""
    yield "Languages", ", ".join(facts.get("languages", ()))
    yield "Voices", ", ".join(facts.get("voices", ()))
    yield "Licence", facts.get("licence") or ""
    yield "Source", _source(facts["source"]) if facts.get("source") else ""
    yield "State", _state(facts)
    yield "Memory", "\n".join(_memory(one) for one in facts.get("memory", ()))
    ways = [f"{one['runtime']} on {one['device']}" for one in facts.get("runs_with", ())]
    yield "Runs here", ", then ".join(ways) or ("nothing runs it" if "runs_with" in facts else "")
    yield "Not with", "\n".join(f"{one['runtime']}: {one['reason']}" for one in facts.get("not_with", ()))
    yield "Sampling", ", ".join(f"{name} {value:g}" for name, value in facts.get("sampling", {}).items())


def _source(source: Json) -> str:
    when = datetime.fromtimestamp(source["pulled"]).astimezone().strftime("%Y-%m-%d")
    return f"{source['repo']} at {source['revision'][:COMMIT]}, fetched on {when}"


def _state(facts: Json) -> str:
    """What a server does with it now."""
    if facts["state"] in {"absent", "broken"}:
        return ""
    where = f" on {facts['runtime']}, {facts['device']}, {size(facts['memory_bytes'])}" if facts.get("runtime") else ""
    return "\n".join([f"{facts['state']}{where}", *facts.get("notes", ())])


def _memory(one: Json) -> str:
    context = f" with a context of {one['context_length']} tokens" if one["kv_cache"] else ""
    named = {"weights": "weights", "kv_cache": "context", "states": "states", "base": "process"}
    parts = ", ".join(f"{name} {size(one[part])}" for part, name in named.items() if one[part])
    return f"about {size(one['total'])}{context} ({parts})"


def _files(facts: Json) -> str:
    """The largest files, and the others in one line."""
    ordered = sorted(facts["files"], key=lambda file: -file["size_bytes"])
    rows = [(file["path"], size(file["size_bytes"])) for file in ordered[:FILES]]
    if rest := ordered[FILES:]:
        rows.append((f"and {len(rest)} more", size(sum(file["size_bytes"] for file in rest))))
    home = Path(facts["path"])
    head = f"Files in {home if home.is_dir() else home.parent}, {size(facts['disk_bytes'])}"
    return "\n".join([head, *(INDENT + line for line in table(rows).splitlines())])


def _template(text: str) -> str:
    found = text.splitlines()
    more = len(found) - TEMPLATE_LINES
    rest = [f"… and {more} more lines: --template prints all of it"] if more > 0 else []
    width = shutil.get_terminal_size().columns - 2 * len(INDENT)
    first = [line if len(line) <= width else line[: width - 1] + "…" for line in found[:TEMPLATE_LINES]]
    return "\n".join(["Chat template", *(INDENT + line for line in [*first, *rest])])
