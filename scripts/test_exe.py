"""Try a packaged program before anybody is given it: is it whole, and does it do its work where nothing else is?

uv run scripts/test_exe.py               what scripts/build.py made: dist/fluid-server/fluid-server(.exe)
uv run scripts/test_exe.py PROGRAM       another one, such as dist/onefile/fluid-server
uv run scripts/test_exe.py --isolated    as another user, without network, in a folder that cannot be written to, where
                                         no Python and no library but C's and zlib can be reached (Linux, as root)
uv run scripts/test_exe.py --starts 5    only how long it takes to start

It answers chats on every engine in it, streamed and not, transcribes, keeps, is cancelled, ends well and is killed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fluid_server import __version__  # noqa: E402 - after the path, with the rest
from fluid_server.types import Kind  # noqa: E402
from scripts.bundle import archive, trials  # noqa: E402
from scripts.bundle.room import INNER, MB  # noqa: E402
from scripts.bundle.running import Running, Trouble, bare_environment  # noqa: E402

PROGRAM = ROOT / "dist" / "fluid-server" / ("fluid-server.exe" if sys.platform == "win32" else "fluid-server")
NO_CELL = "test_exe.py: --isolated needs Linux, root, and namespaces for network and mounts (unshare)."
QUIET = ("--no-warm-up", "--idle-timeout", "0")


class Trial:
    """One program, how it is started, and what is found out about it."""

    def __init__(self, program: Path, command: tuple[str, ...], environment: dict[str, str], folder: Path) -> None:
        self.program, self.command, self.environment, self.folder = program, command, environment, folder
        self.files = archive.files_in(program)
        self.seconds: dict[str, float] = {}
        self.models: list[str] = []

    def whole(self) -> None:
        """What must not be in it is not; what it says of itself is right; its engines import."""
        if unwanted := archive.unwanted(self.files, archive.modules_in(self.program)):
            raise Trouble(f"it has what must not be passed on: {', '.join(unwanted)}")
        version = self._say("--version").strip()
        if version != f"fluid-server {__version__}":
            raise Trouble(f"it calls itself {version!r}")
        engines = trials.engines(self._say("doctor", "--json", "--port", "0"))
        trials.check_engines(engines, archive.packages_in(self.files))
        self._done("is whole", f"engines: {', '.join(sorted(engines))}")

    def works(self) -> None:
        """Everything that a server is asked for, then a good end."""
        with self._server() as running:
            self.seconds["start to /live"] = running.seconds_to_live
            languages = list(trials.models_of(running, Kind.TEXT))
            ears = list(trials.models_of(running, Kind.TRANSCRIPTION))
            self.models = [*languages, *ears]
            for number, model in enumerate(languages):
                asked = time.monotonic()
                arrived = trials.first_token(running, model)
                if not number:
                    self.seconds["start to first token"] = arrived - running.started
                self.seconds[f"first token of {model}, loading it"] = arrived - asked
                asked = time.monotonic()
                self.seconds[f"first token of {model}, loaded"] = trials.first_token(running, model) - asked
                trials.chat(running, model)
                self.seconds[f"cancel of {model}"] = trials.cancel(running, model)
                trials.keep(running, model)
            for model in ears:
                trials.transcribe(running, model)
            trials.pages(running)
            trials.end_well(running)
        self._done("works", f"models: {', '.join(self.models)}")

    def dies(self) -> None:
        """Killed, it leaves nothing behind. A single file is two processes, and only the outer one is ours to kill."""
        if not (self.program.parent / INNER).is_dir():
            return
        with self._server() as running:
            for model in trials.models_of(running, Kind.TEXT):
                trials.chat(running, model)
            self.seconds["workers' end after a kill"] = trials.end_badly(running)
        self._done("dies", "its workers end with it")

    def starts(self, count: int) -> None:
        """Start it so often, each time to its first token; what is reported is the median of each."""
        lives, tokens = [], []
        for _ in range(count):
            with self._server() as running:
                model = next(trials.models_of(running, Kind.TEXT))
                tokens.append(trials.first_token(running, model) - running.started)
                lives.append(running.seconds_to_live)
                running.stop()
        self.seconds[f"start to /live, median of {count}"] = median(lives)
        self.seconds[f"start to first token, median of {count}"] = median(tokens)
        self._done("starts", f"/live after {min(lives):.2f} to {max(lives):.2f} s")

    def report(self) -> dict[str, object]:
        """All that was measured."""
        return {
            "program": self.program.name,
            "onefile": not (self.program.parent / INNER).is_dir(),
            "version": __version__,
            "bytes": sum(self.files.values()),
            "models": self.models,
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }

    def _say(self, *arguments: str) -> str:
        return trials.say(self.command, *arguments, environment=self.environment, folder=self.folder)

    @contextmanager
    def _server(self) -> Generator[Running, None, None]:
        running = Running.start(self.command, *QUIET, environment=self.environment, folder=self.folder)
        try:
            yield running
        finally:
            running.close()

    def _done(self, what: str, found: str) -> None:
        print(f" ✓ {what:<9} {found}", flush=True)


def outside(program: Path, folder: Path) -> Trial:
    """The program where it lies, started in an empty folder with hardly any environment; its user's data stay alone."""
    environment = {**bare_environment(folder), "FLUID_DATA_DIR": str(folder / "data")}
    return Trial(program, (str(program),), environment, folder)


@contextmanager
def inside(program: Path, folder: Path) -> Generator[Trial, None, None]:
    """The program in a cell, for which this runs in namespaces of its own already."""
    from scripts.bundle import cell

    made = cell.build(program, folder)
    try:
        yield Trial(program, made.command, made.environment, folder)
    finally:
        cell.leave(made)


def can_isolate() -> bool:
    """Whether a cell can be made here."""
    if sys.platform != "linux":
        return False
    from scripts.bundle import cell

    return cell.is_possible()


def enter(arguments: list[str]) -> int:
    """Run this again where there is no network. The exit code is that of the trial."""
    from scripts.bundle import cell

    return cell.enter([sys.executable, str(Path(__file__).resolve()), *arguments, "--in-cell"])


def run(trial: Trial, *, starts: int, report: Path | None) -> int:
    """Try everything; the first trouble ends it. With ``starts`` it is only started, so often."""
    try:
        if starts:
            trial.starts(starts)
        else:
            trial.whole()
            trial.works()
            trial.dies()
    except Trouble as trouble:
        print(f" ✗ {trouble}", file=sys.stderr)
        return 1
    for name, value in trial.seconds.items():
        print(f"   {name:<48} {value:7.3f} s")
    print(f"   {'size':<48} {sum(trial.files.values()) / MB:7.1f} MB")
    if report is not None:
        report.write_text(json.dumps(trial.report(), indent=2) + "\n", encoding="utf-8", newline="\n")
    return 0


def main() -> int:
    """The exit code: 0 all is well, 1 something is not, 2 wrong usage."""
    given = parser().parse_args()
    program = given.program.resolve()
    if not program.is_file():
        print(f"test_exe.py: there is no {program}: build it with 'uv run scripts/build.py'.", file=sys.stderr)
        return 2
    if (given.isolated or given.isolated_if_possible) and not given.in_cell:
        if can_isolate():
            return enter(sys.argv[1:])
        print(NO_CELL, file=sys.stderr)
        if given.isolated:
            return 2
    with tempfile.TemporaryDirectory(prefix="fluid-trial-", ignore_cleanup_errors=True) as folder:
        if given.in_cell:
            with inside(program, Path(folder)) as trial:
                return run(trial, starts=given.starts, report=given.report)
        return run(outside(program, Path(folder)), starts=given.starts, report=given.report)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("program", nargs="?", type=Path, default=PROGRAM, metavar="PROGRAM", help=f"default: {PROGRAM}")
    made.add_argument("--isolated", action="store_true", help="where nothing else is (Linux, as root)")
    made.add_argument("--isolated-if-possible", action="store_true", help="so where that can be had, else as usual")
    made.add_argument("--starts", type=int, default=0, metavar="N", help="only start it, so often, and report medians")
    made.add_argument("--report", type=Path, metavar="FILE", help="what was measured, as JSON")
    made.add_argument("--in-cell", action="store_true", help=argparse.SUPPRESS)
    return made


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
