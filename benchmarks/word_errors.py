"""How far a transcript is from what was said: word error rate, and which sentence is which segment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NO_WORD = re.compile(r"[^\w' ]")


def words_of(text: str) -> list[str]:
    """The words, in small letters, without punctuation; what a hyphen joins is two words."""
    return NO_WORD.sub(" ", text.lower().replace("\u2019", "'")).split()


def distance(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Words to put in, take out or change (Levenshtein)."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        above, row[0] = row[:], i
        for j, other in enumerate(got, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other))
    return row[-1]


@dataclass(slots=True)
class Score:
    """A sum over transcripts."""

    errors: int = 0
    words: int = 0
    exact: int = 0
    texts: int = 0

    def add(self, wanted: str, got: str) -> int:
        """Count one; returns its errors."""
        errors = distance(words_of(wanted), words_of(got))
        self.errors += errors
        self.words += len(words_of(wanted))
        self.exact += errors == 0
        self.texts += 1
        return errors

    @property
    def rate(self) -> float:
        """Word error rate in percent."""
        return 100 * self.errors / max(self.words, 1)


@dataclass(frozen=True, slots=True)
class Alignment:
    """``pairs`` of (number of the sentence, number of the segment), both rising; what is in none is lost or extra."""

    pairs: tuple[tuple[int, int], ...]
    lost: tuple[int, ...]
    extra: tuple[int, ...]


def aligned(wanted: Sequence[str], got: Sequence[str]) -> Alignment:
    """Which text of ``got`` is which of ``wanted``, in order, with the fewest wrong words in all.

    A pair costs its wrong words, but never as much as leaving both out: two texts without a word in common are no
    pair. So a sentence that was told twice has an extra segment, and one told in the wrong place is lost and extra.
    """
    said, heard = [words_of(text) for text in wanted], [words_of(text) for text in got]
    costs = [[0] * (len(heard) + 1) for _ in range(len(said) + 1)]
    for j, words in enumerate(heard, 1):
        costs[0][j] = costs[0][j - 1] + len(words)
    for i, sentence in enumerate(said, 1):
        costs[i][0] = costs[i - 1][0] + len(sentence)
        for j, words in enumerate(heard, 1):
            alone = min(costs[i - 1][j] + len(sentence), costs[i][j - 1] + len(words))
            costs[i][j] = min(alone, costs[i - 1][j - 1] + _pair_cost(sentence, words))
    return _walked_back(costs, said, heard)


def _pair_cost(sentence: list[str], words: list[str]) -> int:
    """More than leaving both out where no word is the same."""
    if not set(sentence) & set(words):
        return len(sentence) + len(words) + 1
    return distance(sentence, words)


def _walked_back(costs: list[list[int]], said: list[list[str]], heard: list[list[str]]) -> Alignment:
    i, j = len(said), len(heard)
    pairs, lost, extra = [], [], []
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + _pair_cost(said[i - 1], heard[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and costs[i][j] == costs[i - 1][j] + len(said[i - 1]):
            i -= 1
            lost.append(i)
        else:
            j -= 1
            extra.append(j)
    return Alignment(tuple(reversed(pairs)), tuple(reversed(lost)), tuple(reversed(extra)))
