"""Downloads as they stand, and what the event feed tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class DownloadState(StrEnum):
    """Where a download is. The last three are ends; a failed one can be resumed."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    INSTALLING = "installing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """One file of a download, in bytes. ``path`` is the one in the repository."""

    path: str
    size: int
    done: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A download as it stood at one moment. Sizes in bytes, ``rate`` in bytes a second, times in epoch seconds.

    ``name`` is what was asked for. ``model`` is the id under which the catalog lists it once it is complete.
    ``note`` says what it is waiting for, such as the next try after a cut connection.
    """

    id: str
    name: str
    repo: str
    revision: str
    state: DownloadState
    files: tuple[FileProgress, ...] = ()
    bytes_done: int = 0
    bytes_total: int = 0
    rate: float = 0.0
    eta_seconds: float | None = None
    model: str | None = None
    note: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    created: float = 0.0
    ended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that the event feed tells: ``type`` such as ``model.state`` or ``download.progress``."""

    type: str
    created: float
    data: Mapping[str, Any] = field(default_factory=dict)
