"""Regular expressions become EBNF: for plain text, and for the inside of a JSON string, where some must be escaped."""

from __future__ import annotations

from collections.abc import Callable

from fluid_server.content.ebnf import (
    EMPTY,
    JSON_ESCAPE,
    PLAIN,
    Rules,
    character_class,
    class_units,
    counted,
    literal,
    one_of,
    star,
)
from fluid_server.content.regex import ANY_CHARACTER, Branch, Chars, Expression, InOrder, OneOf, Ranges, Repeat, without

ESCAPED = {0x22: r"\"", 0x5C: r"\\", 0x0A: r"\n", 0x09: r"\t", 0x0D: r"\r", 0x08: r"\b", 0x0C: r"\f"}
NOT_PLAIN = without(ANY_CHARACTER.ranges, PLAIN)

Units = Callable[[Ranges], list[str]]


def regex_grammar(branches: tuple[Branch, ...]) -> str:
    """The grammar of what a regular expression matches as a whole."""
    rules = Rules()
    return rules.written(regex_text(rules, branches))


def regex_text(rules: Rules, branches: tuple[Branch, ...]) -> str:
    """Plain text that the expression matches as a whole."""
    return one_of([_written(rules, branch.body, class_units) for branch in branches])


def regex_in_json(rules: Rules, branches: tuple[Branch, ...]) -> str:
    """The inside of a JSON string in which the expression matches somewhere, as JSON schemas read a ``pattern``."""
    return one_of([_searched(rules, branch) for branch in branches])


def json_units(rules: Rules) -> list[str]:
    """Any character as it stands in a JSON string: one that is plain, or an escape."""
    return [character_class(PLAIN), rules.once("escape", JSON_ESCAPE)]


def _searched(rules: Rules, branch: Branch) -> str:
    anything = star(json_units(rules))
    body = _written(rules, branch.body, _json_character)
    return " ".join(["" if branch.from_start else anything, body, "" if branch.to_end else anything]).strip()


def _json_character(ranges: Ranges) -> list[str]:
    """The ways to write a character of these into a JSON string: escaped where it must be."""
    units = [literal(escape) for code, escape in ESCAPED.items() if _has(ranges, code)]
    if plain := without(ranges, NOT_PLAIN):
        units = [*class_units(plain), *units]
    return units or [literal(f"\\u{code:04x}") for code in range(0x20) if _has(ranges, code)]


def _has(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _written(rules: Rules, expression: Expression, units: Units) -> str:
    match expression:
        case Chars(ranges=ranges):
            return one_of(units(ranges))
        case InOrder(parts=parts):
            return " ".join(f"({_written(rules, part, units)})" for part in parts) or EMPTY
        case OneOf(options=options):
            return one_of([_written(rules, option, units) for option in options])
        case Repeat(part=Chars(ranges=ranges), least=least, most=most):
            return counted(rules, units(ranges), least, most)
        case Repeat(part=part, least=least, most=most):
            return counted(rules, [f"({_written(rules, part, units)})"], least, most)
