"""Text as it comes, for readers that are written as if all of it were there.

A reader is a generator that reads straight on and yields where it must wait for more text. It first looks ahead,
which decides nothing, and then takes what it has understood; or it goes back, and reads the same in another way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]

LONGEST_SPACE = 256  # characters before a mark that belong to it; what is longer is no layout but text

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[\w.\-]*")


class Marks:
    """Some texts to be looked for at once, none of which contains another.

    ``space`` is what stands before a mark and belongs to it: at most one line end ("line"), any white space
    ("any"), or nothing.
    """

    def __init__(self, *marks: str, space: str = "") -> None:
        self.marks = marks
        self.space = space
        self._pattern = re.compile("|".join(re.escape(mark) for mark in marks) or r"(?!)")
        self._beginnings = {mark[:length] for mark in marks for length in range(1, len(mark))}
        self._firsts = {mark[0] for mark in marks}
        self._longest = max((len(mark) for mark in marks), default=1)

    def none_in(self, text: str) -> bool:
        """Whether certainly no mark is in it, nor the beginning of one: a quick question."""
        return self._firsts.isdisjoint(text)

    def search(self, text: str) -> re.Match[str] | None:
        """The first mark."""
        return self._pattern.search(text)

    def begin(self, text: str) -> int:
        """Where at the end of ``text`` a mark may have begun, with its white space."""
        tail = text[max(0, len(text) - self._longest + 1) :]
        if not self._firsts.isdisjoint(tail):
            for length in range(len(tail), 0, -1):
                if text[-length:] in self._beginnings:
                    return self.before(text, len(text) - length)
        return self.before(text, len(text))

    def before(self, text: str, end: int) -> int:
        """Where the white space begins that ends at ``end`` and belongs to a mark there."""
        if self.space == "any":
            return max(len(text[:end].rstrip()), end - LONGEST_SPACE)
        if self.space == "line" and end and text[end - 1] == "\n":
            return end - 1
        return end


class Incoming:
    """The text that is not decided upon, and how far reading has got ``at`` in it."""

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.ended = False
        self._until: tuple[Marks, Callable[[str], None]] | None = None  # where it is all that goes on

    def plain(self, text: str, sink: Callable[[str], None]) -> str | None:
        """Take what of this further text ``until`` would hand to ``sink``, if that is all that there is to do.

        None, and nothing was taken, where there may be more to do.
        """
        if self._until is None:
            return None
        marks, to = self._until
        known = self.text + text
        if to != sink or not marks.none_in(known):
            return None
        end = marks.before(known, len(known))
        self.text = known[end:]
        return known[:end]

    def take(self) -> str:
        """All that has been read: it is decided upon."""
        taken, self.text, self.at = self.text[: self.at], self.text[self.at :], 0
        return taken

    def back(self) -> None:
        """Nothing has been read: all is looked at again."""
        self.at = 0

    def more(self) -> Steps[bool]:
        """Wait for more text; False where no more comes."""
        if not self.ended:
            yield
        return not self.ended

    def peek(self) -> Steps[str]:
        """The next character, not read; empty at the end."""
        while self.at >= len(self.text):
            if not (yield from self.more()):
                return ""
        return self.text[self.at]

    def space(self) -> Steps[None]:
        """Read white space, if there is any."""
        yield from self.run(_SPACE)

    def word(self) -> Steps[str]:
        """Read a name: letters, digits, dots, hyphens and underscores; empty where there is none."""
        return (yield from self.run(_WORD))

    def run(self, pattern: re.Pattern[str]) -> Steps[str]:
        """Read as much as a pattern matches, which is a repetition of characters."""
        start = self.at
        while True:
            found = pattern.match(self.text, self.at)
            assert found is not None
            self.at = found.end()
            if self.at < len(self.text) or not (yield from self.more()):
                return self.text[start : self.at]

    def accept(self, *texts: str) -> Steps[str]:
        """Read one of these texts (none begins with another) if it comes next; empty, and nothing read, if not."""
        while True:
            for text in texts:
                if self.text.startswith(text, self.at):
                    self.at += len(text)
                    return text
            rest = self.text[self.at :]
            if not any(text.startswith(rest) for text in texts) or not (yield from self.more()):
                return ""

    def mark(self, *texts: str) -> Steps[str]:
        """Like accept; and what half of a text is left at the end of all text is read too, without an answer."""
        found = yield from self.accept(*texts)
        if not found and any(text.startswith(self.text[self.at :]) for text in texts):
            self.at = len(self.text)
        return found

    def until(self, marks: Marks, sink: Callable[[str], None]) -> Steps[str]:
        """Take the text before the first mark, handing it on as it comes, and read that mark without taking it.

        The answer is the mark, or empty where the text ended without one. All before must have been taken.
        """
        while True:
            if found := marks.search(self.text):
                self.at = marks.before(self.text, found.start())
                read = found.end() - self.at
                self._hand(sink)
                self.at = read
                return found[0]
            self.at = len(self.text) if self.ended else marks.begin(self.text)
            self._hand(sink)
            self._until = marks, sink
            more = yield from self.more()
            self._until = None
            if not more:
                self.at = len(self.text)
                self._hand(sink)
                return ""

    def _hand(self, sink: Callable[[str], None]) -> None:
        if taken := self.take():
            sink(taken)
