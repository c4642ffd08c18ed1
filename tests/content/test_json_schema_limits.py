"""What schemas are refused before an engine sees them, whatever a client sends, and in bounded time."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from fluid_server.content.json_schema import check_schema
from fluid_server.errors import InvalidRequest

Schema = dict[str, Any]


def refusal(schema: object, *, strict: bool = False) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check_schema(schema, param="schema", strict=strict)
    return caught.value.message


@pytest.mark.parametrize(
    "option",
    [
        {"anyOf": 5},
        {"type": 5},
        {"enum": 5},
        {"type": "object", "required": 5},
        {"type": "object", "required": [[1]]},
        {"type": "object", "required": ["a"], "properties": 5},
        {"$ref": "#/$defs/odd"},
    ],
)
def test_what_is_no_schema_is_refused_before_it_is_compared(option: Schema) -> None:
    other: Schema = {"type": "object", "required": ["a"], "properties": {"a": True}}
    assert "#" in refusal({"oneOf": [other, option], "$defs": {"odd": {"anyOf": 5}}})


@pytest.mark.parametrize("unused", [5, [1], "x", {"a": 5}, {"a": {"properties": 5}}])
def test_definitions_that_nobody_uses_may_be_anything(unused: object) -> None:
    check_schema({"type": "object", "additionalProperties": False, "$defs": unused}, param="schema", strict=True)


def test_a_definition_of_a_strict_schema_is_strict() -> None:
    schema: Schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}
    schema |= {"additionalProperties": False, "$defs": {"a": {"type": "object"}}}
    assert "#/$defs/a, with 'strict'" in refusal(schema, strict=True)


def test_schemas_that_differ_by_a_value_exclude_each_other() -> None:
    kinds = [{"type": "object", "properties": {"k": {"const": f"v{n}"}}, "required": ["k"]} for n in range(150)]
    check_schema({"oneOf": kinds}, param="schema", strict=False)
    assert "cannot be excluded" in refusal({"oneOf": [*kinds, kinds[0]]})


@pytest.mark.parametrize(
    ("one", "other", "differ"), [(1, True, True), (1, 1.0, False), ([1], [2], True), ({}, {}, False)]
)
def test_values_are_compared_as_json(one: object, other: object, differ: bool) -> None:
    schema = {"oneOf": [{"const": one}, {"const": other}]}
    if differ:
        check_schema(schema, param="schema", strict=False)
    else:
        assert "cannot be excluded" in refusal(schema)


@pytest.mark.parametrize("backwards", [False, True])
def test_cycles_and_what_never_ends_are_found(backwards: bool) -> None:
    names = ["a", "b", "c"]
    nothing_between = {name: {"$ref": f"#/$defs/{names[n - 1]}"} for n, name in enumerate(names)}
    endless = {
        name: {"type": "object", "properties": {"x": target}, "required": ["x"]}
        for name, target in nothing_between.items()
    }
    for definitions, reason in ((nothing_between, "nothing between"), (endless, "never comes to an end")):
        ordered = dict(reversed(definitions.items())) if backwards else definitions
        assert reason in refusal({"$ref": "#/$defs/a", "$defs": ordered})


def fan(width: int) -> Schema:
    """Few words that stand for ``width`` to the fourth schemas."""
    layers: Schema = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * width} for n in range(4)}
    return {"oneOf": [{"$ref": "#/$defs/a0"}, {"type": "integer"}], "$defs": layers | {"a4": {"type": "string"}}}


def chain(length: int) -> Schema:
    links: Schema = {f"a{n}": {"type": "array", "items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": links | {f"a{length}": {"type": "string"}}}


def many_values(width: int, count: int) -> Schema:
    options = [{"anyOf": [{"$ref": f"#/$defs/{name}"}] * width} for name in "ab"]
    return {"oneOf": options, "$defs": {name: {"enum": [f"{name}{n}" for n in range(count)]} for name in "ab"}}


@pytest.mark.parametrize("schema", [fan(300), chain(2000), many_values(300, 900)])
def test_no_schema_takes_more_than_a_moment(schema: Schema) -> None:
    """It is checked on the event loop: an hour for one request is an hour for all."""
    began = time.process_time()
    with suppress(InvalidRequest):
        check_schema(schema, param="schema", strict=False)
    assert time.process_time() - began < 5
