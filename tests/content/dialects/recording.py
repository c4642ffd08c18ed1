"""What an answer and its meaning are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recorded:
    """``calls`` are names and arguments to the letter; ``ended`` how many of them are complete (default: all)."""

    dialect: str
    text: str
    said: str = ""
    thought: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    thinking: bool = False
    ended: int | None = None


PARIS = ("get_weather", '{"city": "Paris"}')
