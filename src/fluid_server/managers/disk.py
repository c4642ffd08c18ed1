"""What downloads do to the disk, in threads: written, checked, moved."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import sys
import threading
import time
from asyncio import get_running_loop
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from fluid_server.catalog.remote import RemoteFile
from fluid_server.errors import Conflict, FluidError, OutOfDisk

_BLOCK = 1024**2
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SCANNED = (0.05, 0.1, 0.2, 0.4, 0.8) if sys.platform == "win32" else ()
"""Seconds between the tries to move a file: a virus scanner may hold a new one for a moment."""

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, hurry: Callable[[], object] | None = None) -> T:
    """Work that blocks. Who is cancelled here still waits for the thread, so that nobody touches a file at the same
    time; ``hurry`` is called then, to make the wait short."""
    running = get_running_loop().run_in_executor(None, work)
    try:
        await _outlast(lambda: None if running.done() else running, hurry)
    except asyncio.CancelledError:
        running.exception()  # what the thread says of it is of no interest any more
        raise
    return running.result()


async def _outlast(
    running: Callable[[], asyncio.Future[Any] | None], hurry: Callable[[], object] | None = None
) -> None:
    """Wait until nothing is running, also when cancelled; the cancelling goes on then."""
    cancelled: asyncio.CancelledError | None = None
    while (future := running()) is not None:
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
            if hurry is not None:
                hurry()
    if cancelled is not None:
        raise cancelled


class Checker:
    """Reads files to see whether they are what the Hub says: one at a time, since others need disk and cores too."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def agrees(self, path: Path, file: RemoteFile, *, keep: bool = False) -> bool:
        """Whether size and hash are right. ``keep`` also makes sure that a power cut cannot lose it."""
        stop = threading.Event()
        async with self._turn:
            return await in_thread(lambda: _agrees(path, file, stop, keep=keep), hurry=stop.set)


def _agrees(path: Path, file: RemoteFile, stop: threading.Event, *, keep: bool) -> bool:
    with path.open("r+b" if keep else "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        if size != file.size:
            return False
        if keep:
            os.fsync(opened.fileno())
        if file.sha256 is not None:
            return _digest(opened, hashlib.sha256(), stop) == file.sha256.lower()
        if file.git_sha1 is not None:
            blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
            return _digest(opened, blob, stop) == file.git_sha1.lower()
    return True


def _digest(opened: FileIO, digest: hashlib._Hash, stop: threading.Event) -> str:
    block = bytearray(_BLOCK)
    view = memoryview(block)
    while not stop.is_set() and (count := opened.readinto(block)):
        digest.update(view[:count])
    return digest.hexdigest()


@asynccontextmanager
async def appending(path: Path, written: Callable[[int], None]) -> AsyncGenerator[Appender, None]:
    """Bytes at the end of a file. ``written`` is told how many lie on the disk: they outlive a killed program. When
    the block ends, all do that were added. Errors: OSError."""
    appender = Appender(path, written)
    try:
        await in_thread(appender.open)
        try:
            yield appender
        finally:
            await appender.settle()
    finally:
        appender.close()


class Appender:
    """Writes in a thread while the next bytes come; those that come meanwhile are written together."""

    def __init__(self, path: Path, written: Callable[[int], None]) -> None:
        self._path = path
        self._written = written
        self._file: FileIO | None = None
        self._waiting = bytearray()
        self._writing: asyncio.Future[None] | None = None
        self._error: BaseException | None = None

    def open(self) -> None:
        """Blocks."""
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """May be called whether it was opened or not."""
        if self._file is not None:
            self._file.close()

    def truncate(self, size: int) -> None:
        """Throw away what is behind, before anything is added. Blocks."""
        if self._file is not None:
            self._file.truncate(size)

    async def add(self, data: bytes) -> None:
        """Waits only where the disk is slower than what comes."""
        self._waiting += data
        self._go_on()
        while self._writing is not None and len(self._waiting) >= _BLOCK:
            await asyncio.wait((self._writing,))
        self._raise()

    async def settle(self) -> None:
        """Until all of it is written."""
        await _outlast(lambda: self._writing)
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _go_on(self) -> None:
        if self._waiting and self._writing is None and self._error is None:
            data, self._waiting = self._waiting, bytearray()
            self._writing = get_running_loop().run_in_executor(None, self._write, data)
            self._writing.add_done_callback(partial(self._ended, len(data)))

    def _ended(self, count: int, writing: asyncio.Future[None]) -> None:
        self._writing, self._error = None, writing.exception()
        if self._error is None:
            self._written(count)
            self._go_on()

    def _write(self, data: bytearray) -> None:
        """All of it: when the disk is nearly full, it may take less at a time."""
        view = memoryview(data)
        while view and self._file is not None:
            view = view[self._file.write(view) :]


def write_text(path: Path, text: str) -> None:
    """Whole or not at all, also when the power goes."""
    draft = path.with_name(path.name + ".tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        move(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def move(source: Path, goal: Path) -> None:
    """Put a file or folder in its place, replacing a file that is there; from one disk to another too (files)."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    for wait in (*_SCANNED, None):
        try:
            source.replace(goal)
            return
        except PermissionError:
            if wait is None:
                raise
            time.sleep(wait)
        except OSError as error:
            if error.errno != errno.EXDEV or source.is_dir():
                raise
            _copy(source, goal)
            return


def _copy(source: Path, goal: Path) -> None:
    """To another disk. The draft's name keeps the catalog from seeing it."""
    draft = goal.with_name(f".{goal.name}.part")
    shutil.copyfile(source, draft)
    draft.replace(goal)
    source.unlink()


def free_bytes(folder: Path) -> int:
    """What is free where the folder is, or will be."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


def amount(count: int) -> str:
    """Bytes for people, as the Hub writes them."""
    if count < 100_000:
        return f"{count / 1000:.1f} kB"
    return f"{count / 1000**3:.1f} GB" if count >= 1000**3 else f"{count / 1000**2:.1f} MB"


def failure(error: OSError, what: str) -> FluidError:
    """An error of the disk in words, without the machine's paths."""
    if error.errno in _FULL:
        return OutOfDisk(f"The disk is full, so {what} stopped. What has come is kept: make room, then pull it again.")
    if error.errno == errno.EFBIG:
        return OutOfDisk(
            f"This disk takes no file of that size, so {what} stopped: choose another folder with --model-path."
        )
    if error.errno == errno.EROFS:
        return Conflict(
            f"The models folder is write-protected, so {what} stopped. Make it writable, or choose another one with "
            "--model-path; then pull it again."
        )
    if isinstance(error, PermissionError):
        return Conflict(
            f"A file could not be written or replaced, so {what} stopped: the model is in use, or the models folder "
            "is write-protected. Unload the model, then pull it again; what has come is kept."
        )
    return _misplaced(error, what)


def _misplaced(error: OSError, what: str) -> FluidError:
    if isinstance(error, NotADirectoryError | FileExistsError):
        return Conflict(
            f"A file lies where a folder must be made, so {what} stopped. Move it away, then pull it again."
        )
    if isinstance(error, FileNotFoundError):
        return FluidError(
            f"What had come was deleted from the disk meanwhile, so {what} stopped. Pull it again to start over.",
            code="disk_failed",
        )
    reason = (error.strerror or "input/output error").lower()
    return FluidError(
        f"The disk failed ({reason}), so {what} stopped. Look at it, then pull it again.", code="disk_failed"
    )
