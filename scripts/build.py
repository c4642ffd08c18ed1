"""Build the packaged program, which runs where there is no Python.

uv run scripts/build.py                 the folder dist/fluid-server, with fluid-server(.exe) in it
uv run scripts/build.py --onefile       the single file dist/onefile/fluid-server(.exe)
uv run scripts/build.py --with-native   with llama.cpp as compiled here (uv sync --extra native), not xllamacpp

The licences of all that is in it lie beside it, and build/size-report.txt says what takes how much room.
uv run scripts/test_exe.py tries what was built.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.bundle import room  # noqa: E402 - found through the line above
from scripts.bundle.archive import files_in  # noqa: E402
from scripts.bundle.contents import PROGRAM, packages  # noqa: E402
from scripts.bundle.options import Wish, add_flags, wish_of  # noqa: E402
from scripts.interrupted import alone, ends_in_a_line  # noqa: E402

SUFFIX = ".exe" if sys.platform == "win32" else ""
LICENCES = "licences"


def program_of(wish: Wish, dist: Path) -> Path:
    """Where the program is once it is built."""
    return dist / ("onefile" if wish.onefile else PROGRAM) / f"{PROGRAM}{SUFFIX}"


def build(wish: Wish, dist: Path, work: Path) -> Path:
    """Run PyInstaller; returns the program. One that is half made is not left. Errors: CalledProcessError."""
    program = program_of(wish, dist)
    shutil.rmtree(program.parent, ignore_errors=True)
    command = [sys.executable, "-m", "PyInstaller", str(ROOT / "fluid_server.spec"), "--noconfirm"]
    command += ["--log-level", "WARN", "--workpath", str(work)]
    command += ["--distpath", str(program.parent if wish.onefile else dist), "--", *wish.flags()]
    with ExitStack() as unfinished:
        unfinished.callback(shutil.rmtree, program.parent, ignore_errors=True)
        alone(command, ROOT).check_returncode()
        shutil.copytree(work / "fluid_server" / LICENCES, program.parent / LICENCES)
        unfinished.pop_all()
    return program


def main() -> int:
    """Build, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_flags(parser)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", metavar="FOLDER", help="where it goes")
    parser.add_argument("--work", type=Path, default=ROOT / "build", metavar="FOLDER", help="where it is made")
    given = parser.parse_args()
    wish = wish_of(given)
    try:
        packages(wish.extras)
    except LookupError as error:
        print(f"build.py: {error.args[0]}", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        program = build(wish, given.dist, given.work)
    except subprocess.CalledProcessError as error:
        print(f"build.py: PyInstaller ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    kind = "compressed in the single file" if wish.onefile else "on the disk"
    report = room.report(room.by_part(files_in(program)), title=f"What takes how much room, {kind}:")
    (given.work / "size-report.txt").write_text(report, encoding="utf-8", newline="\n")
    print(f"{report}\nBuilt in {time.monotonic() - started:.0f} s: {program}")
    return 0


if __name__ == "__main__":
    sys.exit(ends_in_a_line("build", main))
