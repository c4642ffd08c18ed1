"""What a database's URL says, before any library is asked."""

from __future__ import annotations

from pathlib import Path

MEMORY = ":memory:"  # kept until the server ends


def is_sqlite(url: str) -> bool:
    """Whether a URL names a file (or memory) and no server."""
    return url.startswith("sqlite:")


def sqlite_file(url: str) -> Path | None:
    """The file of ``sqlite:///relative``, ``sqlite:////absolute`` or ``sqlite:///C:/windows``; none for memory."""
    path = url.removeprefix("sqlite:").removeprefix("///").removeprefix("//")
    return Path(path) if path and path != MEMORY else None
