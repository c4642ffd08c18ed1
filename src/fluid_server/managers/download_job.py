"""One download: where it is, and what of it is written down so that it survives the end of the program."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shutil
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from filelock import FileLock, Timeout

from fluid_server.catalog.hub import RemoteFile
from fluid_server.errors import Conflict, FluidError
from fluid_server.managers import disk
from fluid_server.managers.model_folder import Content, is_here, read_record, same
from fluid_server.managers.transfer import PART
from fluid_server.types import Download, DownloadState, FileProgress

logger = logging.getLogger(__name__)
FOLDER = ".downloads"
JOB, LOCK, FILES, ASIDE = "job.json", "lock", "files", "aside"
VERSION = 1
ACTIVE = frozenset({DownloadState.QUEUED, DownloadState.DOWNLOADING, DownloadState.VERIFYING, DownloadState.INSTALLING})
RESUMABLE = frozenset({DownloadState.PAUSED, DownloadState.FAILED})
_WINDOW, _BEAT = 5.0, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be fetched, and into which folder below the models (with /). ``name`` is what was asked for."""

    name: str
    folder: str
    content: Content

    @property
    def id(self) -> str:
        """The same for all names that mean the same files; letter case means nothing on the Hub."""
        text = "\n".join((self.folder.casefold(), *sorted(self.content.places)))
        return f"dl-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


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
        self.target = models / order.folder
        self.folder = models / FOLDER / order.id
        self.changed = asyncio.Event()
        self.resting = asyncio.Event()
        self._lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False)

    @property
    def id(self) -> str:
        """The name of its folder too."""
        return self.order.id

    @property
    def active(self) -> bool:
        """Whether somebody works on it, or is going to."""
        return self.state in ACTIVE

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
        """Make its folder, and keep other programs from working in it. Errors: Conflict."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise Conflict(
                f"Another fluid-server program is fetching '{self.order.name}'. Wait until it is done, or end it there."
            ) from None

    def release(self) -> None:
        """Let other programs have it."""
        self._lock.release(force=True)

    def save(self, state: DownloadState | None = None, error: FluidError | None = None) -> None:
        """Write down what a later program needs to go on; ``state`` and ``error`` where they are about to change."""
        content = self.order.content
        told = {
            "version": VERSION,
            "name": self.order.name,
            "folder": self.order.folder,
            "repo": content.repo,
            "revision": content.revision,
            "files": [{"place": place, **asdict(remote)} for remote, place in content.files],
            "state": state or self.state,
            "created": self.created,
            "error": {"code": error.code, "message": error.message} if error else None,
        }
        disk.write_text(self.folder / JOB, json.dumps(told, indent=1, ensure_ascii=False))

    def save_if_possible(self, state: DownloadState, error: FluidError | None = None) -> None:
        """The same where the disk may be what has failed: a later program would try again from what it finds."""
        try:
            self.save(state, error)
        except OSError as failure:
            logger.warning("the state of a download could not be written down: %s", failure.strerror)

    def look(self) -> None:
        """Find out how much of each file is here."""
        recorded = read_record(self.target)
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
        """Go on with this order, which may be another commit: what has changed in it is thrown away."""
        old = {place: remote for remote, place in self.order.content.files}
        for remote, place in order.content.files:
            if place in old and not same(old[place], remote):
                for name in (place, place + PART):
                    (self.fetched / name).unlink(missing_ok=True)
        self.order = order
        self.files = tuple(JobFile(remote, place) for remote, place in order.content.files)

    def check_same(self, order: Order) -> None:
        """Errors: Conflict if the files that are being fetched are those of another revision."""
        new = {place: remote for remote, place in order.content.files}
        if not all(same(file.remote, new[file.place]) for file in self.files):
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
    text = (folder / JOB).read_text(encoding="utf-8")
    try:
        told = json.loads(text)
        if told["version"] != VERSION:
            raise ValueError("another version")
        job = Job(_order(told), models, created=float(told["created"]))
        job.move(DownloadState(told["state"]), _error(told["error"]))
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"no job: {error}") from error
    if job.folder.name != folder.name:
        raise ValueError("the job of another folder")
    return job


def _error(told: Mapping[str, str] | None) -> FluidError | None:
    return FluidError(told["message"], code=told["code"]) if told else None


def _order(told: Mapping[str, Any]) -> Order:
    files = tuple((_remote(each), _safe(each["place"])) for each in told["files"])
    content = Content(repo=told["repo"], revision=told["revision"], files=files)
    return Order(name=told["name"], folder=_safe(told["folder"]), content=content)


def _remote(told: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(path=told["path"], size=int(told["size"]), sha256=told["sha256"], git_sha1=told["git_sha1"])


def _safe(path: str) -> str:
    """Files go nowhere but below the models folder, whoever wrote this."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or PureWindowsPath(path).drive or "\\" in path:
        raise ValueError("no path below a folder")
    return path
