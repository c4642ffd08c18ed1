"""What takes how much room in the packaged program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath

INNER = "_internal"
METADATA = "metadata of packages"
PYTHON = "Python and its libraries"
MB = 1000**2


def by_part(files: Mapping[str, int]) -> dict[str, int]:
    """Bytes by part, the largest first. ``files`` are paths in the program, with slashes, and sizes."""
    sizes: Counter[str] = Counter()
    for path, size in files.items():
        sizes[part_of(path)] += size
    return dict(sizes.most_common())


def part_of(path: str) -> str:
    """Whose a file is: a package's (with the libraries that its wheel brought), Python's, or the program's own."""
    parts = PurePosixPath(path).parts
    if parts[0] != INNER:
        return parts[0]
    first = parts[1]
    if first.endswith(".dist-info"):
        return METADATA
    if len(parts) == 2 or first.startswith("python3"):
        return first if first.startswith("hf_") else PYTHON
    return first.removesuffix(".libs")


def report(sizes: Mapping[str, int], *, title: str) -> str:
    """A table for people."""
    width = max(len(name) for name in sizes)
    rows = [f"{name:<{width}}  {size / MB:8.1f} MB" for name, size in sizes.items()]
    total = f"{'in all':<{width}}  {sum(sizes.values()) / MB:8.1f} MB"
    return "\n".join([title, "", *rows, "", total, ""])
