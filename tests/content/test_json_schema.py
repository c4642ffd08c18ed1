from __future__ import annotations

from typing import Any

import pytest

from fluid_server.content.json_schema import check_schema
from fluid_server.errors import InvalidRequest


def check(schema: object, *, strict: bool = False) -> None:
    check_schema(schema, param="response_format", strict=strict)


def thing(**words: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string"}}, **words}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


TREE = {
    "$defs": {"n": {"type": "object", "properties": {"k": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}},
    "$ref": "#/$defs/n",
}
TAGGED = [{"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in ("cat", "dog")]
GOOD: dict[str, Any] = {
    "anything": {},
    "true": True,
    "object": thing(required=["a"], additionalProperties=False),
    "annotations": thing(title="T", description="d", default={}, examples=[{}], deprecated=True, readOnly=True),
    "extension": thing(**{"x-order": 3}),
    "recursion": TREE,
    "recursion to the top": thing(properties={"a": {"$ref": "#"}}),
    "a chain of references": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}, "$ref": "#/$defs/a"},
    "escaped reference": {"$defs": {"a/b": {"type": "null"}}, "$ref": "#/$defs/a~1b"},
    "several types": {"type": ["string", "null"], "maxLength": 3},
    "oneOf of other types": {"oneOf": [{"type": "null"}, {"type": "string"}]},
    "oneOf told apart": {"oneOf": TAGGED},
    "allOf of one": {"allOf": [{"type": "null"}], "description": "d"},
    "type beside anyOf": {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "enum": {"enum": ["a", 1, None, {"x": [1]}]},
    "bounds": {"type": "number", "minimum": 0, "exclusiveMaximum": 0.5},
    "multiples": {"type": "number", "multipleOf": 0.25, "minimum": -1},
    "fixed lengths beside a pattern": {"type": "string", "pattern": "^[a-z]{2,4}$", "minLength": 2, "maxLength": 4},
    "tuple": {"type": "array", "prefixItems": [{"type": "null"}], "items": False, "maxItems": 1},
    "format": {"type": "string", "format": "date-time"},
    "64 deep": nested(63),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_enforced_passes(name: str) -> None:
    check(GOOD[name])


# schema → what the message must say
BAD: list[tuple[object, str]] = [
    ("text", "must be an object"),
    ({"not": {"type": "string"}}, "'not' is not enforced"),
    (thing(properties={"b": {"if": {}}}), "at #/properties/b, 'if' is not enforced"),
    ({"type": "array", "uniqueItems": True}, "'uniqueItems' is not enforced"),
    (thing(patternProperties={}), "'patternProperties'"),
    ({"type": "strange"}, "not 'strange'"),
    ({"type": "string", "minimum": 3}, "'minimum' says nothing about type 'string'"),
    ({"$ref": "http://elsewhere/schema"}, "leads nowhere"),
    ({"$ref": "#/$defs/missing"}, "leads nowhere"),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "refers to itself"),
    ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {}]}}, "$ref": "#/$defs/a"}, "refers to itself"),
    (thing(properties={"a": {"$ref": "#"}}, required=["a"]), "never comes to an end"),
    (thing(required=["b"], additionalProperties=False), "'b' is required and not allowed"),
    ({"enum": []}, "at least one value"),
    ({"type": "string", "enum": [1]}, "none of the values"),
    ({"type": "string", "enum": ["a"], "maxLength": 3}, "'maxLength' beside 'enum'"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {}}, "type": "null"}, "'type' beside '$ref'"),
    ({"anyOf": []}, "at least one schema"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "Use 'anyOf'"),
    ({"oneOf": [{}, {"type": "null"}]}, "Use 'anyOf'"),
    ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, "Write them as one schema"),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "no integer lies within"),
    ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "no integer lies within"),
    ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 6}, "no integer lies within"),
    ({"type": "integer", "multipleOf": 1013}, "'multipleOf' is too large"),
    ({"type": "number", "minimum": True}, "'minimum' must be a number"),
    ({"type": "number", "multipleOf": 0}, "larger than 0"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "'minLength' is larger"),
    ({"type": "string", "maxLength": -1}, "whole number"),
    ({"type": "string", "pattern": "(?=a)b"}, "look-ahead"),
    ({"type": "string", "pattern": "^a+$", "maxLength": 3}, "into the pattern"),
    ({"type": "string", "format": "regex"}, "'format' 'regex' is not enforced"),
    ({"type": "array", "minItems": 2, "maxItems": 1}, "'minItems' is larger"),
    ({"type": "array", "items": [{}]}, "'prefixItems'"),
    ({"type": "array", "prefixItems": [{}], "items": False, "minItems": 2}, "more items than are allowed"),
    (nested(70), "deeper than 64"),
    (nested(3000), "deeper than 64"),
    ({"description": "x" * 300_000}, "300019 characters"),
    ({"anyOf": [{"type": "null"}] * 6000}, "more than 5000 schemas"),
    ({"default": float("nan"), "const": object()}, "no JSON"),
]


@pytest.mark.parametrize(("schema", "told"), BAD, ids=[told for _, told in BAD])
def test_what_is_not_is_refused_by_name(schema: object, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(schema)
    assert told in caught.value.message
    assert caught.value.param == "response_format"


def test_a_strict_schema_is_closed_and_complete() -> None:
    inner = thing(required=["a"], additionalProperties=False)
    check(thing(properties={"a": inner}, required=["a"], additionalProperties=False), strict=True)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "array", "items": {}}, "must be of type 'object'"),
        ({"anyOf": [thing()]}, "must be of type 'object'"),
        (thing(required=["a"]), "'additionalProperties': false"),
        (thing(additionalProperties=False), "'a' is not"),
        (thing(properties={"a": thing()}, required=["a"], additionalProperties=False), "at #/properties/a"),
        (
            thing(
                properties={"a": {"$ref": "#/$defs/d"}},
                required=["a"],
                additionalProperties=False,
                **{"$defs": {"d": thing()}},
            ),
            "at #/$defs/d",
        ),
    ],
)
def test_strict_schemas_keep_openais_rules(schema: object, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(schema, strict=True)
    assert told in caught.value.message


def test_a_long_chain_of_references_is_followed_without_end_of_stack() -> None:
    names = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(2000)}
    check({"$defs": {**names, "d2000": {"type": "null"}}, "$ref": "#/$defs/d0"})


def test_many_alternatives_do_not_take_long() -> None:
    nest: dict[str, Any] = {"oneOf": [{"$ref": f"#/$defs/d{number}"} for number in range(30)]}
    with pytest.raises(InvalidRequest, match="Use 'anyOf'"):
        check({"$defs": {f"d{number}": {"anyOf": [{}] * 30} for number in range(30)}, **nest})
