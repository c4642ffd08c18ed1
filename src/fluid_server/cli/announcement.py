"""Where a server is: a running one says it in its models folder, so that nobody has to know its port."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from fluid_server import __version__

FILE = ".server.json"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what stands for all addresses is no place to go to
LARGEST_PID = 2**31


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a running server says of itself."""

    url: str
    pid: int
    version: str

    @property
    def is_stale(self) -> bool:
        """Whether its process is gone: the port may be another server's by now."""
        return not (0 < self.pid < LARGEST_PID and psutil.pid_exists(self.pid))


def address_of(host: str, port: int) -> str:
    """The URL of a server that listens there."""
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def announced(folder: Path, url: str) -> Generator[None, None, None]:
    """Say where the server is, as long as this lasts."""
    own = announce(folder, url)
    try:
        yield
    finally:
        withdraw(folder, own)


def announce(folder: Path, url: str) -> Announcement:
    """Write the file. A folder that is not there or cannot be written to is no failure: there is the port to try."""
    own = Announcement(url, os.getpid(), __version__)
    draft = folder / f"{FILE}.{own.pid}"
    with suppress(OSError):
        draft.write_text(json.dumps(asdict(own)), encoding="utf-8")
        draft.replace(folder / FILE)
    return own


def withdraw(folder: Path, own: Announcement) -> None:
    """Remove the file, unless another server has written its own since."""
    if read(folder) == own:
        with suppress(OSError):
            (folder / FILE).unlink()


def read(folder: Path) -> Announcement | None:
    """What the folder's server says; None where there is none, or nothing that makes sense."""
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Announcement(str(told["url"]), int(told["pid"]), str(told["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
