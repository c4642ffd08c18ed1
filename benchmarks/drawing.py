"""Has the pictures drawn by plots.py, in a Python that has matplotlib: it is no part of the usual environment.

It is tried before anything is measured, so that the packages are fetched then, and what is missing is told then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

SCRIPT = Path(__file__).with_name("plots.py")


def drawing_command() -> list[str] | None:
    """How plots.py is started here; None, with the reason on stderr, where it cannot be."""
    if find_spec("matplotlib"):
        return [sys.executable, str(SCRIPT)]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        print("no pictures: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
        return None
    command = [uv, "run", "--quiet", "--isolated", "--only-group", "bench", "python", str(SCRIPT)]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return command
    print(f"no pictures: {(done.stderr.strip() or 'plots.py cannot be started').splitlines()[-1]}", file=sys.stderr)
    return None


def draw(command: Sequence[str], folder: Path) -> list[str]:
    """The names of the pictures that were drawn into the folder, from the figures that lie there."""
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no pictures: {done.stderr.strip()}", file=sys.stderr)
        return []
    return done.stdout.split()
