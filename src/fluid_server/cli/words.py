"""Figures and tables as people read them."""

from __future__ import annotations

from collections.abc import Sequence

MINUTE, HOUR, DAY = 60, 3600, 86400
LONGEST = 60  # characters of a name that somebody typed, where it is repeated


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def size(count: float) -> str:
    """Bytes for people: 2.3 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def duration(seconds: float) -> str:
    """A time that is measured, in its two largest units: 1 min 5 s."""
    left = max(0, round(seconds))
    parts = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        count, left = divmod(left, unit)
        parts.append(f"{count} {name}" if count else "")
    first = next((index for index, part in enumerate(parts) if part), len(parts))
    return " ".join(part for part in parts[first : first + 2] if part) or "0 s"


def about(seconds: float) -> str:
    """A time that nobody needs to the second: 4 minutes, 1 hour."""
    whole = max(0, round(seconds))
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if whole >= unit:
            return _counted(round(whole / unit), name)
    return _counted(whole, "second")


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def repeated(name: str) -> str:
    """A name as it can be repeated to whoever typed it."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name[:LONGEST])
    return text + ("…" if len(name) > LONGEST else "")


def shortened(text: str, width: int) -> str:
    """A name that fits: it is cut in the middle, because what tells names apart is at both ends."""
    if len(text) <= width:
        return text
    end = max(0, (width - 1) // 2)
    return text[: max(0, width - 1 - end)] + "…" + text[len(text) - end :]


def percent(done: int, total: int) -> str:
    """How much of it is there; not 100 % before all of it is."""
    return f"{(100 if done >= total else min(99, done * 100 // total)) if total else 0} %"
