"""A folder for one process's files, which is gone once that process is, however it ended.

Whether a process lives is told by a lock that the system takes away with it. Its number would not do: servers in two
containers that share a folder may have the same one, and a number is given to another process in time.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = "lock"
PREFIX = "server-"


@contextmanager
def own_folder(folder: Path) -> Generator[Path, None, None]:
    """A new folder below ``folder``, for this user alone, as long as this lasts. What killed processes left goes.

    Errors: OSError where it cannot be made.
    """
    folder.mkdir(exist_ok=True)
    for other in _folders(folder):
        _remove_if_left(other)
    own, held = _made(folder)
    try:
        yield own
    finally:
        os.close(held)
        shutil.rmtree(own, ignore_errors=True)


def _folders(folder: Path) -> Iterator[Path]:
    return (one for one in list(folder.iterdir()) if one.name.startswith(PREFIX) and one.is_dir())


def _made(folder: Path) -> tuple[Path, int]:
    """A folder, and its lock. One that another process has taken for left, before it was locked, is not used."""
    while True:
        own = folder / f"{PREFIX}{os.urandom(8).hex()}"
        own.mkdir(mode=0o700)
        held = os.open(own / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if _locked(held) is not False and _is_there(own / LOCK, held):
            return own, held
        os.close(held)


def _is_there(file: Path, held: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(file.stat(), os.fstat(held))
    return False


def _remove_if_left(other: Path) -> None:
    """Where nobody has the lock. One that cannot be asked is left alone: it is being made, or another user's."""
    with suppress(OSError):
        held = os.open(other / LOCK, os.O_RDWR)
        try:
            left = _locked(held) is True
            if left:
                shutil.rmtree(other, ignore_errors=True)
        finally:
            os.close(held)
        if left:  # Windows deletes no file that is open
            shutil.rmtree(other, ignore_errors=True)


def _locked(descriptor: int) -> bool | None:
    """Take the lock until the descriptor is closed: False where another has it, None where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without
        return None
    return True
