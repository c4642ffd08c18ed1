"""The server that a service runs: found by what it says in its folders, and known by its command line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import psutil

from fluid_server.cli.announcement import Announcement, running_in
from fluid_server.cli.client import Client
from fluid_server.cli.service_files import Record
from fluid_server.errors import FluidError, Unavailable

ENDING = 10.0  # seconds


def server_in(record: Record) -> Announcement | None:
    """The service's server, where it runs and says so. Another server that has the same folders is not taken for it."""
    found = chain.from_iterable(running_in(Path(place)) for place in record.places)
    return next((one for one in found if runs(one.pid, record.command)), None)


def runs(pid: int, command: Sequence[str]) -> bool:
    """Whether a process was started by this command. How its program is called does not count: on Windows the Python of
    a virtual environment hands over to another."""
    try:
        return psutil.Process(pid).cmdline()[1:] == list(command[1:])
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def answering(record: Record) -> str | None:
    """Where the service's server answers, by what it says, or where its settings have it listen."""
    said = server_in(record)
    url = said.url if said else record.address
    return url if url and asyncio.run(_answers(url)) else None


async def _answers(url: str) -> bool:
    """Whether a Fluid Server is there. It is told no secret."""
    async with Client(url) as client:
        with suppress(Unavailable):
            return await client.is_fluid_server()
    return False


def end_process(pid: int) -> None:
    """End a process that may have gone already, and wait for that. Errors: FluidError."""
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(ENDING)
    except psutil.NoSuchProcess:
        return
    except (psutil.AccessDenied, psutil.TimeoutExpired) as error:
        raise FluidError(f"The server (process {pid}) cannot be ended. End it in the system's task manager.") from error
