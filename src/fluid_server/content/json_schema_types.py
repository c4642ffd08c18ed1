"""The words of JSON schemas, type by type: whether each is well formed, and whether they contradict each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fluid_server.content.json_schema_words import (
    ANNOTATIONS,
    BY_TYPE,
    COMBINING,
    FORMATS,
    KNOWN,
    LISTED,
    TYPES,
    Schema,
)
from fluid_server.content.regex import lengths, parse_regex

MOST_ITEMS = 10_000
MOST_CHARACTERS = 1_000_000
LARGEST_NUMBER = 10**18
FINEST = 9  # digits behind the point of a bound or a step
MOST_RESIDUES = 100  # a grammar for multiples counts remainders; those of 10 come free


class Bad(ValueError):
    """What is wrong, and where: a path in the schema such as ``properties/name``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers that a schema allows: on a grid of ``digits`` behind the point, all as whole multiples of it.

    None is no bound. ``step`` is what they must be a multiple of; 1 is every number of the grid.
    """

    digits: int
    low: int | None
    high: int | None
    step: int = 1


def span_of(schema: Schema, *, whole: bool) -> Span | None:
    """The numbers that a schema allows, whole ones or all; None where every number is."""
    words = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    given = {word: Fraction(str(schema[word])) for word in words if word in schema}
    if not given:
        return None
    step = given.pop("multipleOf", None)
    digits = 0 if whole else _digits(step) if step is not None else max(6, *map(_digits, given.values()))
    grid = 10**digits
    multiple = 1 if step is None else step * grid
    if isinstance(multiple, Fraction):  # of whole numbers, those that are multiples of 2.5 are those of 5
        multiple = multiple.numerator
    lows = [math.ceil(given[word] * grid) for word in ("minimum",) if word in given]
    lows += [math.floor(given[word] * grid) + 1 for word in ("exclusiveMinimum",) if word in given]
    highs = [math.floor(given[word] * grid) for word in ("maximum",) if word in given]
    highs += [math.ceil(given[word] * grid) - 1 for word in ("exclusiveMaximum",) if word in given]
    return Span(digits, max(lows, default=None), min(highs, default=None), multiple)


def _digits(number: Fraction) -> int:
    """Digits behind the point of a decimal number, up to one more than FINEST."""
    return next((count for count in range(FINEST + 1) if (number * 10**count).denominator == 1), FINEST + 1)


def check_words(schema: Schema, path: str) -> None:
    """Errors: Bad for a word that is not enforced, is malformed, or contradicts another."""
    for word in schema:
        if word not in KNOWN and not str(word).startswith("x-"):
            raise Bad(path, f"'{word}' is not enforced by any runtime. Leave it out.")
    _check_type(schema, path)
    _check_combination(schema, path)
    _check_object(schema, path)
    _check_array(schema, path)
    _check_string(schema, path)
    _check_number(schema, path)


def _check_type(schema: Schema, path: str) -> None:
    named = schema.get("type", "object")
    kinds = named if isinstance(named, list) and named else [named]
    for kind in kinds:
        if kind not in TYPES:
            raise Bad(path, f"'type' must be one or several of {', '.join(TYPES)}, not {kind!r}.")
    for kind, words in BY_TYPE.items():
        if "type" in schema and kind not in kinds and not (kind == "number" and "integer" in kinds):
            left = words - frozenset().union(*(BY_TYPE[one] for one in kinds))
            if stray := sorted(left & schema.keys()):
                raise Bad(path, f"'{stray[0]}' says nothing about type {named!r}. Leave it out, or correct the type.")


def _check_combination(schema: Schema, path: str) -> None:
    for word in (*COMBINING, *LISTED):
        if word not in schema:
            continue
        beside = schema.keys() - ANNOTATIONS - {word}
        if word != "$ref":
            beside -= {"type"}
        if stray := sorted(name for name in beside if name in KNOWN):
            raise Bad(path, f"'{stray[0]}' beside '{word}' is not enforced. Put it into the schemas of '{word}'.")


def _check_object(schema: Schema, path: str) -> None:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping):
        raise Bad(path, "'properties' must be an object.")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise Bad(path, "'required' must be a list of names.")
    for name in required:
        allowed = properties.get(name, schema.get("additionalProperties", True))
        if allowed is False:
            raise Bad(path, f"the property {name!r} is required and not allowed.")


def _check_array(schema: Schema, path: str) -> None:
    least, most = _bounds(schema, "minItems", "maxItems", MOST_ITEMS, path)
    first = schema.get("prefixItems", [])
    if not isinstance(first, list):
        raise Bad(path, "'prefixItems' must be a list of schemas.")
    if isinstance(schema.get("items"), list):
        raise Bad(path, "'items' must be a schema. A list of them is called 'prefixItems'.")
    if schema.get("items") is False and least > len(first):
        raise Bad(path, "'minItems' asks for more items than are allowed.")
    if most is not None and most < least:
        raise Bad(path, "'minItems' is larger than 'maxItems'.")


def _check_string(schema: Schema, path: str) -> None:
    least, most = _bounds(schema, "minLength", "maxLength", MOST_CHARACTERS, path)
    if most is not None and most < least:
        raise Bad(path, "'minLength' is larger than 'maxLength'.")
    if "format" in schema and schema["format"] not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise Bad(path, f"the 'format' {schema['format']!r} is not enforced. Known are: {known}.")
    if "format" in schema and (other := [word for word in ("pattern", "minLength", "maxLength") if word in schema]):
        raise Bad(path, f"'{other[0]}' beside 'format' is not enforced. Keep one of the two.")
    if "pattern" in schema:
        _check_pattern(schema, least, most, path)


def _check_pattern(schema: Schema, least: int, most: int | None, path: str) -> None:
    pattern = schema["pattern"]
    if not isinstance(pattern, str):
        raise Bad(path, "'pattern' must be a text.")
    try:
        branches = parse_regex(pattern)
    except ValueError as error:
        raise Bad(path, f"the 'pattern' {pattern!r} cannot be used: {error}.") from error
    for branch in branches:
        fewest, longest = lengths(branch.body)
        open_ended = longest is None or not (branch.from_start and branch.to_end)
        if fewest < least or (most is not None and (open_ended or (longest or 0) > most)):
            raise Bad(
                path,
                "'minLength' and 'maxLength' are not enforced beside a 'pattern' that allows for other lengths. "
                "Write the lengths into the pattern, between ^ and $.",
            )


def _bounds(schema: Schema, low: str, high: str, limit: int, path: str) -> tuple[int, int | None]:
    for word in (low, high):
        value = schema.get(word, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Bad(path, f"'{word}' must be a whole number from 0.")
        if value > limit:
            raise Bad(path, f"'{word}' is over the limit of {limit}.")
    return schema.get(low, 0), schema.get(high)


def _check_number(schema: Schema, path: str) -> None:
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
        value = schema.get(word, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Bad(path, f"'{word}' must be a number.")
        if abs(value) > LARGEST_NUMBER or _digits(Fraction(str(value))) > FINEST:
            raise Bad(
                path, f"'{word}' is over {LARGEST_NUMBER:.0e}, or has more than {FINEST} digits behind the point."
            )
    if schema.get("multipleOf", 1) <= 0:
        raise Bad(path, "'multipleOf' must be larger than 0.")
    kinds = schema.get("type", "number")
    for kind in ("integer", "number"):
        if kind in kinds and (span := span_of(schema, whole=kind == "integer")) is not None:
            _check_span(span, kind, path)


def _check_span(span: Span, kind: str, path: str) -> None:
    counted = span.step
    for prime in (2, 5):
        while counted % prime == 0:
            counted //= prime
    if counted > MOST_RESIDUES:
        raise Bad(path, "its 'multipleOf' is too large to be enforced. Leave it out.")
    if span.low is None or span.high is None:
        return
    if -(-span.low // span.step) * span.step > span.high:
        raise Bad(path, f"no {kind} lies within its bounds.")
