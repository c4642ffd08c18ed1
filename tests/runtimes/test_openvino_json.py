"""Grammars of ours on the real engine: what they let a model say, and that what they let it say fits."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from fluid_server.content.json_grammar import json_grammar
from fluid_server.content.json_schema import check_schema
from tests.runtimes.grammars import babbled, ebnf_tag, says

OBJECT = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "b": {"type": "string", "minLength": 2, "maxLength": 4},
        "c": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["b"],
}
TREE = {
    "$defs": {
        "n": {
            "type": "object",
            "properties": {
                "v": {"type": "integer"},
                "k": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 2},
            },
            "required": ["v"],
        }
    },
    "$ref": "#/$defs/n",
}
FORMATS = ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
SCHEMAS: dict[str, Any] = {
    "anything": {},
    "any object": {"type": "object"},
    "object": OBJECT,
    "object with others": {**OBJECT, "additionalProperties": {"type": "null"}},
    "long text": {"type": "string", "minLength": 40, "maxLength": 100},
    "pattern": {"type": "string", "pattern": '^[a-c"\\\\]+x$'},
    "loose pattern": {"type": "string", "pattern": "^ab"},
    "tuple": {"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "maxItems": 4},
    "many items": {"type": "array", "items": {"type": "null"}, "minItems": 30, "maxItems": 160},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "quarters": {"type": "number", "multipleOf": 0.25, "minimum": -3},
    "sevens": {"type": "integer", "multipleOf": 7},
    "enum": {"enum": ["a", 1, None, {"x": [1, "y"]}, 'quote"d\n']},
    "tree": TREE,
    "some types": {"type": ["null", "boolean", "number"], "exclusiveMinimum": -1},
    **{name: {"type": "string", "format": name} for name in FORMATS},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_whatever_a_model_babbles_fits_the_schema(name: str) -> None:
    schema = SCHEMAS[name]
    check_schema(schema, param="response_format", strict=False)
    tag = ebnf_tag(json_grammar(schema))
    heard = [text for seed in range(15) if (text := babbled(tag, seed)) is not None]
    assert len(heard) > 5
    for text in heard:
        jsonschema.validate(json.loads(text), schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


# name of the schema, or one → what it must let through, what not
BORDERS: list[tuple[Any, list[str], list[str]]] = [
    ({"type": "integer", "minimum": 5, "maximum": 120}, ["5", "99", "120"], ["4", "121", "05", "5.0", "-7"]),
    ({"type": "integer", "minimum": -20, "multipleOf": 7}, ["-14", "0", "49"], ["-21", "1", "48", "-0"]),
    (
        {"type": "number", "minimum": -0.5, "exclusiveMaximum": 1.25},
        ["-0.5", "0", "1", "1.24", "1.249999", "-0.49"],
        ["-0.51", "1.25", "1.3", "2", "01", ".5", "-1"],
    ),
    ({"type": "number", "multipleOf": 0.01}, ["0.25", "3", "-1.5"], ["0.255"]),
    (OBJECT, ['{"b":"xy"}', '{"a": 1, "b": "xy", "c": [true,false]}'], ['{"a":1}', '{"b":"xy","z":1}', '{ "b":"xy"}']),
    ({"type": "object", "properties": {"ab": {}}, "additionalProperties": {"type": "null"}},
     ['{"ab":1,"a":null}', '{"abc":null,"":null}'], ['{"ab":1,"ab":null}', '{"a":1}']),
    ({"type": "array", "prefixItems": [{"type": "null"}]}, ["[]", "[null]"], ["[null,null]", "[1]"]),
    ({"type": "string", "maxLength": 2}, ['""', '"ab"', '"\\n\\u00e9"'], ['"abc"', '"\\ud800"', '"a\nb"']),
    ({"type": "string", "pattern": "b+"}, ['"abba"', '"b"'], ['"aca"', '""']),
    ({"enum": [1, "1"]}, ["1", '"1"'], ["11", "true"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), BORDERS, ids=[json.dumps(schema) for schema, _, _ in BORDERS])
def test_the_border_lies_where_the_schema_says(schema: Any, good: list[str], bad: list[str]) -> None:
    tag = ebnf_tag(json_grammar(schema))
    assert [text for text in good + bad if says(tag, text)] == good


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64, 150])
def test_long_texts_are_counted_to_the_letter(count: int) -> None:
    tag = ebnf_tag(json_grammar({"type": "string", "maxLength": count}))
    assert says(tag, f'"{"x" * count}"')
    assert not says(tag, f'"{"x" * (count + 1)}"')
    exact = ebnf_tag(json_grammar({"type": "string", "minLength": count}))
    assert says(exact, f'"{"x" * count}"')
    assert count == 0 or not says(exact, f'"{"x" * (count - 1)}"')


def test_a_long_chain_of_references_is_written_without_end_of_stack() -> None:
    names = {f"d{number}": {"anyOf": [{"$ref": f"#/$defs/d{number + 1}"}]} for number in range(2000)}
    assert json_grammar({"$defs": {**names, "d2000": {"type": "null"}}, "$ref": "#/$defs/d0"}).count("::=") > 2000
