"""What a repository elsewhere holds, and what comes of it: files, pieces of them, and their not coming."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a repository, ``path`` with slashes. Its content has one of the two hashes.

    ``sha256`` is that of the content, for large files; ``git_sha1`` that of git's blob, for small ones: the SHA-1
    of ``blob <size>\\0`` and the content.
    """

    path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a repository holds. ``revision`` is the commit, so that what is fetched cannot change on the way."""

    repo: str
    revision: str
    files: tuple[RemoteFile, ...]
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Where in the file the bytes that follow begin: where they were asked from, or 0."""

    start: int


Piece = Begin | bytes


class Interrupted(Exception):
    """The bytes stopped coming, or never came: try again from where they stopped. ``reason`` is a clause for people.

    ``retry_after`` is how many seconds the Hub asks to wait. ``unreachable`` says that nobody answered at all.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.unreachable = unreachable


class RangeNotSatisfiable(Exception):
    """The file has no bytes from there on: what is here of it is not the beginning of that file."""
