"""Measure how fast the server is, and write it down: a page, its pictures and the figures.

uv run benchmarks/run.py                     everything: docs/performance/, about an hour
uv run benchmarks/run.py --quick             fewer and shorter loads: build/performance/, under three minutes
uv run benchmarks/run.py --only throughput   only this section; the page keeps what it has of the others
uv run benchmarks/run.py --list              the sections

It makes its models first (make_model.py, in build/). Server, engine alone and peers work in turns. Nothing here is a
test: the exit code is 0 where everything was measured, whatever came of it, 1 where something could not be, 130 after
Ctrl-C, which writes down what is there. The pictures are drawn by plots.py in an environment of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402 - found through the line above, as those below

from benchmarks import machine_facts, page, record  # noqa: E402
from benchmarks.drawing import draw, drawing_command  # noqa: E402
from benchmarks.effort import Effort  # noqa: E402
from benchmarks.figures import Row  # noqa: E402
from benchmarks.make_model import make  # noqa: E402
from benchmarks.progress import Progress  # noqa: E402
from benchmarks.record import Measured, Record, Taken  # noqa: E402
from benchmarks.sections import SECTIONS, Section, chosen  # noqa: E402

FOLDER = ROOT / "docs" / "performance"
QUICK_FOLDER = ROOT / "build" / "performance"
REPEATS, QUICK_REPEATS = 5, 2
INTERRUPTED = 130
ENDED = "somebody ended the run."
FAILURES = (ImportError, OSError, RuntimeError, ValueError, LookupError, AssertionError, subprocess.SubprocessError)


class Cores:
    """How many cores others kept busy since this was made. None where the system does not tell of ended children."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._all, self._ours = self._used()

    def others(self) -> float | None:
        """On average."""
        if sys.platform == "win32":
            return None
        used, ours = self._used()
        return round(max(0.0, (used - self._all) - (ours - self._ours)) / (time.perf_counter() - self._began), 2)

    def _used(self) -> tuple[float, float]:
        """Seconds: of everybody, and of this process with the children that have ended."""
        whole = psutil.cpu_times()
        ours = os.times()
        mine = ours.user + ours.system + ours.children_user + ours.children_system
        return sum(whole[:3]) + sum(whole[5:8]) if sys.platform == "linux" else sum(whole) - whole.idle, mine


def measured(section: Section, effort: Effort) -> Measured:
    """The section's rows, as far as they came."""
    before, cores, started = machine_facts.load(), Cores(), time.perf_counter()
    if not before.idle:
        print(f"warning: something else keeps {before.busy} cores busy: the figures are of both", file=sys.stderr)
    rows: list[Row] = []
    problem = None
    try:
        rows.extend(section.measure(effort))
    except KeyboardInterrupt:
        problem = ENDED
    except FAILURES as failure:
        problem = f"{type(failure).__name__}: {failure}".rstrip(".") + "."
        print(f"\n{section.name}: {problem}", file=sys.stderr)
    taken = Taken(
        date=machine_facts.today(),
        commit=machine_facts.commit(),
        machine=machine_facts.machine(),
        versions=machine_facts.versions(),
        quick=effort.quick,
        repeats=effort.repeats,
        seconds=round(time.perf_counter() - started, 1),
        before=before,
        minute_after=machine_facts.load_average(),
        others=cores.others(),
        problem=problem,
    )
    return Measured(section.name, taken, tuple(rows))


def run(sections: Sequence[Section], old: Record, *, quick: bool, repeats: int) -> tuple[Record, bool]:
    """Measure one after the other; what came of it, and whether somebody has ended it."""
    progress = Progress(sections, old, quick=quick, repeats=repeats)
    found: Record = {}
    try:
        for section in sections:
            progress.begin(section)
            found[section.name] = measured(section, Effort(repeats, quick, progress.say))
            if found[section.name].taken.problem == ENDED:
                return found, True
    except KeyboardInterrupt:  # between two sections
        return found, True
    finally:
        progress.end()
    return found, False


def write(folder: Path, kept: Record, command: Sequence[str] | None) -> Path:
    """Figures, pictures and page; returns the page."""
    record.write(folder, kept)
    pictures = draw(command, folder) if command else []
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else page.EMPTY_PAGE
    file.write_text(page.put(text, page.generated(kept, pictures)), encoding="utf-8", newline="\n")
    return file


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [section.name for section in SECTIONS]
    command.add_argument(
        "--only", action="append", choices=names, default=[], metavar="NAME", help="this section; may be repeated"
    )
    command.add_argument("--quick", action="store_true", help="fewer loads, streams and repeats")
    command.add_argument(
        "--repeats", type=int, metavar="N", help=f"repeats of everything (default: {REPEATS}, quick: {QUICK_REPEATS})"
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder of the page (default: docs/performance, quick: build/performance)",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write what this run has found there too")
    command.add_argument("--draw", action="store_true", help="measure nothing: page and pictures anew from the figures")
    command.add_argument("--no-pictures", action="store_true", help="only figures and page")
    command.add_argument("--list", action="store_true", help="name the sections, and end")
    asked = command.parse_args(given)
    if asked.repeats is not None and asked.repeats < 1:
        command.error("--repeats must be at least 1")
    return asked


def main(given: Sequence[str] | None = None) -> int:
    """Measure what was asked for and write it down."""
    asked = arguments(given)
    if asked.list:
        for section in SECTIONS:
            print(f"{section.name:<16}{section.title}: {section.target}")
        return 0
    folder = asked.out or (QUICK_FOLDER if asked.quick else FOLDER)
    command = None if asked.no_pictures else drawing_command()
    try:
        old = record.read(folder)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    found: Record = {}
    interrupted = False
    if not asked.draw:
        print("making the models", file=sys.stderr)
        make()
        repeats = asked.repeats or (QUICK_REPEATS if asked.quick else REPEATS)
        found, interrupted = run(chosen(asked.only), old, quick=asked.quick, repeats=repeats)
    kept = record.merged(old, found)
    if not kept:
        print("nothing was measured", file=sys.stderr)
        return INTERRUPTED if interrupted else 1
    written = write(folder, kept, command)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(record.as_text(found), encoding="utf-8", newline="\n")
    shown = {name: one for name, one in kept.items() if name in found or asked.draw}
    print(page.generated(shown, []))
    print(f"\n{written}", file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return 1 if any(one.taken.problem for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
