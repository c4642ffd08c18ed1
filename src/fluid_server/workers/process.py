"""A worker as a process of the system: how it is called, how it is started, and how it ended, in words."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import IO

from fluid_server.config import worker_environment


def worker_command(verb: str = "worker") -> list[str]:
    """How this program starts itself as a worker: a fresh interpreter, or the packaged program."""
    if getattr(sys, "frozen", False):
        return [sys.executable, verb]
    return [sys.executable, "-P", "-X", "utf8", "-m", "fluid_server", verb]


async def spawned() -> subprocess.Popen[bytes]:
    """A worker's process. Who is cancelled meanwhile leaves none behind. Errors: OSError."""
    # On Linux a worker ends with the thread that has started it (see kin): the executor's live as long as the loop.
    spawning = asyncio.ensure_future(asyncio.to_thread(_spawn))
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:  # it starts all the same, and nobody else knows of it
        await asyncio.shield(_discarded(spawning))  # this goes on where we are cancelled again
        raise


async def _discarded(spawning: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    await asyncio.wait({spawning})
    if spawning.exception() is None:
        await asyncio.to_thread(_discard, spawning.result())


def _discard(process: subprocess.Popen[bytes]) -> None:
    with process:
        process.kill()


def _spawn() -> subprocess.Popen[bytes]:
    """A worker of its own session: Ctrl-C in the server's terminal does not reach it."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=worker_environment(),
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )


def close(stream: IO[bytes] | None) -> None:
    if stream is None:
        return
    try:
        stream.close()
    except OSError:
        return  # what was still buffered for a process that has gone


def describe_exit(code: int | None) -> str:
    """An exit code in words: a negative one is the signal that ended the process."""
    if code is None:
        return "still running"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}" if code < 0x10000 else f"exit code {code:#x}"
