"""Regular expressions as a small tree: the syntax that every engine's grammars can be told, and nothing else.

What an automaton cannot do (look-around, back-references) and what engines read differently (word boundaries, flags,
Unicode classes) is refused by name. ``\\d``, ``\\w`` and ``\\s`` are ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fluid_server.errors import InvalidRequest

LONGEST = 4096  # characters of an expression
DEEPEST = 64  # groups in groups
MOST_REPEATS = 10_000  # a grammar is as large as the counts in it; beyond this engines stall, or give it up half-way
LAST = 0x10FFFF
CLASSES = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20)),
}
CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0", "a": "\a", "e": "\x1b"}
COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
HEX = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|[xu]\{([0-9a-fA-F]{1,6})\}")

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of these: ranges of code points, sorted, apart from each other."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part, ``least`` to ``most`` times; None is no limit."""

    part: Expression
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class InOrder:
    """One after the other; nothing where there are no parts."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these."""

    options: tuple[Expression, ...]


Expression = Chars | Repeat | InOrder | OneOf


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative of a whole expression, and whether it is bound to the text's beginning and end."""

    body: Expression
    from_start: bool
    to_end: bool


def parse_regex(pattern: str) -> tuple[Branch, ...]:
    """The alternatives of an expression. Errors: ValueError that says what of it cannot be."""
    if len(pattern) > LONGEST:
        raise ValueError(f"it has {len(pattern)} characters, and the limit is {LONGEST}")
    return _Parser(pattern).whole()


def check_regex(pattern: str, *, param: str) -> None:
    """Errors: InvalidRequest naming what of the expression no runtime can be held to."""
    try:
        parse_regex(pattern)
    except ValueError as error:
        raise InvalidRequest(f"The regular expression in '{param}' cannot be used: {error}.", param=param) from error


def lengths(expression: Expression) -> tuple[int, int | None]:
    """The fewest and the most characters that it matches."""
    match expression:
        case Chars():
            return 1, 1
        case InOrder(parts=parts):
            both = [lengths(part) for part in parts]
            return sum(low for low, _ in both), _summed([high for _, high in both])
        case OneOf(options=options):
            both = [lengths(option) for option in options]
            highs = [high for _, high in both]
            return min(low for low, _ in both), None if None in highs else max(filter(None, highs), default=0)
        case Repeat(part=part, least=least, most=most):
            low, high = lengths(part)
            if high == 0:
                return 0, 0
            return low * least, None if high is None or most is None else high * most


def _size(expression: Expression) -> int:
    """How many characters there are with all counts written out."""
    match expression:
        case Chars():
            return 1
        case InOrder(parts=parts) | OneOf(options=parts):
            return sum(_size(part) for part in parts)
        case Repeat(part=part, least=least, most=most):
            return _size(part) * max(1, least, most or 0)


def _repeated(part: Expression, least: int, most: int | None) -> Expression:
    """A count of a count is one count: written as two, every split of a text would have to be followed."""
    if not isinstance(part, Repeat) or part.least > 1:
        return Repeat(part, least, most)
    highest = None if part.most is None or most is None else part.most * most
    if part.most == 0 or most == 0:
        return InOrder(())
    return Repeat(part.part, part.least * least, highest)


def _summed(highs: list[int | None]) -> int | None:
    return None if None in highs else sum(filter(None, highs))


def merged(ranges: Iterator[tuple[int, int]] | Ranges) -> Ranges:
    """Sorted, and joined where they touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def without(ranges: Ranges, others: Ranges) -> Ranges:
    """The characters of the first that are not in the second; both are sorted and apart."""
    left = list(ranges)
    for low, high in others:
        left = [piece for one in left for piece in _cut(one, low, high)]
    return tuple(left)


def _cut(one: tuple[int, int], low: int, high: int) -> Iterator[tuple[int, int]]:
    if one[0] < low:
        yield one[0], min(one[1], low - 1)
    if one[1] > high:
        yield max(one[0], high + 1), one[1]


EVERYTHING: Ranges = ((0, LAST),)
ANY_CHARACTER = Chars(without(EVERYTHING, ((0xD800, 0xDFFF),)))  # surrogates are no characters
DOT = Chars(without(ANY_CHARACTER.ranges, ((0x0A, 0x0A),)))


class _Parser:
    """Recursive descent over one expression."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> tuple[Branch, ...]:
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        if self._at < len(self._text):
            raise ValueError(f"its ')' at position {self._at} closes no group")
        if sum(_size(branch.body) for branch in branches) > MOST_REPEATS + LONGEST:
            raise ValueError(f"with its counts written out it has more than {MOST_REPEATS + LONGEST} characters")
        return tuple(branches)

    def _branch(self) -> Branch:
        from_start = self._anchor("^", r"\A")
        body = self._parts()
        return Branch(body, from_start, self._anchor("$", r"\Z", r"\z"))

    def _anchor(self, *texts: str) -> bool:
        return any(self._take(text) for text in texts)

    def _options(self) -> Expression:
        options = [self._parts()]
        while self._take("|"):
            options.append(self._parts())
        return options[0] if len(options) == 1 else OneOf(tuple(options))

    def _parts(self) -> Expression:
        parts: list[Expression] = []
        while self._at < len(self._text) and not self._text.startswith(("|", ")"), self._at):
            if self._ends_branch():
                break
            parts.append(self._counted(self._atom()))
        return parts[0] if len(parts) == 1 else InOrder(tuple(parts))

    def _ends_branch(self) -> bool:
        """Whether an anchor stands here that is the last thing of a top-level alternative."""
        for anchor in ("$", r"\Z", r"\z"):
            if self._text.startswith(anchor, self._at) and self._depth == 0:
                rest = self._text[self._at + len(anchor) :]
                return rest == "" or rest.startswith("|")
        return False

    def _counted(self, part: Expression) -> Expression:
        least, most = self._count()
        if (least, most) == (1, 1):
            return part
        if self._take("+"):
            raise ValueError(f"possessive quantifiers (position {self._at - 1}) are not supported")
        self._take("?")  # lazy: what matches as a whole is the same
        if self._text.startswith(("*", "+", "?"), self._at) or COUNT.match(self._text, self._at):
            raise ValueError(f"the quantifier at position {self._at} follows another one")
        return _repeated(part, least, most)

    def _count(self) -> tuple[int, int | None]:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not (found := COUNT.match(self._text, self._at)):
            return 1, 1
        self._at = found.end()
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        if max(least, most or 0) > MOST_REPEATS:
            raise ValueError(f"its count {found[0]} is over the limit of {MOST_REPEATS}")
        if most is not None and most < least:
            raise ValueError(f"its count {found[0]} has more at least than at most")
        return least, most

    def _atom(self) -> Expression:
        character = self._text[self._at]
        self._at += 1
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == ".":
            return DOT
        if character == "\\":
            return Chars(self._escape(inside=False))
        if character in "^$":
            raise ValueError(f"the anchor '{character}' at position {self._at - 1} is inside of it")
        if character in "*+?":
            raise ValueError(f"the quantifier '{character}' at position {self._at - 1} follows nothing")
        return Chars(((ord(character), ord(character)),))

    def _group(self) -> Expression:
        start = self._at - 1
        if self._take("?"):
            self._group_kind(start)
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"it has more than {DEEPEST} groups within each other")
        inner = self._options()
        self._depth -= 1
        if not self._take(")"):
            raise ValueError(f"the group at position {start} is not closed")
        return inner

    def _group_kind(self, start: int) -> None:
        if self._take(":"):
            return
        for sign, name in (("=", "look-ahead"), ("!", "look-ahead"), ("<=", "look-behind"), ("<!", "look-behind")):
            if self._take(sign):
                raise ValueError(f"{name} (position {start}) is not supported")
        if found := re.compile(r"P?<[A-Za-z_]\w*>").match(self._text, self._at):
            self._at = found.end()
            return
        raise ValueError(f"the group '(?' at position {start} is of a kind that is not supported")

    def _class(self) -> Expression:
        start = self._at - 1
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise ValueError(f"the character class at position {start} is not closed")
            first = False
            found += self._class_item()
        self._at += 1
        ranges = merged(tuple(found))
        if negated:
            ranges = without(ANY_CHARACTER.ranges, ranges)
        if not ranges:
            raise ValueError(f"the character class at position {start} is empty")
        return Chars(ranges)

    def _class_item(self) -> Ranges:
        if self._text.startswith("[:", self._at):
            raise ValueError(f"the POSIX class at position {self._at} is not supported")
        low = self._class_character()
        is_range = self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at)
        if not is_range:
            return low
        at = self._at
        self._at += 1
        if self._at >= len(self._text):
            return low
        high = self._class_character()
        if len(low) > 1 or len(high) > 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1]:
            raise ValueError(f"the range at position {at} has a class at one of its ends")
        if high[0][0] < low[0][0]:
            raise ValueError(f"the range at position {at} ends before it begins")
        return ((low[0][0], high[0][0]),)

    def _class_character(self) -> Ranges:
        character = self._text[self._at]
        self._at += 1
        if character == "\\":
            return self._escape(inside=True)
        return ((ord(character), ord(character)),)

    def _escape(self, *, inside: bool) -> Ranges:
        start = self._at - 1
        if self._at >= len(self._text):
            raise ValueError("it ends in a lone backslash")
        if found := HEX.match(self._text, self._at):
            self._at = found.end()
            code = int(found[1] or found[2] or found[3], 16)
            if code > LAST or 0xD800 <= code <= 0xDFFF:
                raise ValueError(f"the escape at position {start} is no character")
            return ((code, code),)
        character = self._text[self._at]
        self._at += 1
        if character.lower() in CLASSES:
            ranges = CLASSES[character.lower()]
            return ranges if character.islower() else without(ANY_CHARACTER.ranges, ranges)
        if inside and character == "b":
            return ((8, 8),)
        if character in CONTROLS:
            return ((ord(CONTROLS[character]), ord(CONTROLS[character])),)
        if character.isdigit():
            raise ValueError(f"the back-reference '\\{character}' at position {start} is not supported")
        if character.isascii() and character.isalpha():
            raise ValueError(f"the escape '\\{character}' at position {start} is not supported")
        return ((ord(character), ord(character)),)

    def _take(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True
