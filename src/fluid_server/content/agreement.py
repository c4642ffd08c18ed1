"""What of a transcript can be told while somebody still speaks."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\s*\S+")


class Agreement:
    """Hypotheses about one growing text, the newer heard from more sound. What two in a row agree on is stable.

    What is told cannot be taken back, so the last word of a hypothesis never is: it may be half a word. (The rule is
    known as LocalAgreement-2.)
    """

    def __init__(self) -> None:
        self.told = ""
        self._before: list[str] = []

    def feed(self, hypothesis: str) -> str:
        """What can be told now: the text that follows on ``told``, which then includes it."""
        pieces = _PIECE.findall(hypothesis)
        agreed = "".join(_common(self._before, pieces[:-1]))
        self._before = pieces
        return self._tell(agreed)

    def settle(self, text: str) -> str:
        """The same for a text that is certain."""
        self._before = []
        return self._tell(text)

    def _tell(self, text: str) -> str:
        """Nothing, where the text is not what was told any more."""
        if not text.startswith(self.told):
            return ""
        news, self.told = text[len(self.told) :], text
        return news


def _common(first: list[str], second: list[str]) -> list[str]:
    same = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        same += 1
    return second[:same]
