"""What a run has found, as it lies in ``figures.json``: the rows of each section, and how they were taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, as_json, from_json
from benchmarks.machine_facts import Load, Machine

FILE = "figures.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """When, where, with what and how a section was measured. ``others``: cores that others kept busy meanwhile.

    ``minute_after``: the load average when it was done.
    """

    date: str
    commit: str
    machine: Machine
    versions: Mapping[str, str]
    quick: bool
    repeats: int
    seconds: float
    before: Load
    minute_after: float | None
    others: float | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A section's rows; not all of them where ``taken.problem`` says why."""

    name: str
    taken: Taken
    rows: tuple[Row, ...]


Record = dict[str, Measured]


def read(folder: Path) -> Record:
    """What lies in a folder; nothing where nothing does. Errors: ValueError for a file that no run of ours wrote."""
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return {name: _measured(name, one) for name, one in told.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file} is of another version of this program ({error}): delete it and measure anew"
        ) from error


def write(folder: Path, record: Record) -> Path:
    """Put it there; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    file.write_text(as_text(record), encoding="utf-8", newline="\n")
    return file


def as_text(record: Record) -> str:
    """The JSON of it."""
    told = {
        name: {"taken": asdict(one.taken), "rows": [as_json(row) for row in one.rows]} for name, one in record.items()
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def merged(old: Record, new: Record) -> Record:
    """What is new in place of the same section's old rows; a section that came to nothing leaves the old ones."""
    return {**old, **{name: one for name, one in new.items() if one.rows}}


def _measured(name: str, told: Mapping[str, Any]) -> Measured:
    taken: dict[str, Any] = dict(told["taken"])
    taken |= {"before": Load(**taken["before"]), "machine": Machine(**taken["machine"])}
    return Measured(name, Taken(**taken), tuple(from_json(row) for row in told["rows"]))
