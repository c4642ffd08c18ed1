"""JSON schemas become EBNF, the same for every engine.

The engines could do it by themselves, but OpenVINO GenAI gives no way to bound xgrammar's white space, in which weak
models loop until their limit, llguidance none to bound numbers, and each ignores or refuses other words of a schema.
Here white space is one optional blank behind ``:`` and ``,``; properties come in the order of the schema; further ones
come only where the schema speaks of them. Every value that comes out fits the schema, and every reader can hold it:
numbers have at most 15 digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fluid_server.content.ebnf import EMPTY, PLAIN, Rules, character_class, counted, literal, one_of, star
from fluid_server.content.json_numbers import INTEGER, NUMBER, NumberWriter
from fluid_server.content.json_schema_types import span_of
from fluid_server.content.json_schema_words import FORMATS, TYPES, Schema, listed, options_of, resolve, types_of
from fluid_server.content.regex import Ranges, parse_regex, without
from fluid_server.content.regex_grammar import json_units, regex_in_json, regex_text

COMMA = '"," " "?'
COLON = '":" " "?'
ANY = "value"


def json_expression(rules: Rules, schema: Any) -> str:
    """An expression for all compact JSON that fits a schema which `content.json_schema` has let pass."""
    writer = _Writer(rules, schema)
    root = writer.value(schema)
    writer.follow()
    return root


def json_grammar(schema: Any) -> str:
    """The grammar of all compact JSON that fits a schema which `content.json_schema` has let pass."""
    rules = Rules()
    return rules.written(json_expression(rules, schema))


class _Writer:
    """One schema on its way into rules."""

    def __init__(self, rules: Rules, root: Any) -> None:
        self.rules = rules
        self._root = root
        self._references: dict[str, str] = {}
        self._unfollowed: list[str] = []
        self._of_kind: Mapping[str, Callable[[Schema], str]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": self._number,
            "integer": self._integer,
            "boolean": lambda schema: '("true" | "false")',
            "null": lambda schema: '"null"',
        }

    def value(self, schema: Any) -> str:
        """An expression for the values that fit a schema."""
        if not isinstance(schema, Mapping):
            return self._any()
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        if (options := options_of(schema)) is not None:
            return one_of([self.value(option) for option in options if option is not False])
        if (values := listed(schema)) is not None:
            return one_of([literal(_json(value)) for value in values])
        kinds = types_of(schema)
        if set(kinds) == set(TYPES):
            return self._any()
        return one_of([self._of_kind[kind](schema) for kind in kinds])

    def _reference(self, reference: str) -> str:
        if reference not in self._references:
            self._references[reference] = self.rules.name("ref")
            self._unfollowed.append(reference)
        return self._references[reference]

    def follow(self) -> None:
        """Write the rules for all that was referred to; not on the spot, since a chain of references may be long."""
        while self._unfollowed:
            reference = self._unfollowed.pop()
            self.rules.define(self._references[reference], self.value(resolve(self._root, reference)))

    # --- any value ---------------------------------------------------------------------------------------

    def _any(self) -> str:
        if not self.rules.has(ANY):
            self.rules.define(ANY, "")
            pair = self.rules.add(f"{self._text()} {COLON} {ANY}", "pair")
            options = [
                f'"{{" ({pair} ({COMMA} {pair})*)? "}}"',
                f'"[" ({ANY} ({COMMA} {ANY})*)? "]"',
                self._text(),
                NUMBER,
                '"true"',
                '"false"',
                '"null"',
            ]
            self.rules.define(ANY, one_of(options))
        return ANY

    def _text(self) -> str:
        return self.rules.once("text", f'"\\"" {star(json_units(self.rules))} "\\""')

    # --- texts and numbers -------------------------------------------------------------------------------

    def _string(self, schema: Schema) -> str:
        if "format" in schema:
            text = regex_text(self.rules, parse_regex(FORMATS[schema["format"]]))
            return self.rules.once(f"format_{schema['format'].replace('-', '_')}", f'"\\"" {text} "\\""')
        if "pattern" in schema:
            text = regex_in_json(self.rules, parse_regex(schema["pattern"]))
            return self.rules.add(f'"\\"" {text} "\\""', "pattern")
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if (least, most) == (0, None):
            return self._text()
        return self.rules.add(f'"\\"" {counted(self.rules, json_units(self.rules), least, most)} "\\""', "text")

    def _number(self, schema: Schema) -> str:
        span = span_of(schema, whole=False)
        return NUMBER if span is None else NumberWriter(self.rules, span).written()

    def _integer(self, schema: Schema) -> str:
        span = span_of(schema, whole=True)
        return INTEGER if span is None else NumberWriter(self.rules, span).written()

    # --- arrays ------------------------------------------------------------------------------------------

    def _array(self, schema: Schema) -> str:
        first: Sequence[Any] = schema.get("prefixItems", ())
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        rest = self._rest_of_array(schema, len(first), least, most)
        for index in reversed(range(len(first))):
            if most is not None and index >= most:
                continue
            item = f"{COMMA if index else EMPTY} {self.value(first[index])} {rest}"
            rest = self.rules.add(item if index < least else f"({item})?", "items")
        return f'("[" {rest} "]")'

    def _rest_of_array(self, schema: Schema, before: int, least: int, most: int | None) -> str:
        """What follows the first items that have schemas of their own: nothing, unless the schema speaks of it."""
        fewest, longest = max(0, least - before), None if most is None else most - before
        item = schema.get("items", before == 0 or fewest > 0)
        if item is False or (longest is not None and longest <= 0):
            return EMPTY
        one = self.rules.add(self.value(item), "item")
        if before:
            return counted(self.rules, [f"{COMMA} {one}"], fewest, longest)
        further = None if longest is None else longest - 1
        more = counted(self.rules, [f"{COMMA} {one}"], max(0, fewest - 1), further)
        return f"{one} {more}" if fewest else f"({one} {more})?"

    # --- objects -----------------------------------------------------------------------------------------

    def _object(self, schema: Schema) -> str:
        required = list(dict.fromkeys(schema.get("required", ())))
        properties = dict(schema.get("properties", {}))
        others = schema.get("additionalProperties", True)
        properties |= {name: others for name in required if name not in properties}
        allowed = {name: one for name, one in properties.items() if one is not False}
        speaks = "additionalProperties" in schema or not allowed
        first, more = self._others(others, list(properties)) if speaks and others is not False else (EMPTY, EMPTY)
        for name, one in reversed(allowed.items()):
            pair = self.rules.add(f"{literal(_json(name))} {COLON} {self.value(one)}", "property")
            begun, further = f"{pair} {more}", f"{COMMA} {pair} {more}"
            if name not in required:
                begun, further = one_of([begun, first]), one_of([further, more])
            first, more = self.rules.add(begun, "first"), self.rules.add(further, "more")
        return f'("{{" {first} "}}")'

    def _others(self, schema: Any, names: Sequence[str]) -> tuple[str, str]:
        """Further properties, where none has come yet and where some have."""
        pair = self.rules.add(f'"\\"" {self._other_name(names)} {COLON} {self.value(schema)}', "pair")
        more = self.rules.add(f"({COMMA} {pair})*", "pairs")
        return self.rules.add(f"({pair} {more})?", "pairs"), more

    def _other_name(self, names: Sequence[str]) -> str:
        """A name and its closing quote, of plain characters, that is none of these: no property comes twice."""
        if not names:
            return f'{character_class(PLAIN)}* "\\""'
        beginnings = {name[:length] for name in names for length in range(len(name) + 1)}
        rules = {beginning: self.rules.name("name") for beginning in sorted(beginnings)}
        followers: dict[str, list[str]] = {beginning: [] for beginning in beginnings}
        for beginning in beginnings - {""}:
            followers[beginning[:-1]].append(beginning[-1])
        for beginning, rule in rules.items():
            known: Ranges = tuple((ord(one), ord(one)) for one in sorted(followers[beginning]))
            options = [f'{character_class(without(PLAIN, known))} {character_class(PLAIN)}* "\\""']
            options += [f"{literal(one)} {rules[beginning + one]}" for one in followers[beginning]]
            if beginning not in names:
                options.append('"\\""')
            self.rules.define(rule, one_of(options))
        return rules[""]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
