"""One look at one folder, and the words for what is wrong in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

UNFINISHED = (".incomplete", ".part")


class BadModel(ValueError):
    """A model that cannot be used; the text tells a person why, without the machine's paths."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is really there."""

    path: Path
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies directly in a folder, hidden entries left out.

    ``dangling`` names links whose target is gone, ``unfinished`` the leftovers of downloads.
    """

    path: Path
    files: Mapping[str, File]
    folders: tuple[str, ...]
    dangling: tuple[str, ...]
    unfinished: tuple[str, ...]

    @property
    def modified(self) -> float:
        """The newest change of any file directly in the folder."""
        return max((file.modified for file in self.files.values()), default=0.0)


def look(path: Path) -> Folder:
    """List a folder. OSError if it cannot be read; single entries that cannot are ``dangling``."""
    files: dict[str, File] = {}
    folders: list[str] = []
    dangling: list[str] = []
    unfinished: list[str] = []
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(".") or not _is_text(entry.name):
                continue
            if entry.name.endswith(UNFINISHED):
                unfinished.append(entry.name)
            elif (found := _follow(entry)) is None:
                dangling.append(entry.name)
            elif isinstance(found, File):
                files[entry.name] = found
            else:
                folders.append(entry.name)
    return Folder(path, files, tuple(folders), tuple(dangling), tuple(unfinished))


def _is_text(name: str) -> bool:
    """A name that is no Unicode could not be told to any client."""
    return name.encode("utf-8", "replace").decode() == name


def _follow(entry: os.DirEntry[str]) -> File | Path | None:
    """The file or folder that the entry is or leads to; None if that is neither."""
    path = Path(entry.path)
    try:
        found = entry.stat()
    except OSError:
        return None
    if S_ISDIR(found.st_mode):
        return path
    return File(path, found.st_size, found.st_mtime) if S_ISREG(found.st_mode) else None


def explain(error: BadModel | OSError) -> str:
    """The problem in words for people."""
    if isinstance(error, BadModel):
        return str(error)
    name = Path(str(error.filename)).name if error.filename else "a file"
    return f"{name} cannot be read: {(error.strerror or 'input/output error').lower()}"


def missing(name: str) -> BadModel:
    """The failure that is most common: a download that did not bring everything."""
    return BadModel(f"{name} is missing: download the model again")
