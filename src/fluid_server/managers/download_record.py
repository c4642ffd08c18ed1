"""What of a download is written down, and how it is read again: nothing of it is believed unseen."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from fluid_server.catalog.remote import MAX_SIZE, RemoteFile
from fluid_server.errors import FluidError
from fluid_server.managers.model_folder import Content
from fluid_server.types import DownloadState

JOB = "job.json"
VERSION = 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a later program needs to go on. ``created`` is by time.time(); ``doubt`` as in Job."""

    order: Order
    state: DownloadState
    created: float
    doubt: bool
    error: FluidError | None

    def text(self) -> str:
        """As it is written down, in JSON."""
        content, error = self.order.content, self.error
        told = {
            "version": VERSION,
            "name": self.order.name,
            "folder": self.order.folder,
            "repo": content.repo,
            "revision": content.revision,
            "files": [{"place": place, **asdict(remote)} for remote, place in content.files],
            "doubt": self.doubt,
            "state": self.state,
            "created": self.created,
            "error": {"code": error.code, "message": error.message} if error else None,
        }
        return json.dumps(told, indent=1, ensure_ascii=False)


def read_text(text: str) -> Record:
    """What was written down. ValueError if nobody could go on with it."""
    try:
        told = json.loads(text)
        if told["version"] != VERSION:
            raise ValueError("another version")
        return Record(
            order=_order(told),
            state=DownloadState(told["state"]),
            created=_number(told["created"]),
            doubt=told["doubt"] is True,
            error=_error(told["error"]),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no job: {error}") from error


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
