"""A packaged program that runs, as its user would start it: no environment of ours, a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psutil

T = TypeVar("T")
ADDRESS = re.compile(r"API +(http://\S+)/v1")
PATIENCE = 60.0
LOOK_EVERY = 0.005
NEEDED = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
"""What a program on Windows cannot do without; elsewhere none of these is set."""


CREATION_FLAGS = 0
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP  # a group of its own can be sent CTRL_BREAK


class Trouble(Exception):
    """The program does not do what it should."""


def bare_environment(home: Path) -> dict[str, str]:
    """Hardly anything: no PATH, so no Python either."""
    kept = {name: os.environ[name] for name in NEEDED if name in os.environ}
    return {**kept, "HOME": str(home)}


def until(condition: Callable[[], T], what: str, timeout: float = PATIENCE) -> T:
    """What the condition gives once it is true. Errors: Trouble that says what did not happen."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Trouble(f"{what}: not within {timeout:g} s")
        time.sleep(LOOK_EVERY)
    return found


def _stop_signal() -> int:
    """How a supervisor asks for the end: Windows knows no SIGTERM that a program could handle."""
    if sys.platform == "win32":
        return signal.CTRL_BREAK_EVENT
    return signal.SIGTERM


class Running:
    """One server. ``log`` has every line of its stderr so far; ``seconds_to_live`` is from its start to /live."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.started = time.monotonic()
        self.process = process
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, name="program-log", daemon=True)
        self._reader.start()
        self.http = httpx.Client(timeout=PATIENCE)
        self.seconds_to_live = 0.0

    @classmethod
    def start(cls, command: Sequence[str], *flags: str, environment: Mapping[str, str], folder: Path) -> Self:
        """Start it on a free port and wait until it is live. Errors: Trouble."""
        running = cls(
            subprocess.Popen(
                [*command, "serve", "--port", "0", *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                cwd=folder,
                env=environment,
                creationflags=CREATION_FLAGS,
            )
        )
        try:
            running._wait_until_live()
        except Trouble:
            running.close()
            raise
        return running

    def _wait_until_live(self) -> None:
        until(lambda: self._address() or self.process.poll() is not None, "the address in its banner")
        address = self._address()
        if address is None:
            self._reader.join(PATIENCE)
            raise Trouble(f"it ended with exit code {self.process.returncode}: {self.log}")
        self.http.base_url = httpx.URL(address)
        until(self._is_live, "GET /live")
        self.seconds_to_live = time.monotonic() - self.started

    def _address(self) -> str | None:
        return next((found[1] for line in list(self.log) if (found := ADDRESS.search(line))), None)

    def _is_live(self) -> bool:
        try:
            return self.http.get("/live").is_success
        except httpx.TransportError:
            return False

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def json(self, method: str, path: str, **sent: Any) -> Any:
        """A request's answer. Errors: Trouble with the server's own words where it failed."""
        response = self.http.request(method, path, **sent)
        if not response.is_success:
            raise Trouble(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()

    def children(self) -> list[psutil.Process]:
        """Every process that it has started and that still runs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        """Ask for the end as a supervisor does; returns the exit code. Errors: Trouble where it does not end."""
        self.process.send_signal(_stop_signal())
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Trouble(f"it did not end within {PATIENCE:g} s: {self.log[-5:]}") from None

    def close(self) -> None:
        """Whatever has happened: nothing is left behind."""
        self.http.close()
        left = self.children() if self.process.poll() is None else []
        self.process.kill()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.process.stderr is not None:
            self.process.stderr.close()
