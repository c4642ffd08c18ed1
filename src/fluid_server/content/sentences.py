"""Text as it is spoken: piece by piece, each no longer than a model takes, with the pause that belongs after it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

# What a dot does not end a sentence after, in English and French.
ABBREVIATIONS = frozenset(
    {
        "mr", "mrs", "ms", "dr", "prof", "hon", "st", "sr", "jr", "capt", "col", "lt", "sgt", "gov", "vs", "approx",
        "cf", "al", "e.g", "i.e", "viz", "dept", "est", "inc", "ltd", "corp", "blvd", "mm", "mme", "mmes", "mlle",
        "mlles", "mgr", "p.ex", "env", "jan", "feb", "apr", "aug", "sept", "oct", "nov", "janv", "févr", "avr", "juil",
    }
)  # fmt: skip
BEFORE_NUMBERS = frozenset({"no", "nos", "vol", "p", "pp", "fig", "eq", "ch", "art", "n", "nr"})
"""These only where a number follows."""

LONGEST_WORD = 60  # characters; a longer run without a space is nothing that anybody says, and is cut

# An end: marks, what closes behind them, and then a gap. Chinese and Japanese marks need none.
_END = re.compile(r"""[.!?…]+[)\]"'”’]*(?:\s?[»›])?(?=\s)|[。！？｡]+[)\]"'»”’」』）】]*""")  # noqa: RUF001
_LINE = re.compile(r"\r\n?|[\n\v\f\u0085\u2028\u2029]")
_LAST_WORD = re.compile(r"[\w.'’-]*\Z")  # noqa: RUF001
_CLAUSE = re.compile(r"(?<=[.!?…;:,—–])(?=\s)|(?<=[，、；：])")  # noqa: RUF001
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_PICTURES = re.compile("[\u2600-\u27bf\ufe00-\ufe0f\u20e3\U0001f000-\U0001faff]")


class Pause(StrEnum):
    """What ends behind a piece: a piece of a long sentence, a sentence, or a paragraph."""

    CLAUSE = "clause"
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"


@dataclass(frozen=True, slots=True)
class Piece:
    """What is spoken in one go."""

    text: str
    pause: Pause


def speakable(text: str) -> str:
    """The text without what nobody can say: control characters, half characters, emoji. Lines stay."""
    lines = _LINE.sub("\n", unicodedata.normalize("NFC", text))
    kept = _PICTURES.sub(" ", lines)
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in _INVISIBLE else _instead(char) for char in kept
    )


def _instead(char: str) -> str:
    """A tab is a gap; a character that only joins or directs others is nothing."""
    return "" if unicodedata.category(char) == "Cf" else " "


def can_be_said(text: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(char.isalnum() for char in text)


def split(text: str, limit: int) -> list[Piece]:
    """The sentences of a text, the longer ones in parts of at most ``limit`` characters; empty if nothing can be said.

    Long ones are cut behind commas and the like, else between words, else in the middle of a word.
    """
    pieces: list[Piece] = []
    for paragraph in _paragraphs(speakable(text)):
        spoken = [piece for sentence in _sentences(paragraph) for piece in _fitting(sentence, limit)]
        if spoken:
            pieces += [*spoken[:-1], replace(spoken[-1], pause=Pause.PARAGRAPH)]
    return pieces


def halves(text: str) -> tuple[str, str] | None:
    """A text in two, cut at the space nearest to its middle, else in its middle; None if there is nothing to cut."""
    middle = len(text) // 2
    spaces = [index for index, char in enumerate(text) if char.isspace() and 0 < index < len(text) - 1]
    cut = min(spaces, key=lambda index: abs(index - middle), default=middle)
    first, second = text[:cut].strip(), text[cut:].strip()
    return (first, second) if first and second else None


def _paragraphs(text: str) -> Iterator[str]:
    """Lines, but those that were only wrapped joined again: the next goes on in small letters."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    whole = ""
    for line, following in pairwise([*lines, ""]):
        whole += line
        if line and following[:1].islower() and (line[-1].isalnum() or line[-1] in ",;-"):
            whole += " "
        elif whole:
            yield whole
            whole = ""


def _sentences(paragraph: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(paragraph):
        before, after = paragraph[start : end.start()], paragraph[end.end() :].lstrip()
        if after and not _goes_on(before, end[0], after):
            yield paragraph[start : end.end()].strip()
            start = end.end()
    yield paragraph[start:].strip()


def _goes_on(before: str, marks: str, after: str) -> bool:
    """Whether a mark ends no sentence: an abbreviation's dot, a number's in front of a line, a word that goes on."""
    if marks[0] in "。！？｡":  # noqa: RUF001
        return False
    quoted = marks[-1] not in ".!?…"
    if not can_be_said(before) or (after[0].islower() and (quoted or marks[0] in ".…")):
        return True
    if marks != ".":
        return False
    found = _LAST_WORD.search(before)
    word = found[0].lower().strip("'’-.") if found else ""  # noqa: RUF001
    initial = len(word) == 1 and word.isalpha() and word != "i"
    numbered = word.isdigit() and before.strip() == word
    counted = word in BEFORE_NUMBERS and after[0].isdigit()
    return initial or numbered or counted or word in ABBREVIATIONS


def _fitting(sentence: str, limit: int) -> Iterator[Piece]:
    parts = [part for part in _packed(_clauses(sentence, limit), limit) if can_be_said(part)]
    for index, part in enumerate(parts, 1):
        yield Piece(part, Pause.SENTENCE if index == len(parts) else Pause.CLAUSE)


def _clauses(sentence: str, limit: int) -> Iterator[str]:
    for clause in [sentence] if len(sentence) <= limit else _CLAUSE.split(sentence):
        if len(clause) <= limit:
            yield from _words(clause, limit) if _has_long_word(clause) else (clause,)
        else:
            yield from _words(clause, limit)


def _has_long_word(text: str) -> bool:
    return any(len(word) > LONGEST_WORD for word in text.split())


def _words(text: str, limit: int) -> Iterator[str]:
    """Words with the gap before them, the over-long in parts that are words of their own."""
    most = min(limit, LONGEST_WORD) - 1
    for word in re.findall(r"\s*\S+", text):
        yield word[:most]
        yield from (f" {word[at : at + most]}" for at in range(most, len(word), most))


def _packed(parts: Iterator[str], limit: int) -> Iterator[str]:
    """As many neighbours together as fit."""
    whole = ""
    for part in parts:
        if whole and len(whole) + len(part) > limit:
            yield whole.strip()
            whole = part
        else:
            whole += part
    yield whole.strip()
