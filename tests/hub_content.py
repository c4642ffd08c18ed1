"""What the Hub of the tests holds: repositories and their files, and the faults that spoil its answers."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

API, FILE, CDN = "api", "file", "cdn"
LFS_SUFFIXES = (".bin", ".gguf", ".onnx", ".safetensors", ".model", ".npz")
LFS_FROM = 10 << 20


@dataclass
class Fault:
    """What goes wrong with the next ``times`` answers: about a file ``path`` (None: any), ``at`` a place (None: any).

    The places are API (listings), FILE (the Hub's own address of a file) and CDN. A fault of the body waits for an
    answer that has one: it is not used up by the redirect to the CDN. Counts of bytes are of this one answer.
    """

    path: str | None = None
    at: str | None = None
    times: int = 1
    status: int | None = None  # answer with this, and with ``headers`` and ``body``
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "a fault"}'
    cut_after: int | None = None  # close the connection after so many bytes
    end_after: int | None = None  # answer with so many bytes and say that this is all
    hold: Hold | None = None  # stop in the middle
    flip: int | None = None  # the byte at this place of the file is sent wrong
    ignore_range: bool = False  # answer with 200 and the whole file
    shift_range: int = 0  # a 206 that begins so many bytes later, and says so
    lie_about_range: bool = False  # a 206 without a Content-Range
    compress: bool = False  # gzip the body, whatever was asked
    redirect: str | None = None  # go there instead

    @property
    def of_body(self) -> bool:
        """Whether it needs an answer with a body."""
        return self.status is None and self.redirect is None

    def fits(self, at: str, path: str | None, *, body: bool) -> bool:
        """Whether this is the answer to spoil."""
        return self.times > 0 and self.at in (None, at) and self.path in (None, path) and (body or not self.of_body)


class Hold:
    """An answer that stops after ``after`` bytes. ``reached`` is set once they are sent."""

    def __init__(self, after: int) -> None:
        self.reached = threading.Event()
        self._limit: int | None = after
        self._changed = threading.Condition()

    def release(self, to: int | None = None) -> None:
        """Let it go on, to the end or until ``to`` bytes are sent."""
        with self._changed:
            self.reached.clear()
            self._limit = to
            self._changed.notify_all()

    def wait(self, sent: int) -> int | None:
        """How many more bytes may be sent now; None for all. Waits while there are none."""
        with self._changed:
            while self._limit is not None and self._limit <= sent:
                self.reached.set()
                self._changed.wait()
            return None if self._limit is None else self._limit - sent


@dataclass(frozen=True)
class Seen:
    """A request that came. ``headers`` has lower-case names; ``path`` is the file's, None for a listing."""

    at: str
    method: str
    target: str
    repo: str | None
    path: str | None
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.headers.get("range")


@dataclass
class HubFile:
    """A file of a repository. ``claims`` overrides what the listing says: ``{"size": 10**18}``."""

    content: Path | bytes
    lfs: bool
    size: int
    sha256: str
    git_sha1: str
    claims: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, content: Path | bytes) -> Self:
        """Hash it, and store it as the Hub would."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
        with opened(content) as file:
            while chunk := file.read(1 << 20):
                sha256.update(chunk)
                git.update(chunk)
        lfs = name.endswith(LFS_SUFFIXES) or size >= LFS_FROM
        return cls(content, lfs, size, sha256.hexdigest(), git.hexdigest())

    def listed(self, name: str) -> dict[str, Any]:
        """What ``?blobs=true`` says of it."""
        entry: dict[str, Any] = {"rfilename": name, "size": self.size, "blobId": self.git_sha1}
        if self.lfs:
            pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
            blob = pointer % (self.sha256.encode(), self.size)
            entry["blobId"] = hashlib.sha1(b"blob %d\0%s" % (len(blob), blob)).hexdigest()
            entry["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": len(blob)}
        if "size" in self.claims and self.lfs:
            entry["lfs"]["size"] = self.claims["size"]
        return entry | self.claims


def opened(content: Path | bytes) -> IO[bytes]:
    """The content as a file."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


@dataclass
class Repository:
    """A repository: its commits, and the branches that name them."""

    name: str
    private: bool = False
    gated: bool = False
    licence: str | None = None
    disabled: bool = False
    commits: dict[str, dict[str, HubFile]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)  # the tokens whose owners have accepted its terms

    @property
    def files(self) -> dict[str, HubFile]:
        """The files of the main branch."""
        return self.commits[self.branches["main"]]

    @property
    def sha(self) -> str:
        """The commit of the main branch."""
        return self.branches["main"]

    def commit(self, files: dict[str, HubFile], branch: str) -> str:
        """Make this the newest commit of a branch."""
        told = [(name, file.sha256) for name, file in sorted(files.items())]
        sha = hashlib.sha1(f"{self.name}{told}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def at(self, revision: str) -> str | None:
        """The commit that a branch, or a commit, is."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)
