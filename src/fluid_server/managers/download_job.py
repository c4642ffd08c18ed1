"""One download: where it is, and what of it is written down so that it survives the end of the program."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fluid_server.catalog.hub import MAX_SIZE, RemoteFile
from fluid_server.errors import Conflict, FluidError
from fluid_server.managers import disk
from fluid_server.managers.model_folder import Content, check_place, is_here, read_record, same
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
        """The same for all names that mean the same model, at any commit: small files come and go beside the weights.
        Letter case means nothing on the Hub."""
        text = "\n".join((self.folder.casefold(), *sorted(self.content.weights)))
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
        content = self.order.content
        told = {
            "version": VERSION,
            "name": self.order.name,
            "folder": self.order.folder,
            "repo": content.repo,
            "revision": content.revision,
            "files": [{"place": place, **asdict(remote)} for remote, place in content.files],
            "doubt": self.doubt,
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
    text = (folder / JOB).read_text(encoding="utf-8")
    try:
        told = json.loads(text)
        if told["version"] != VERSION:
            raise ValueError("another version")
        job = Job(_order(told), models, created=_number(told["created"]))
        job.doubt = told["doubt"] is True
        job.move(DownloadState(told["state"]), _error(told["error"]))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no job: {error}") from error
    if job.folder.name != folder.name:
        raise ValueError("the job of another folder")
    return job


def failure_of(code: str | None, message: str) -> FluidError:
    """A failure that is known by its code and message alone, as the class that it was."""
    return _CLASSES.get(code, FluidError)(message, code=code)


def _classes(kind: type[FluidError]) -> Iterator[tuple[str | None, type[FluidError]]]:
    """The classes of a family by their codes, the nearest to its root first; those that want more are left out."""
    for child in kind.__subclasses__():
        if "__init__" not in vars(child):
            yield child.code, child
        yield from _classes(child)


_CLASSES: Mapping[str | None, type[FluidError]] = dict(reversed([*_classes(FluidError)]))


def _error(told: Mapping[str, Any] | None) -> FluidError | None:
    if not told:
        return None
    return failure_of(None if told["code"] is None else _text(told["code"]), _text(told["message"]))


def _order(told: Mapping[str, Any]) -> Order:
    files = tuple((_remote(each), _safe(each["place"])) for each in told["files"])
    content = Content(repo=_text(told["repo"]), revision=_text(told["revision"]), files=files)
    return Order(name=_text(told["name"]), folder=_safe(told["folder"]), content=content)


def _remote(told: Mapping[str, Any]) -> RemoteFile:
    sha256, git_sha1 = (None if told[kind] is None else _text(told[kind]) for kind in ("sha256", "git_sha1"))
    size = told["size"]
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise ValueError("no size")
    return RemoteFile(path=_text(told["path"]), size=size, sha256=sha256, git_sha1=git_sha1)


def _number(told: object) -> float:
    number = float(told) if isinstance(told, int | float) else math.nan
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


def _text(told: object) -> str:
    """ValueError for what is no text, or none that could be told to anybody."""
    if not isinstance(told, str) or not told.encode():
        raise ValueError("no text")
    return told


def _safe(told: object) -> str:
    """Files go nowhere but below the models folder, whoever wrote this."""
    path = _text(told)
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or PureWindowsPath(path).drive or "\\" in path or "\0" in path:
        raise ValueError("no path below a folder")
    return path
