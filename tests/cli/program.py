"""The program as a person or a script runs it."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from fluid_server.cli.main import main
from tests.front_door import PATIENCE, clean_environment, command

WINDOWS = sys.platform == "win32"
ON_A_TERMINAL = pytest.mark.skipif(WINDOWS, reason="Windows has no pseudo-terminals that a test could use")
CTRL_C = pytest.mark.skipif(WINDOWS, reason="on Windows a test cannot press Ctrl-C in one process alone")
Ran = subprocess.CompletedProcess[str]
InProcess = Callable[..., tuple[int | str | None, str, str]]


def ran(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> Ran:
    """One command in a folder, to its end; nobody is there to answer.

    It runs in this process, since most of a short command's time is Python's own start. Each verb also runs as a
    process of its own somewhere: ``started`` and ``Terminal``.
    """
    out, err = _stream(), _stream()
    with (
        pytest.MonkeyPatch.context() as patch,
        chdir(folder),
        Path(os.devnull).open(encoding="utf-8") as nobody,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setattr(os, "environ", clean_environment(env))
        patch.setattr(sys, "stdin", nobody)
        code = _code_of(arguments)
    return Ran(arguments, code, _written(out), _written(err))


def _code_of(arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as left:  # argparse's way out
        return left.code if isinstance(left.code, int) else int(left.code is not None)


def _stream() -> io.TextIOWrapper:
    """What a pipe looks like to a program."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def well(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    """What a command that goes well says on stdout."""
    done = ran(*arguments, folder=folder, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> Any:
    """The JSON of a command that goes well."""
    return json.loads(well(*arguments, "--json", folder=folder, env=env))


def refused(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> str:
    """The one line of a command that fails."""
    done = ran(*arguments, folder=folder, env=env)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("fluid-server: "), done.stderr
    assert "Traceback" not in done.stderr
    return lines[-1]


@contextmanager
def started(
    *arguments: str, folder: Path, env: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[str], None, None]:
    """A command that goes on while a test does something else, and ends with it."""
    with subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Press Ctrl-C: exit code, stdout, stderr."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def _both_ends() -> tuple[int, int]:
    """Of a new terminal: ours, and that of the command."""
    if sys.platform == "win32":
        raise NotImplementedError
    import pty

    return pty.openpty()


class Terminal:
    """A command on a terminal: what it shows is read, and it can be answered."""

    def __init__(self, *arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self._ours, its = _both_ends()
        self.shown = ""
        self.process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env=clean_environment({"TERM": "xterm-256color", "COLUMNS": "100", **(env or {})}),
            stdin=its,
            stdout=its,
            stderr=its,
        )
        os.close(its)

    def wait_for(self, text: str) -> None:
        """Read until the text has been shown."""
        while text not in self.shown:
            assert self._read(), f"it was never shown, but this: {self.shown}"

    def answer(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read until it has ended; returns the exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert ready, f"nothing more is shown after this: {self.shown}"
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # how Linux says that the last program has left the terminal
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)
