"""Ctrl-C in a script: one line, exit code 130, and no process that goes on with its work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

INTERRUPTED = 130
PATIENCE = 10.0  # seconds that a process gets to end in good order


def ends_in_a_line(name: str, main: Callable[[], int]) -> int:
    """The exit code of ``main``; where Ctrl-C has ended it, that is said in one line."""
    try:
        return main()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def attended(command: Sequence[str], folder: Path) -> int:
    """Run a command that Ctrl-C reaches too, and that knows how to end; returns its exit code."""
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # who is in a hurry presses it again
                process.wait(PATIENCE)
            end(process.pid)
            raise


def alone(
    command: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command that Ctrl-C does not reach, since it would answer with a traceback.

    When it reaches us, the command is ended with all that it has started. Errors: TimeoutExpired.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    ) as process:
        try:
            said, complained = process.communicate(timeout=timeout)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            end(process.pid)
            raise
        return subprocess.CompletedProcess(command, process.returncode, said, complained)


def end(pid: int) -> None:
    """End a process and all that it has started; who does not go in time is killed."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        for one in psutil.wait_procs(family, PATIENCE)[1]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
