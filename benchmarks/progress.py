"""What is being measured and how long it will still take, on stderr."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

from benchmarks.record import Record
from benchmarks.sections import Section

EVERY = 10.0  # seconds between the lines, where they cannot be written over each other
FULL_REPEATS, QUICK_REPEATS = 5, 2  # those that the sections' own guesses are of


class Progress:
    """One line that is written over, or a line now and then where stderr is no terminal."""

    def __init__(self, sections: Sequence[Section], before: Record, *, quick: bool, repeats: int) -> None:
        self._sections = list(sections)
        self._expected = {one.name: expected(one, before, quick=quick, repeats=repeats) for one in sections}
        self._now: Section | None = None
        self._began = time.monotonic()
        self._said = -EVERY
        self._terminal = sys.stderr.isatty()

    def begin(self, section: Section) -> None:
        """This one comes now."""
        self._now, self._began, self._said = section, time.monotonic(), -EVERY
        self.say("begins")

    def say(self, what: str) -> None:
        """What is being done in it."""
        line = f"{self._place()}{what} · about {minutes(self.left())} left"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{line[:width]:<{width}}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Nothing more comes."""
        if self._terminal:
            print(file=sys.stderr)

    def left(self) -> float:
        """Seconds, as far as it can be guessed."""
        if self._now is None:
            return sum(self._expected.values())
        place = self._sections.index(self._now)
        here = self._expected[self._now.name] - (time.monotonic() - self._began)
        return max(0.0, here) + sum(self._expected[one.name] for one in self._sections[place + 1 :])

    def _place(self) -> str:
        if self._now is None:
            return ""
        return f"[{self._sections.index(self._now) + 1}/{len(self._sections)} {self._now.name}] "


def expected(section: Section, before: Record, *, quick: bool, repeats: int) -> float:
    """Seconds that a section will take: as long as the last time in the same form, by its repeats, or a first guess."""
    last = before.get(section.name)
    if last is not None and last.taken.quick == quick and last.taken.problem is None:
        return last.taken.seconds * repeats / last.taken.repeats
    guess, usual = (section.quick_seconds, QUICK_REPEATS) if quick else (section.seconds, FULL_REPEATS)
    return guess * repeats / usual


def minutes(seconds: float) -> str:
    """As 4:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
