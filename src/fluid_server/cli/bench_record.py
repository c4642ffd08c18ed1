"""What was measured, for machines: JSON with the machine and the versions it was measured on, and CSV."""

from __future__ import annotations

import csv
import io
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil

from fluid_server import __version__
from fluid_server.cli.bench_figures import HEADLINES, Figures, headline, over_runs
from fluid_server.errors import InvalidRequest
from fluid_server.machine import cpu_name, machine_architecture, process_architecture

STDOUT = "-"
ENGINES = ("openvino-genai", "xllamacpp", "llama-cpp-python")
COLUMNS = ("run", "streams", "seconds", "answers", "failed", "cut", *HEADLINES, "machine_cpu")


@dataclass(frozen=True, slots=True)
class Record:
    """A whole measurement. ``complete``: it was not ended by Ctrl-C."""

    when: str
    server: Mapping[str, Any]
    model: Mapping[str, Any]
    load: Mapping[str, Any]
    machine: Mapping[str, Any]
    levels: Sequence[Figures]
    complete: bool

    def as_json(self) -> str:
        """All of it: each run, and each figure's median, minimum and maximum over the runs."""
        told = {
            "when": self.when,
            "complete": self.complete,
            "server": self.server,
            "model": self.model,
            "load": self.load,
            "machine": self.machine,
            "runs": [one.as_json() for one in self.levels],
            "over_runs": {
                str(streams): {name: _short(asdict(one)) for name, one in over_runs(runs).items()}
                for streams, runs in by_streams(self.levels).items()
            },
        }
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"

    def as_csv(self) -> str:
        """One line for each number of streams of each run."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in self.levels:
            writer.writerow([_cell(one, column) for column in COLUMNS])
        return text.getvalue()


def by_streams(levels: Sequence[Figures]) -> dict[int, list[Figures]]:
    """The runs of each number of streams, in the order in which they came first."""
    order = list(dict.fromkeys(one.streams for one in levels))
    placed = sorted(levels, key=lambda one: order.index(one.streams))
    return {streams: list(runs) for streams, runs in groupby(placed, key=lambda one: one.streams)}


def _cell(one: Figures, column: str) -> object:
    if column == "failed":
        return sum(one.failed.values())
    value = headline(one, column) if column in HEADLINES else getattr(one, column)
    return round(value, 4) if isinstance(value, float) else value


def _short(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def machine() -> dict[str, Any]:
    """On what it is measured, and how busy that was before."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": machine_architecture(),
        "process_architecture": process_architecture(),
        "cpu": cpu_name(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_free_bytes": psutil.virtual_memory().available,
        "load_average": [round(one, 2) for one in psutil.getloadavg()],
        "python": platform.python_version(),
        "fluid_server": __version__,
        **{name.replace("-", "_"): found for name in ENGINES if (found := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_writable(file: str | None, flag: str) -> None:
    """Before minutes are spent. Errors: InvalidRequest naming the flag."""
    if file is not None and file != STDOUT and not Path(file).absolute().parent.is_dir():
        raise InvalidRequest(f"{flag}: there is no folder {Path(file).absolute().parent}.", param=flag.strip("-"))


def write(text: str, file: str | None) -> None:
    """Into a file, or to stdout. Errors: InvalidRequest where that cannot be."""
    if file is None:
        return
    if file == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InvalidRequest(f"'{file}' cannot be written: {error.strerror or error}.") from error
