"""A service's own files: secrets that nobody else may read, and a note of what was installed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fluid_server.errors import FluidError

RECORD = "installed.json"
OWNER_ONLY, ALL_MAY_READ = 0o600, 0o644
HEADER = """\
# Secrets of this service, such as FLUID_API_KEY="...". Only its owner may read this file.
# Settings that 'fluid-server service install' was given are flags of the service, and win over this file.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was installed, for those who look at it later. ``places`` are folders where its server says where it is."""

    name: str
    scope: str
    version: str
    command: tuple[str, ...]
    places: tuple[str, ...]
    address: str | None
    log_file: str | None


def with_secrets(text: str, secrets: Mapping[str, str]) -> str:
    """A file's text with these secrets in place of older ones; every other line stays."""
    lines = (text or HEADER).splitlines()
    for variable, value in secrets.items():
        kept = re.compile(rf"\s*(export\s+)?{re.escape(variable)}\s*=", re.IGNORECASE)
        lines = [line for line in lines if not kept.match(line)]
        lines.append(f"{variable}={quoted(value)}")
    return "\n".join(lines) + "\n"


def quoted(value: str) -> str:
    """A value as systemd and python-dotenv both read it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def keep_secrets(file: Path, secrets: Mapping[str, str]) -> None:
    """Write the secrets into the file; without any, only see to it that there is one, for the owner alone."""
    written(file, with_secrets(_text(file), secrets), OWNER_ONLY)


def written(file: Path, text: str, mode: int = ALL_MAY_READ, encoding: str = "utf-8") -> None:
    """Replace a file in one step. Errors: FluidError that says what to do. It is never there with other rights."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding=encoding, newline="\n"
        ) as out:
            out.write(text)
        draft.replace(file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise _unwritable(file, error) from error


def removed(file: Path) -> None:
    """Remove a file, if it is there. Errors: FluidError."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> FluidError:
    hint = " A service of the whole system needs root: run it with sudo." if isinstance(error, PermissionError) else ""
    return FluidError(f"{file} cannot be written: {error.strerror}.{hint}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unwritable(file, error) from error


def remember(folder: Path, record: Record) -> None:
    """Write the record. Errors: FluidError."""
    written(folder / RECORD, json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n")


def remembered(folder: Path) -> Record | None:
    """The record; None where there is none, or nothing that makes sense."""
    try:
        told: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        told |= {name: tuple(told[name]) for name in ("command", "places")}
        return Record(**told)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(folder: Path) -> None:
    """Remove the record; secrets stay."""
    removed(folder / RECORD)


def end_of(file: Path, lines: int) -> str:
    """The last lines of a text file; nothing where there is none."""
    try:
        return "\n".join(file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
