"""Whether a name from the network can be a file's name here, and on every other system.

Nothing in it may lead out of the folder, hide the file, or mean something else to Windows.
"""

from __future__ import annotations

MAX_PART_BYTES = 200
MAX_PATH = 400
_FORBIDDEN = frozenset('\\/:*?"<>|')
_PORTS = frozenset(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³")
_DEVICES = _PORTS | {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}


def is_portable_path(path: str) -> bool:
    """Whether a path with slashes is relative, stays below its folder and can be used everywhere."""
    return len(path) <= MAX_PATH and all(is_portable_name(part) for part in path.split("/"))


def is_portable_name(name: str) -> bool:
    """Whether a name can be that of a file or folder everywhere, and is not a hidden one."""
    return (
        name.isprintable()
        and 0 < len(name.encode()) <= MAX_PART_BYTES
        and not name.startswith((".", " "))
        and not name.endswith((".", " "))
        and not _FORBIDDEN & set(name)
        and name.partition(".")[0].rstrip().upper() not in _DEVICES
    )
