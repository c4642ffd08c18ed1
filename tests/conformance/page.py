"""docs/conformance.md, as far as tests read it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
COLUMNS = 5  # of the table of all cases: name, what it proves, our two runtimes, the peer


def page() -> str:
    """Its text."""
    return PAGE.read_text(encoding="utf-8")


@cache
def rows() -> dict[str, list[str]]:
    """What each case came to, by its name: on OpenVINO, on llama.cpp, on the peer."""
    lines = (line.strip("| ").split(" | ") for line in page().splitlines() if line.startswith("| "))
    cells = {one[0].removesuffix(" °"): one[2:] for one in lines if len(one) == COLUMNS}
    return {name: outcomes for name, outcomes in cells.items() if name not in ("Case", "---")}
