"""What can be known of a model: by its files, by this machine, and by a running server. All of it is JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fluid_server.catalog.folder import BadModel
from fluid_server.catalog.footprint import USEFUL_CONTEXT
from fluid_server.catalog.gguf import read_header
from fluid_server.catalog.presets import Preset, preset
from fluid_server.cli.client import Json
from fluid_server.config import ServerConfig
from fluid_server.content.dialects import skills
from fluid_server.managers.estimate import estimate
from fluid_server.managers.model_folder import RECORD
from fluid_server.managers.selection import select
from fluid_server.runtimes.table import RUNTIMES, Entry
from fluid_server.types import Format, Kind, ModelSpec
from fluid_server.workers.probe import Report


def entry(spec: ModelSpec) -> Json:
    """A model of the folder, in the words of GET /v1/models."""
    return {
        "id": spec.id,
        "aliases": list(spec.aliases),
        "kind": spec.kind,
        "format": spec.format,
        "capabilities": sorted(spec.abilities | skills(spec.chat_template)),
        "state": "broken" if spec.problem else "absent",
        "problem": spec.problem,
        "architecture": spec.architecture,
        "quantization": spec.quantization,
        "context_length": spec.context_length,
        "size_bytes": spec.size_bytes,
        "path": str(spec.path),
    }


def spec_of(one: Json) -> ModelSpec:
    """As much of a server's model as a name is looked for in."""
    return ModelSpec(
        id=one["id"],
        aliases=tuple(one["aliases"]),
        format=Format(one["format"]),
        kind=Kind(one["kind"]),
        quantization=one["quantization"],
        path=Path(),
    )


def of_files(spec: ModelSpec) -> Json:
    """What the files say besides, and what they take on the disk."""
    source = _source(spec)
    known = _preset(spec, source)
    told = _header(spec)
    files = sorted(_files(spec))
    return {
        "source": source,
        "parameters": f"{known.parameters:g} billion" if known else told.get("general.size_label"),
        "licence": known.licence if known else told.get("general.license"),
        "files": [{"path": name, "size_bytes": count} for name, count in files],
        "disk_bytes": sum(count for _, count in files),
        "chat_template": spec.chat_template,
        "sampling": {name: value for name, value in asdict(spec.sampling).items() if value is not None},
        "languages": list(spec.languages),
        "voices": list(spec.voices),
    }


def of_machine(spec: ModelSpec, config: ServerConfig, report: Report) -> Json:
    """What it would take here, and what would run it."""
    lengths = _contexts(spec, config)
    estimates = {one.total: one for one in (estimate(spec, length, parallel=config.parallel) for length in lengths)}
    return {
        "memory": [] if spec.problem else [asdict(one) | {"total": total} for total, one in estimates.items()],
        "runs_with": [asdict(one) for one in select(spec, report, config.device).candidates],
        "not_with": [
            {"runtime": name, "reason": reason}
            for name, one in RUNTIMES.items()
            if (reason := _why_not(one, spec, config, report))
        ],
    }


def _source(spec: ModelSpec) -> Json | None:
    """The repository and commit that it was fetched from; None where that is not known."""
    home = spec.path.parent if spec.format is Format.GGUF else spec.path
    try:
        told = json.loads((home / RECORD).read_text(encoding="utf-8"))
        return {name: told[name] for name in ("repo", "revision", "pulled")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _preset(spec: ModelSpec, source: Json | None) -> Preset | None:
    if source is None:
        return None
    return preset(f"{source['repo']}:{spec.quantization}") or preset(str(source["repo"]))


def _header(spec: ModelSpec) -> dict[str, Any]:
    """What a GGUF file says of itself."""
    if spec.format is not Format.GGUF or spec.problem:
        return {}
    try:
        return dict(read_header(spec.path).metadata)
    except (BadModel, OSError):
        return {}


def _files(spec: ModelSpec) -> Iterator[tuple[str, int]]:
    """Every file, by its name in the folder, and its size."""
    if spec.format is Format.BUILTIN:
        return
    whole = spec.format is not Format.GGUF and spec.path.is_dir()
    for file in spec.path.rglob("*") if whole else spec.files:
        name = file.relative_to(spec.path) if whole else Path(file.name)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), file.stat().st_size


def _contexts(spec: ModelSpec, config: ServerConfig) -> tuple[int, ...]:
    """The context that was asked for, else a useful one and all of it."""
    if config.context_length:
        return (config.context_length,)
    return (USEFUL_CONTEXT, spec.context_length or USEFUL_CONTEXT)


def _why_not(one: Entry, spec: ModelSpec, config: ServerConfig, report: Report) -> str | None:
    """Why a runtime does not run it; None where it does, and for the one that runs nothing but itself."""
    found = report.get(one.name)
    if found is None or (one.formats == {Format.BUILTIN} and spec.format is not Format.BUILTIN):
        return None
    if spec.format not in one.formats:
        return f"it is for the format {' and '.join(sorted(one.formats))}"
    if spec.kind not in one.kinds:
        return f"it is for {' and '.join(sorted(one.kinds))} models"
    if not found.available:
        return found.reason
    if not select(spec, {one.name: found}, config.device).candidates:
        return f"the device {config.device} is not here; there is: {', '.join(found.devices)}"
    return None
