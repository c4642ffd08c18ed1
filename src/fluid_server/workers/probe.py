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
from fluid_server.runtimes.table import RUNTIMES, Entry, load_target
from fluid_server.workers.handle import worker_command
from fluid_server.workers.kin import end_with_server

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
        return RuntimeReport(False, reason=f"{entry.packages[-1]} is not installed: {_why_missing(entry)}")
    package, installed = found
    try:
        devices = load_target(entry.devices)()
        remark = load_target(entry.remark)() if entry.remark else None
    except (ImportError, OSError, RuntimeError, FluidError) as error:
        return RuntimeReport(False, installed, reason=_import_reason(package, error))
    return RuntimeReport(True, installed, tuple(devices), remark)


def _why_missing(entry: Entry) -> str:
    here = f"{platform.system()} {platform.machine()}"
    if entry.extra:
        return f"it comes with the extra '{entry.extra}' (uv sync --extra {entry.extra}), if it has a wheel for {here}"
    return f"it has no wheel for {here}, or was left out"


def _installed(packages: Iterable[str]) -> tuple[str, str] | None:
    """The first of these packages that is installed, and its version."""
    for package in packages:
        with suppress(PackageNotFoundError):
            return package, version(package)
    return None


def _import_reason(package: str, error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "libgomp" in text:
        return f"{package} needs libgomp.so.1: install it (on Debian and Ubuntu: apt install libgomp1)"
    if sys.platform == "win32" and "DLL" in text:
        return f"{package} needs the Microsoft Visual C++ Redistributable: {text}"
    return f"{package} cannot be imported: {text}"
