"""Where a server is: a running one says it in its models and data folders, so that nobody has to know its port."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

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
    before: Announcement | None = None  # another server of the same folder, which was there first

    @property
    def is_stale(self) -> bool:
        """Whether its process is gone: the port may be another server's by now."""
        import psutil

        return not (0 < self.pid < LARGEST_PID and psutil.pid_exists(self.pid))


def address_of(host: str, port: int) -> str:
    """The URL of a server that listens there."""
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def announced(folders: Iterable[Path], url: str) -> Generator[Announcement, None, None]:
    """Say where the server is, as long as this lasts."""
    own = announce(folders, url)
    try:
        yield own
    finally:
        withdraw(folders, own)


def announce(folders: Iterable[Path], url: str) -> Announcement:
    """Write the files. A folder that is not there or cannot be written to is no failure: there is the port to try.

    A server that had our number has ended: in a container each one may have the same.
    """
    own = Announcement(url, os.getpid(), __version__)
    for folder in folders:
        others = [one for one in running_in(folder) if one.pid != own.pid]
        _write(folder, replace(own, before=_linked(others)))
    return own


def withdraw(folders: Iterable[Path], own: Announcement) -> None:
    """Remove the files, or say again where the server is that was there first. What came since stays."""
    for folder in folders:
        told = read(folder)
        if told is None or (told.url, told.pid) != (own.url, own.pid):
            continue
        if (before := _linked(_running(told.before))) is not None:
            _write(folder, before)
            continue
        with suppress(OSError):
            (folder / FILE).unlink()


def running_in(folder: Path) -> list[Announcement]:
    """The servers of the folder that still run, the youngest first."""
    return _running(read(folder))


def _running(told: Announcement | None) -> list[Announcement]:
    found: dict[int, Announcement] = {}
    while told is not None:
        if not told.is_stale:
            found.setdefault(told.pid, told)  # an older one of the same number has ended
        told = told.before
    return list(found.values())


def _linked(servers: Sequence[Announcement]) -> Announcement | None:
    """The first, which tells of the others; None where there are none."""
    before = None
    for one in reversed(servers):
        before = replace(one, before=before)
    return before


def _write(folder: Path, told: Announcement) -> None:
    draft = folder / f"{FILE}.{os.getpid()}"
    with suppress(OSError):
        draft.write_text(json.dumps(asdict(told)), encoding="utf-8")
        draft.replace(folder / FILE)


def read(folder: Path) -> Announcement | None:
    """What the folder's server says; None where there is none, or nothing that makes sense."""
    try:
        return _read(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _read(told: Any) -> Announcement:
    before = told.get("before")
    return Announcement(
        str(told["url"]), int(told["pid"]), str(told["version"]), None if before is None else _read(before)
    )
