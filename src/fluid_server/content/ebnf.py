"""Pieces of EBNF, as xgrammar and llama.cpp read it: literals, character classes, regular expressions written out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fluid_server.content.regex import (
    ANY_CHARACTER,
    Branch,
    Chars,
    Expression,
    InOrder,
    OneOf,
    Ranges,
    Repeat,
    without,
)

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


def repeated(part: str, least: int, most: int | None) -> str:
    """The part, this many times; it stands for one element of a sequence."""
    if most == 0:
        return EMPTY
    signs: dict[tuple[int, int | None], str] = {(0, None): "*", (1, None): "+", (0, 1): "?", (1, 1): ""}
    counted = f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"
    return f"({part}){signs.get((least, most), counted)}"


def character_class(ranges: Ranges) -> str:
    """One character out of these ranges."""
    parts = [_in_class(low) if low == high else f"{_in_class(low)}-{_in_class(high)}" for low, high in ranges]
    return "[" + "".join(parts) + "]"


def _in_class(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else _code(code)


def regex_text(branches: tuple[Branch, ...]) -> str:
    """Plain text that the expression matches as a whole."""
    return one_of([_written(branch.body, character_class) for branch in branches])


def regex_in_json(branches: tuple[Branch, ...]) -> str:
    """The inside of a JSON string in which the expression matches somewhere, as JSON schemas read a ``pattern``."""
    return one_of([_searched(branch) for branch in branches])


def _searched(branch: Branch) -> str:
    anything = f"({character_class(PLAIN)} | {JSON_ESCAPE})*"
    body = _written(branch.body, _json_character)
    return " ".join(["" if branch.from_start else anything, body, "" if branch.to_end else anything]).strip()


def _json_character(ranges: Ranges) -> str:
    """A character as it stands in a JSON string: escaped where it must be."""
    options = []
    if plain := without(ranges, without(ANY_CHARACTER.ranges, PLAIN)):
        options.append(character_class(plain))
    options += [literal(escape) for code, escape in ESCAPED.items() if _has(ranges, code)]
    if not options:
        options = [literal(f"\\u{code:04x}") for code in _controls(ranges)]
    return one_of(options)


def _has(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _controls(ranges: Ranges) -> Iterator[int]:
    return (code for code in range(0x20) if _has(ranges, code))


def _written(expression: Expression, character: Callable[[Ranges], str]) -> str:
    match expression:
        case Chars(ranges=ranges):
            return character(ranges)
        case InOrder(parts=parts):
            return " ".join(f"({_written(part, character)})" for part in parts) or EMPTY
        case OneOf(options=options):
            return one_of([_written(option, character) for option in options])
        case Repeat(part=part, least=least, most=most):
            return repeated(_written(part, character), least, most)
