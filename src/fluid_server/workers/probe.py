"""What runs here: imports every engine in a process of its own, so that the server need not."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fluid_server.config import worker_environment
from fluid_server.errors import FluidError
from fluid_server.runtimes.base import plain_reason
from fluid_server.runtimes.table import RUNTIMES, Entry, load_target
from fluid_server.workers.kin import end_with_server
from fluid_server.workers.process import worker_command

PROBE_TIMEOUT = 60.0
NO_WINDOW = 0
if sys.platform == "win32":
    NO_WINDOW = subprocess.CREATE_NO_WINDOW


@dataclass(frozen=True, slots=True)
class RuntimeReport:
    """Whether a runtime's package imports here, its version, its devices, and why not.

    ``reason`` of an available one says why a device that could be expected is missing.
    """

    available: bool
    version: str | None = None
    devices: tuple[str, ...] = ()
    reason: str | None = None


Report = dict[str, RuntimeReport]


async def probe(timeout: float = PROBE_TIMEOUT) -> Report:
    """Ask a fresh process which runtimes import here and which devices they see."""
    try:
        process = await asyncio.create_subprocess_exec(
            *worker_command("probe"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=worker_environment(),
            creationflags=NO_WINDOW,
        )
    except OSError as error:
        return dict.fromkeys(RUNTIMES, RuntimeReport(False, reason=f"the check could not be started: {error.strerror}"))
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
        answers: dict[str, dict[str, Any]] = json.loads(output)
    except TimeoutError:
        return dict.fromkeys(RUNTIMES, RuntimeReport(False, reason=f"did not answer within {timeout:.0f} s"))
    except json.JSONDecodeError:
        reason = f"the check ended with exit code {process.returncode}"
        return dict.fromkeys(RUNTIMES, RuntimeReport(False, reason=reason))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return {name: _report(answer) for name, answer in answers.items()}


def broken(report: Report) -> list[str]:
    """Why engines that are installed do not import, each reason once: what somebody can mend, unlike an absent one."""
    return sorted({one.reason for one in report.values() if one.version and not one.available and one.reason})


def _report(answer: dict[str, Any]) -> RuntimeReport:
    return RuntimeReport(answer["available"], answer["version"], tuple(answer["devices"]), answer["reason"])


def main() -> int:
    """The child's side: print a report as JSON."""
    end_with_server()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever an engine prints at import is no part of the report
    found = {entry.name: _look(entry) for entry in RUNTIMES.values()}
    out.write(json.dumps({name: asdict(report) for name, report in found.items()}))
    out.flush()
    return 0


def _look(entry: Entry) -> RuntimeReport:
    if not entry.packages or entry.devices is None:
        return RuntimeReport(True, devices=("CPU",))
    found = _installed(entry.packages)
    if found is None:
        return RuntimeReport(False, reason=_why_missing(entry))
    package, installed = found
    try:
        devices = load_target(entry.devices)()
        remark = load_target(entry.remark)() if entry.remark else None
    except (ImportError, OSError, RuntimeError, FluidError) as error:
        return RuntimeReport(False, installed, reason=_import_reason(package, error))
    return RuntimeReport(True, installed, tuple(devices), remark)


def _why_missing(entry: Entry) -> str:
    """A plain installation brings the last of the packages, where it has a wheel; the extra brings the first."""
    if getattr(sys, "frozen", False):
        return f"this program was built without {' and '.join(entry.packages)}"
    first, last = entry.packages[0], entry.packages[-1]
    here = f"{platform.system()} {platform.machine()}"
    extra = f"the extra '{entry.extra}' (in a clone: uv sync --extra {entry.extra}; of a wheel: FILE[{entry.extra}])"
    if not entry.extra:
        return f"{last} is not installed: it has no wheel for {here}, or was left out"
    if first == last:
        return f"{last} is not installed: it comes with {extra}, if it has a wheel for {here}"
    return f"{last} is not installed: it has no wheel for {here}, or was left out. {first} comes with {extra}"


def _installed(packages: Iterable[str]) -> tuple[str, str] | None:
    """The first of these packages that is installed, and its version."""
    for package in packages:
        with suppress(PackageNotFoundError):
            return package, version(package)
    return None


def _import_reason(package: str, error: BaseException) -> str:
    if isinstance(error, FluidError):  # our own words: they say what of the package it was
        return error.message
    return f"{package} cannot be imported: {plain_reason(error)}"
