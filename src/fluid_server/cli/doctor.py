"""fluid-server doctor: what runs here, and why not."""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import psutil

from fluid_server import __version__
from fluid_server.catalog.scan import scan
from fluid_server.cli.serve import listen
from fluid_server.cli.words import size
from fluid_server.config import ServerConfig
from fluid_server.errors import CannotStart, FluidError
from fluid_server.machine import machine_architecture, process_architecture
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.selection import select
from fluid_server.types import Ability, GenerateRequest, Message, TextPiece
from fluid_server.workers.probe import Report, probe

LITTLE_DISK = 2 * 1000**3
MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``state`` is ok, warning or failed."""

    what: str
    state: str
    says: str


def run(config: ServerConfig, *, as_json: bool) -> int:
    """Look at everything; the exit code is 1 where something failed that the server cannot do without."""
    findings: list[Finding] = []
    for finding in check(config):
        findings.append(finding)
        if not as_json:
            print(f" {MARKS[finding.state]} {finding.what:<32} {finding.says}", flush=True)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    return 1 if any(finding.state == "failed" for finding in findings) else 0


def check(config: ServerConfig) -> Iterator[Finding]:
    """All findings, one by one as they are made."""
    yield _machine()
    report = asyncio.run(probe())
    yield from _runtimes(report)
    yield from _models(config, report)
    yield _port(config)
    yield _disk(config)
    yield _whole_path(config)


def _machine() -> Finding:
    machine, process = machine_architecture(), process_architecture()
    memory = psutil.virtual_memory()
    text = (
        f"fluid-server {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"{machine}, {psutil.cpu_count(logical=False)} cores, {size(memory.available)} of {size(memory.total)} free"
    )
    if machine != process:
        return Finding("machine", "warning", f"{text}. This Python is built for {process} and runs emulated: "
                       f"install one for {machine}.")  # fmt: skip
    return Finding("machine", "ok", text)


def _runtimes(report: Report) -> Iterator[Finding]:
    for name, entry in report.items():
        if entry.available:
            version = f" {entry.version}" if entry.version else ""
            remark = f" ({entry.reason})" if entry.reason else ""
            yield Finding(f"runtime {name}", "ok", f"imports{version}; devices: {', '.join(entry.devices)}{remark}")
        else:
            yield Finding(f"runtime {name}", "warning", f"not here: {entry.reason}")
    if not any(entry.available for name, entry in report.items() if name != "echo"):
        yield Finding("runtimes", "failed", "no engine imports, so no model can run")


def _models(config: ServerConfig, report: Report) -> Iterator[Finding]:
    specs = scan(config.model_path, config.shipped_models)
    if not specs:
        yield Finding("models", "warning", f"none in {config.model_path}: fetch one ('fluid-server pull NAME'; "
                      "'fluid-server list --available' shows some), copy one in, or use --model-path")  # fmt: skip
    for spec in specs:
        if spec.problem:
            yield Finding(f"model {spec.id}", "warning", f"broken: {spec.problem}")
            continue
        choice = select(spec, report, config.device)
        ways = ", ".join(f"{one.runtime} on {one.device}" for one in choice.candidates)
        yield Finding(f"model {spec.id}", "ok" if ways else "warning", ways or choice.reason)


def _port(config: ServerConfig) -> Finding:
    try:
        listen(config).close()
    except CannotStart as error:
        return Finding("port", "warning", error.message)
    return Finding("port", "ok", f"{config.host}:{config.port} is free" if config.port else "any free one")


def _disk(config: ServerConfig) -> Finding:
    folder = next((one for one in (config.model_path, *config.model_path.parents) if one.is_dir()), None)
    if folder is None:
        return Finding("disk", "warning", f"{config.model_path} is not there and cannot be made")
    free = shutil.disk_usage(folder).free
    return Finding("disk", "ok" if free > LITTLE_DISK else "warning", f"{size(free)} free for {config.model_path}")


def _whole_path(config: ServerConfig) -> Finding:
    """The built-in model through a real worker process: everything but an engine."""
    try:
        heard = asyncio.run(_echo(config.model_copy(update={"echo": True, "warm_up": False})))
    except (FluidError, TimeoutError) as error:
        return Finding("worker process", "failed", str(error) or "did not answer in time")
    state = "ok" if heard == "hello" else "failed"
    return Finding("worker process", state, f"starts and answers ({heard!r})")


async def _echo(config: ServerConfig) -> str:
    manager = RuntimeManager(config)
    request = GenerateRequest(messages=(Message(role="user", content="hello"),), max_tokens=8)
    await manager.start()
    try:
        async with asyncio.timeout(30), manager.lease("echo", Ability.CHAT) as lease:
            events = [event async for batch in lease.run(request) for event in batch]
    finally:
        await manager.close()
    return "".join(event.text for event in events if isinstance(event, TextPiece))
