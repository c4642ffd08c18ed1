"""Pieces of EBNF, as xgrammar and llama.cpp read it: rules, literals, character classes, loops and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fluid_server.content.regex import ANY_CHARACTER, Ranges, without

EMPTY = '""'
# What stands in a JSON string as it is: everything but the quote, the backslash and control characters.
PLAIN: Ranges = without(ANY_CHARACTER.ranges, ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C)))
ESCAPED = {0x22: r"\"", 0x5C: r"\\", 0x0A: r"\n", 0x09: r"\t", 0x0D: r"\r", 0x08: r"\b", 0x0C: r"\f"}
HEX = "[0-9a-fA-F]"
# Half of a surrogate pair alone is no character: it would parse, and then nobody could encode it.
JSON_ESCAPE = (
    '"\\\\" (["\\\\/bfnrt] | "u" ('
    f"[0-9a-cA-CeEfF] {HEX} {HEX} {HEX} | [dD] [0-7] {HEX} {HEX} | "
    f'[dD] [89abAB] {HEX} {HEX} "\\\\u" [dD] [c-fC-F] {HEX} {HEX}))'
)


class Rules:
    """A grammar as it grows: named rules, each written once."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def name(self, hint: str = "r") -> str:
        """A name that no rule has yet; its rule is to follow."""
        name = f"{hint}{len(self._rules)}"
        self._rules[name] = ""
        return name

    def define(self, name: str, body: str) -> str:
        """What a name stands for. Returns the name."""
        self._rules[name] = body
        return name

    def add(self, body: str, hint: str = "r") -> str:
        """A rule of its own for this."""
        return self.define(self.name(hint), body)

    def has(self, name: str) -> bool:
        """Whether a rule of this name is there, or on its way."""
        return name in self._rules

    def once(self, name: str, body: str) -> str:
        """A rule that many use, by a name of its own. Returns the name."""
        self._rules.setdefault(name, body)
        return name

    def key(self, text: str) -> str:
        """A short name for this text, the same for the same."""
        return self._keys.setdefault(text, f"k{len(self._keys)}")

    def written(self, root: str) -> str:
        """The whole grammar, beginning at this expression."""
        lines = [f"root ::= {root}", *(f"{name} ::= {body}" for name, body in self._rules.items())]
        return "\n".join(lines) + "\n"


def literal(text: str) -> str:
    """This text, to the letter."""
    return '"' + "".join(_in_literal(character) for character in text) + '"'


def _in_literal(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if " " <= character <= "~" else _code(ord(character))


def _code(code: int) -> str:
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def one_of(options: list[str]) -> str:
    """Alternatives, in parentheses where there are several."""
    distinct = list(dict.fromkeys(options))
    return distinct[0] if len(distinct) == 1 else "(" + " | ".join(distinct) + ")"


def star(units: Sequence[str]) -> str:
    """One of these, any number of times, in the form in which xgrammar knows at once which tokens fit.

    A loop over a choice is a rule of its own for it, which every token of several characters leaves: it then tries
    them all, one by one, in every step. A loop over a character class is none.
    """
    first, *others = units
    return f"{first}* ({one_of(list(others))} {first}*)*" if others else f"({first})*"


def character_class(ranges: Ranges) -> str:
    """One character out of these ranges."""
    parts = [_in_class(low) if low == high else f"{_in_class(low)}-{_in_class(high)}" for low, high in _joined(ranges)]
    return "[" + "".join(parts) + "]"


def class_units(ranges: Ranges) -> list[str]:
    """One character out of these ranges, as units that may be repeated.

    xgrammar 2026.4.1 forbids everything after the first byte of a character if a repeated class ends among those that
    begin with this byte: all tokens are then equally likely, and nothing is enforced any more. So what a class has of
    such characters is a unit of its own.
    """
    pieces = [piece for low, high in _joined(ranges) for piece in _cut(low, high)]
    whole = tuple((low, high) for low, high, is_whole in pieces if is_whole)
    parts = [((low, high),) for low, high, is_whole in pieces if not is_whole]
    return [character_class(unit) for unit in (whole, *parts) if unit]


def _cut(low: int, high: int) -> Iterator[tuple[int, int, bool]]:
    """A range, cut where it takes only some of the characters with one first byte; and whether a piece takes all."""
    first, last = _same_lead(low), _same_lead(high)
    begins, ends = low == first[0], high == last[1]
    if first == last:
        yield low, high, begins and ends
        return
    if not begins:
        yield low, first[1], False
    if (start := low if begins else first[1] + 1) <= (end := high if ends else last[0] - 1):
        yield start, end, True
    if not ends:
        yield last[0], high, False


def _joined(ranges: Ranges) -> Ranges:
    """Without the gap for surrogates, which are no characters: no text has one."""
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        start = found.pop()[0] if found and (found[-1][1], low) == (0xD7FF, 0xE000) else low
        found.append((start, high))
    return tuple(found)


def _same_lead(code: int) -> tuple[int, int]:
    """The characters whose UTF-8 begins with the same byte, where at least two follow it; else this one alone."""
    if code < 0x800:
        return code, code
    if code < 0x10000:
        return max(0x800, code & ~0xFFF), code | 0xFFF
    return max(0x10000, code & ~0x3FFFF), min(0x10FFFF, code | 0x3FFFF)


def _in_class(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else _code(code)


# --- counts ------------------------------------------------------------------------------------------------

BLOCK = 32  # units that are counted one by one; a token that may leave its block must be tried in the step
EXPANDED = 128  # xgrammar writes smaller counts out; with larger ones each step takes 100 ms and more


def counted(rules: Rules, units: Sequence[str], least: int, most: int | None) -> str:
    """One of these, from least to most times; it stands for one element of a sequence."""
    if (least, most) == (1, 1):
        return one_of(list(units))
    if (least, most) == (0, 1):
        return f"({one_of(list(units))})?"
    if most is None:
        if (least, len(units)) == (1, 1):
            return f"({units[0]})+"
        return star(units) if least == 0 else f"({counted(rules, units, least, least)} {star(units)})"
    if len(units) == 1 and most <= EXPANDED:
        return f"({units[0]}){{{least},{most}}}" if most else EMPTY
    counter = _Counter(rules, units)
    return f"({counter.exactly(least)} {counter.at_most(most - least)})"


class _Counter:
    """Counts in blocks: what is left in the block is told by the rule, and the blocks are counted in turn."""

    def __init__(self, rules: Rules, units: Sequence[str]) -> None:
        self._rules = rules
        self._units = units
        self._key = rules.key(" | ".join(units))

    def exactly(self, count: int) -> str:
        blocks, rest = divmod(count, BLOCK)
        parts = [counted(self._rules, [self._exact(BLOCK)], blocks, blocks)] if blocks else []
        return " ".join(parts + ([self._exact(rest)] if rest else [])) or EMPTY

    def at_most(self, count: int) -> str:
        if count <= BLOCK:
            return self._up_to(count)
        blocks, rest = divmod(count, BLOCK)
        block, remainder = self._exact(BLOCK), self._up_to(BLOCK - 1)
        if blocks > EXPANDED:
            fewer = counted(self._rules, [block], 0, blocks - 1)
            return f"({fewer} {remainder} | {self.exactly(blocks * BLOCK)} {self._up_to(rest)})"
        following = self._up_to(rest)
        for _ in range(blocks):
            following = self._rules.add(f"{remainder} | {block} {following}", "blocks")
        return following

    def _exact(self, count: int) -> str:
        """The rule for this many, not more than a block."""
        for number in range(1, count + 1):
            name = f"{self._key}x{number}"
            follower = f"{self._key}x{number - 1}" if number > 1 else ""
            self._rules.once(name, " | ".join(f"{unit} {follower}".strip() for unit in self._units))
        return name

    def _up_to(self, count: int) -> str:
        """The rule for this many at most, not more than a block."""
        self._rules.once(f"{self._key}y0", EMPTY)
        for number in range(1, count + 1):
            name, follower = f"{self._key}y{number}", f"{self._key}y{number - 1}"
            self._rules.once(name, " | ".join([EMPTY, *(f"{unit} {follower}" for unit in self._units)]))
        return f"{self._key}y{count}"
