"""A place where nothing is installed: an environment without ours, and a system without some of its files."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from scripts.interrupted import alone

LIMIT = 1800.0  # seconds: to compile llama.cpp takes minutes
WINDOWS = sys.platform == "win32"
OURS = ("FLUID_", "VIRTUAL_ENV", "CONDA", "PYTHON", "UV_PROJECT", "PIP_", "PIPX_", "CMAKE_ARGS")


class Failed(Exception):
    """A command ended with another exit code than 0; ``said`` is all that it wrote."""

    def __init__(self, command: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"{Path(command[0]).name} ended with exit code {code}: {_last_line(said)}")
        self.said = said


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "without a word"


@dataclass(frozen=True)
class Place:
    """A folder to install into. ``without`` are files of the system that commands here do not see (Linux, as root)."""

    folder: Path
    without: tuple[Path, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path, env: Mapping[str, str] | None = None) -> str:
        """What a command says on both streams. Errors: Failed; TimeoutExpired after half an hour."""
        words = self.command(*command)
        pipe, both = subprocess.PIPE, subprocess.STDOUT
        done = alone(words, self.folder, env=self.environment(env), stdout=pipe, stderr=both, timeout=LIMIT)
        if done.returncode:
            raise Failed([str(word) for word in command], done.returncode, done.stdout)
        return done.stdout

    def command(self, *command: str | Path) -> list[str]:
        """The command line, in a system that lacks the files where some are to be hidden."""
        words = [str(word) for word in command]
        return words if not self.without else ["unshare", "--mount", "sh", "-c", self._hiding(), "sh", *words]

    def _hiding(self) -> str:
        """A script that lays whiteouts, overlayfs' removed files, over the folders, and then runs its arguments."""
        steps = ["set -e"]
        for number, folder in enumerate(sorted({file.parent for file in self.without})):
            holes = self.folder / f"holes-{number}"
            steps.append(f"mkdir -p {shlex.quote(str(holes))}")
            for file in self.without:
                if file.parent == folder:
                    hole = shlex.quote(str(holes / file.name))
                    steps.append(f"test -e {hole} || mknod {hole} c 0 0")
            layers, over = shlex.quote(f"lowerdir={holes}:{folder}"), shlex.quote(str(folder))
            steps.append(f"mount -t overlay overlay -o {layers} {over}")
        return "; ".join([*steps, 'exec "$@"'])

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The machine's, without what belongs to us or to another Python."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(OURS)}
        return {**kept, "PYTHONUTF8": "1", **self.settings, **(more or {})}

    def home(self) -> dict[str, str]:
        """Settings by which a program takes this folder for the user's."""
        own = str(self.folder / "home")
        names = ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
        return dict.fromkeys(names, own)


def program_in(folder: Path, name: str) -> Path:
    """A program in an environment of Python."""
    return folder / ("Scripts" if WINDOWS else "bin") / (f"{name}.exe" if WINDOWS else name)


@cache
def can_hide() -> str | None:
    """Why files of the system cannot be hidden here; None where they can. It is tried."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
        return "files of the system can be hidden on Linux alone, by root, with unshare"
    with tempfile.TemporaryDirectory() as folder:
        system = Path(folder, "system")
        system.mkdir()
        try:
            Place(Path(folder), without=(system / "file",)).run("true")
        except Failed:
            return "this machine lets nobody mount anything"
    return None
