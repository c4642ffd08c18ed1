"""fluid-server list: the models of the models folder."""

from __future__ import annotations

import json
import sys

from fluid_server.catalog.builtin import echo_spec
from fluid_server.catalog.scan import scan
from fluid_server.config import ServerConfig
from fluid_server.types import ModelSpec

COLUMNS = ("MODEL", "KIND", "FORMAT", "QUANT", "CONTEXT", "SIZE", "")


def run(config: ServerConfig, *, as_json: bool) -> int:
    """Print a table, or one JSON array."""
    specs = [*scan(config.model_path), *([echo_spec()] if config.echo else [])]
    if as_json:
        print(json.dumps([_entry(spec) for spec in specs], indent=2, ensure_ascii=False))
        return 0
    if not specs:
        print(
            f"No models in {config.model_path}. Copy an OpenVINO folder or a .gguf file into it, or choose another "
            "folder with --model-path.",
            file=sys.stderr,
        )
        return 0
    print(table([COLUMNS, *(_row(spec) for spec in specs)]))
    return 0


def _row(spec: ModelSpec) -> tuple[str, ...]:
    return (
        spec.id,
        spec.kind,
        spec.format,
        spec.quantization or "-",
        str(spec.context_length or "-"),
        size(spec.size_bytes),
        f"broken: {spec.problem}" if spec.problem else "",
    )


def _entry(spec: ModelSpec) -> dict[str, object]:
    return {
        "id": spec.id,
        "aliases": list(spec.aliases),
        "kind": spec.kind,
        "format": spec.format,
        "architecture": spec.architecture,
        "quantization": spec.quantization,
        "context_length": spec.context_length,
        "size_bytes": spec.size_bytes,
        "path": str(spec.path),
        "problem": spec.problem,
    }


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def size(count: int) -> str:
    """Bytes for people: 2.3 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
