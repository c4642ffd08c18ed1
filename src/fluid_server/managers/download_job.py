"""One download: its files and its state, and its folder, in which it survives the end of the program."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from fluid_server.catalog.remote import RemoteFile
from fluid_server.errors import Conflict, FluidError
from fluid_server.managers import disk
from fluid_server.managers.download_record import JOB, Order, Record, read_text
from fluid_server.managers.model_folder import check_place, is_here, read_record, same
from fluid_server.managers.transfer import PART
from fluid_server.types import Download, DownloadState, FileProgress

logger = logging.getLogger(__name__)
FOLDER = ".downloads"
LOCK, FILES, ASIDE = "lock", "files", "aside"
ACTIVE = frozenset({DownloadState.QUEUED, DownloadState.DOWNLOADING, DownloadState.VERIFYING, DownloadState.INSTALLING})
RESUMABLE = frozenset({DownloadState.PAUSED, DownloadState.FAILED})
_WINDOW, _BEAT = 5.0, 0.1


class Stage(Enum):
    """How far a file of a download is. DOUBTFUL: one of that name and size is in the model's folder already."""

    WANTED = auto()
    DOUBTFUL = auto()
    READY = auto()


@dataclass(slots=True)
class JobFile:
    """A file of a download. Only a WANTED one has its own ``done``."""

    remote: RemoteFile
    place: str
    stage: Stage = Stage.WANTED
    done: int = 0
    note: str | None = None

    @property
    def missing(self) -> int:
        """Bytes that are still to be fetched."""
        return 0 if self.stage is Stage.DOUBTFUL else self.remote.size - self.done


class Rate:
    """Bytes a second over the last five seconds."""

    def __init__(self) -> None:
        self._came: deque[tuple[float, int]] = deque()
        self._since = 0.0

    def start(self, now: float) -> None:
        """Forget what was."""
        self._came.clear()
        self._since = now

    def add(self, count: int, now: float) -> None:
        """So many bytes came. Those of a moment are kept as one."""
        last, sum_ = self._came[-1] if self._came else (self._since - _WINDOW, 0)
        if now - last < _BEAT and self._came:
            self._came[-1] = (last, sum_ + count)
        else:
            self._came.append((now, count))

    def at(self, now: float) -> float:
        """The rate as it is now."""
        while self._came and self._came[0][0] < now - _WINDOW:
            self._came.popleft()
        return sum(count for _, count in self._came) / min(max(now - self._since, _BEAT), _WINDOW)


class Job:
    """A download and its folder. The methods that touch the disk block: they run in threads."""

    def __init__(self, order: Order, models: Path, *, created: float | None = None) -> None:
        self.order = order
        self.state = DownloadState.QUEUED
        self.created = time.time() if created is None else created
        self.ended: float | None = None
        self.error: FluidError | None = None
        self.model: str | None = None
        self.note: str | None = None
        self.rate = Rate()
        self.files = tuple(JobFile(remote, place) for remote, place in order.content.files)
        self.doubt = False  # whether the record of what is here is not to be believed
        self._models = models
        self.folder = models / FOLDER / order.id
        self.changed = asyncio.Event()
        self.resting = asyncio.Event()
        from filelock import FileLock  # late: with its sqlite3 it is 3 MB, and most servers never fetch anything

        self._lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False)
        self._locked: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        """The name of its folder too."""
        return self.order.id

    @property
    def active(self) -> bool:
        """Whether somebody works on it, or is going to."""
        return self.state in ACTIVE

    @property
    def target(self) -> Path:
        """The model's folder."""
        return self._models / self.order.folder

    @property
    def fetched(self) -> Path:
        """Where its files lie until they are installed."""
        return self.folder / FILES

    @property
    def missing(self) -> int:
        """Bytes that are still to be fetched."""
        return sum(file.missing for file in self.files)

    def move(self, state: DownloadState, error: FluidError | None = None) -> None:
        """The one way from state to state."""
        self.state, self.error, self.note = state, error, None
        self.ended = None if self.active or state is DownloadState.PAUSED else time.time()
        for file in self.files:
            file.note = None
        if self.active:
            self.resting.clear()
        else:
            self.resting.set()
        self.touch()

    def touch(self) -> None:
        """Wake those who watch."""
        self.changed.set()
        self.changed = asyncio.Event()

    def snapshot(self) -> Download:
        """How it stands now."""
        content, error = self.order.content, self.error
        total, done = sum(file.remote.size for file in self.files), sum(file.done for file in self.files)
        fetching = self.state is DownloadState.DOWNLOADING
        rate = self.rate.at(time.monotonic()) if fetching else 0.0
        return Download(
            id=self.id,
            name=self.order.name,
            repo=content.repo,
            revision=content.revision,
            state=DownloadState.VERIFYING if fetching and done == total else self.state,
            files=tuple(
                FileProgress(path=file.remote.path, size=file.remote.size, done=file.done) for file in self.files
            ),
            bytes_done=done,
            bytes_total=total,
            rate=rate,
            eta_seconds=(total - done) / rate if rate else None,
            model=self.model,
            note=self.note or next((file.note for file in self.files if file.note), None),
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            created=self.created,
            ended=self.ended,
        )

    def lock(self) -> None:
        """Make its folder, and keep other programs from working in it. If somebody has deleted the folder since, it is
        made and locked anew: the old lock keeps nobody away any more. Errors: Conflict."""
        from filelock import Timeout

        if self._locked is not None and self._locked == self._lock_file():
            return
        self.release()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._locked = self._lock_file()
        except Timeout:
            raise Conflict(
                f"Another fluid-server program is fetching '{self.order.name}'. Wait until it is done, or end it there."
            ) from None

    def _lock_file(self) -> tuple[int, int] | None:
        try:
            found = (self.folder / LOCK).stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def release(self) -> None:
        """Let other programs have it."""
        self._locked = None
        self._lock.release(force=True)

    def check_place(self) -> None:
        """Errors: Conflict if the model's folder cannot be made or filled."""
        check_place(self._models, self.order.folder, self.order.content)

    def save(self, state: DownloadState | None = None, error: FluidError | None = None) -> None:
        """Write down what a later program needs to go on; ``state`` and ``error`` where they are about to change."""
        record = Record(
            order=self.order, state=state or self.state, created=self.created, doubt=self.doubt, error=error
        )
        disk.write_text(self.folder / JOB, record.text())

    def save_if_possible(self, state: DownloadState, error: FluidError | None = None) -> None:
        """The same where the disk may be what has failed: a later program would try again from what it finds."""
        try:
            self.save(state, error)
        except OSError as failure:
            logger.warning("the state of a download could not be written down: %s", failure.strerror)

    def look(self) -> None:
        """Find out how much of each file is here."""
        recorded = {} if self.doubt else read_record(self.target)
        for file in self.files:
            done = self.fetched / file.place
            here = is_here(self.target, file.place, file.remote, recorded)
            if here or (done.is_file() and done.stat().st_size == file.remote.size):
                file.stage, file.done = Stage.READY, file.remote.size
            elif here is None:
                file.stage, file.done = Stage.DOUBTFUL, 0
            else:
                file.stage, file.done = Stage.WANTED, self._length_of_part(file)

    def decide(self, file: JobFile, *, good: bool) -> None:
        """What is to be done about a doubtful file, now that its hash is known."""
        file.stage = Stage.READY if good else Stage.WANTED
        file.done = file.remote.size if good else self._length_of_part(file)

    def _length_of_part(self, file: JobFile) -> int:
        part = self.fetched / (file.place + PART)
        size = part.stat().st_size if part.is_file() else 0
        return size if size <= file.remote.size else 0

    def take(self, order: Order) -> None:
        """Lock it and go on with this order, which may be another commit: what is not of it is thrown away.

        Errors: Conflict, OSError.
        """
        check_place(self._models, order.folder, order.content)
        self.lock()
        new = {place: remote for remote, place in order.content.files}
        for remote, place in self.order.content.files:
            if place not in new or not same(remote, new[place]):
                for name in (place, place + PART):
                    (self.fetched / name).unlink(missing_ok=True)
        self.order = order
        self.files = tuple(JobFile(remote, place) for remote, place in order.content.files)

    def check_same(self, order: Order) -> None:
        """Errors: Conflict if the files that are being fetched are those of another revision."""
        new = {place: remote for remote, place in order.content.files}
        old = {file.place: file.remote for file in self.files}
        if new.keys() != old.keys() or not all(same(remote, new[place]) for place, remote in old.items()):
            raise Conflict(f"Another revision of '{order.name}' is being fetched. Wait for it, or cancel it first.")

    def discard(self) -> None:
        """Delete its folder, the lock last. A crash in the middle leaves job.json, which says what to do."""
        for name in (FILES, ASIDE):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        with suppress(OSError):  # held by a virus scanner: the next start does it
            (self.folder / JOB).unlink()
        self.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def read(folder: Path, models: Path) -> Job:
    """The job of a folder as it was written down. Errors: OSError, ValueError if nobody could go on with it."""
    record = read_text((folder / JOB).read_text(encoding="utf-8"))
    job = Job(record.order, models, created=record.created)
    job.doubt = record.doubt
    job.move(record.state, record.error)
    if job.folder.name != folder.name:
        raise ValueError("the job of another folder")
    return job
