"""Where and with what something was measured: machine, versions, commit, and what else the machine was doing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from fluid_server.machine import cpu_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "fluid-server", "openvino", "openvino-genai", "openvino-tokenizers", "xllamacpp", "llama-cpp-python", "fastapi",
    "starlette", "uvicorn", "uvloop", "httptools", "tokenizers", "numpy",
)  # fmt: skip
BUSY = 0.25  # of a core, by others: more than that, and a figure is no longer the server's alone


@dataclass(frozen=True, slots=True)
class Machine:
    """What does not change while it runs."""

    cpu: str
    cores: int
    threads: int
    memory_gb: float
    system: str
    python: str


@dataclass(frozen=True, slots=True)
class Load:
    """What the machine did before we began: its load over the last minute, and the cores that were busy in a second."""

    minute: float | None
    busy: float

    @property
    def idle(self) -> bool:
        return self.busy <= BUSY


def machine() -> Machine:
    """This one."""
    return Machine(
        cpu=cpu_name(),
        cores=psutil.cpu_count(logical=False) or 0,
        threads=psutil.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=_system(),
        python=platform.python_version(),
    )


def versions() -> dict[str, str]:
    """The packages that decide how fast it is, as far as they are here."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit, short; with a mark where files differ from it; "unknown" outside of a clone."""
    known = _git("rev-parse", "--short=10", "HEAD")
    if not known:
        return "unknown"
    # What a run writes itself is no change of what it measures.
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)docs/performance")
    return f"{known} with changes" if changed else known


def load() -> Load:
    """Takes a second."""
    minute = load_average()
    busy = psutil.cpu_percent(interval=1.0) / 100 * (psutil.cpu_count() or 1)
    return Load(minute, round(busy, 2))


def load_average() -> float | None:
    """Of the last minute; None where the system has none."""
    if sys.platform == "win32":
        return None
    return round(os.getloadavg()[0], 2)


def today() -> str:
    """The date in UTC, as 2026-11-26."""
    return datetime.now(UTC).date().isoformat()


def _system() -> str:
    if platform.system() != "Linux":
        return f"{platform.system()} {platform.release()}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"Linux {platform.release()}"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
