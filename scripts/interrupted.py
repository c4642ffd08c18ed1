"""Ctrl-C in a script: one line, exit code 130, and no process that goes on with its work."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
    with _kept_for_later() as now, subprocess.Popen(command, cwd=folder) as process:
        try:
            now()
            return process.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):  # who is in a hurry presses it again
                process.wait(PATIENCE)
            end(process)
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
    with (
        _kept_for_later() as now,
        subprocess.Popen(
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
        ) as process,
    ):
        try:
            now()
            said, complained = process.communicate(timeout=timeout)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            end(process)
            raise
        return subprocess.CompletedProcess(command, process.returncode, said, complained)


@contextmanager
def _kept_for_later() -> Generator[Callable[[], None], None, None]:
    """Ctrl-C is kept until ``now`` is called: else a process that is just starting would be known to nobody."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))

    def now() -> None:
        signal.signal(signal.SIGINT, before)
        if pressed:
            raise KeyboardInterrupt

    try:
        yield now
    finally:
        signal.signal(signal.SIGINT, before)


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """End a process, if it still runs, and all that it has started; who does not go in time is killed."""
    if process.poll() is not None:
        return
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        family = [top, *top.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        for one in psutil.wait_procs(family, PATIENCE)[1]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
