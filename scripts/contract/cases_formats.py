"""Chat completions: answers of a form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.contract.asking import (
    AS_JSON,
    CAPITAL,
    NAMES,
    PERSON,
    TOOLS,
    WEATHER_QUESTION,
    Group,
    an_object,
    chat,
    json_schema,
    told,
)
from scripts.contract.case import Ask, Case, Reply
from scripts.contract.checks import all_fit, all_of, chose, each_choice, ended, fits, same
from scripts.contract.checks_stream import streamed
from scripts.contract.checks_tools import called

FORMATS = Group("response_format")
SCHEMAS = Group("json_schema")
OBJECT = {"type": "json_object"}
ANY_OBJECT = {"type": "object"}
SHORT = {"type": "string", "maxLength": 12}
MOOD = an_object(mood={"enum": ["good", "bad", None]}, sure={"const": True})
LIST = an_object(
    numbers={"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 2, "maxItems": 3}
)
NESTED = an_object(person=an_object(name=SHORT, pets={"type": "array", "items": an_object(kind=SHORT), "maxItems": 1}))
EITHER = an_object(value={"anyOf": [{"type": "integer", "minimum": 0, "maximum": 99}, {"type": "null"}]})
REFERRED = {
    "type": "object",
    "properties": {"first": {"$ref": "#/$defs/word"}, "second": {"$ref": "#/$defs/word"}},
    "required": ["first", "second"],
    "additionalProperties": False,
    "$defs": {"word": {"type": "string", "pattern": "^[a-z]{2,6}$"}},
}
RECURSIVE = {
    **an_object(chain={"$ref": "#/$defs/node"}),
    "$defs": {
        "node": an_object(
            value={"type": "integer", "minimum": 0, "maximum": 9},
            next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        )
    },
}
DATED = an_object(day={"type": "string", "format": "date"})
OPTIONAL = {**an_object(name=SHORT, age={"type": "integer"}), "required": ["name"]}
NEGATED = an_object(word={"type": "string", "not": {"enum": ["x"]}, "maxLength": 4})


def one_of(schema: dict[str, Any], message: str = AS_JSON, *, strict: bool = True, **fields: Any) -> Ask:
    """A chat whose answer is of a schema."""
    return chat(message, response_format=json_schema(schema, strict=strict), max_tokens=96, **fields)


def schema_case(name: str, proves: str, schema: dict[str, Any], *, strict: bool = True) -> Case:
    """An answer at a high temperature is of this schema, unless the limit cuts it."""
    ask = one_of(schema, strict=strict, temperature=1.2, seed=2)
    return SCHEMAS.case(name, proves, ask, check=all_of(ended("stop", "length"), fits(schema)), about="response_format")


def _json_or_call(replies: Sequence[Reply]) -> str:
    return called(NAMES, text=True)(replies) and fits(PERSON)(replies)


FORMED: tuple[Case, ...] = (
    FORMATS.case(
        "response_format of text", "any text", chat(), chat(response_format={"type": "text"}), check=same,
        about="response_format",
    ),
    FORMATS.case(
        "json_object", "an object", chat(AS_JSON, response_format=OBJECT),
        check=all_of(ended("stop"), fits(ANY_OBJECT)), about="response_format",
    ),
    FORMATS.case(
        "json_object × a question that wants none", "an object all the same",
        chat(told("system", "Answer in JSON."), response_format=OBJECT),
        check=all_of(ended("stop", "length"), fits(ANY_OBJECT)), about="response_format",
    ),
    FORMATS.case(
        "json_object × stream", "an object in pieces", chat(AS_JSON, response_format=OBJECT, stream=True),
        check=all_of(streamed, ended("stop"), fits(ANY_OBJECT)), about="response_format",
    ),
    FORMATS.case(
        "json_object × n", "an object in each choice", chat(AS_JSON, response_format=OBJECT, n=2),
        check=all_of(chose(2), fits(ANY_OBJECT)), about="response_format n",
    ),
    FORMATS.case(
        "response_format × max_tokens", "JSON that is cut ends with length",
        chat(AS_JSON, response_format=json_schema(PERSON), max_tokens=4), check=ended("length"),
        about="response_format max_tokens",
    ),
    FORMATS.case(
        "response_format × stop", "a stop text cuts JSON too", chat(AS_JSON, response_format=json_schema(PERSON)),
        chat(AS_JSON, response_format=json_schema(PERSON), stop="age"),
        check=each_choice(lambda one: "" if "age" not in one.text and one.finish == "stop" else "it is not cut"),
        about="response_format stop",
    ),
    FORMATS.case(
        "response_format × tools", "a call, or the JSON",
        chat(WEATHER_QUESTION, response_format=json_schema(PERSON), tools=TOOLS, max_tokens=96), check=_json_or_call,
        about="response_format tools",
    ),
    FORMATS.case(
        "response_format × tool_choice of none", "the JSON",
        chat(AS_JSON, response_format=json_schema(PERSON), tools=TOOLS, tool_choice="none", max_tokens=96),
        check=fits(PERSON), about="response_format tools tool_choice",
    ),
    FORMATS.case(
        "json_schema", "JSON of the schema", chat(AS_JSON, response_format=json_schema(PERSON)),
        check=all_of(ended("stop"), fits(PERSON)), about="response_format",
    ),
    FORMATS.case(
        "json_schema × strict", "JSON of the schema", one_of(PERSON), check=all_of(ended("stop"), fits(PERSON)),
        about="response_format",
    ),
    FORMATS.case(
        "json_schema × stream", "JSON of the schema, in pieces", one_of(PERSON, stream=True),
        check=all_of(streamed, ended("stop"), fits(PERSON)), about="response_format",
    ),
    FORMATS.case(
        "json_schema × n", "in each choice", one_of(PERSON, n=2), check=all_of(chose(2), fits(PERSON)),
        about="response_format n",
    ),
    FORMATS.case(
        "json_schema × temperature", "whatever is drawn",
        *(one_of(MOOD, "Hello", temperature=1.5, seed=seed) for seed in range(4)), check=all_fit(MOOD),
        about="response_format",
    ),
    FORMATS.case(
        "json_schema × seed", "constrained draws repeat too",
        *(one_of(PERSON, temperature=1, seed=seed) for seed in (6, 6)), check=same, about="response_format seed",
    ),
    FORMATS.case(
        "json_schema × a question that wants none", "JSON of the schema all the same", one_of(MOOD, CAPITAL),
        check=all_of(ended("stop"), fits(MOOD)), about="response_format",
    ),
    schema_case("json_schema: arrays", "items, minItems, maxItems, minimum, maximum", LIST),
    schema_case("json_schema: objects in objects", "nesting", NESTED),
    schema_case("json_schema: anyOf", "one of several", EITHER),
    schema_case("json_schema: $ref and pattern", "definitions, and a regular expression", REFERRED),
    schema_case("json_schema: recursion", "a schema that refers to itself", RECURSIVE),
    schema_case("json_schema: format", "a date", DATED),
    schema_case("json_schema: optional properties", "what is not required may be left out", OPTIONAL, strict=False),
    schema_case("json_schema: a keyword that grammars lack", "it is honoured, or refused", NEGATED, strict=False),
    FORMATS.wrong(
        "json_schema without its definition", chat(response_format={"type": "json_schema"}), about="response_format",
    ),
    FORMATS.wrong(
        "json_schema without a name", chat(response_format={"type": "json_schema", "json_schema": {"schema": PERSON}}),
        about="response_format",
    ),
    FORMATS.wrong("response_format of an unknown type", chat(response_format={"type": "xml"}), about="response_format"),
    FORMATS.wrong("response_format that is a text", chat(response_format="json"), about="response_format"),
    FORMATS.wrong(
        "json_schema of an unknown type", chat(response_format=json_schema({"type": "objekt"})),
        about="response_format",
    ),
    FORMATS.wrong(
        "json_schema with a broken pattern",
        chat(response_format=json_schema(an_object(a={"type": "string", "pattern": "("}))), about="response_format",
    ),
    FORMATS.wrong(
        "json_schema with a reference to nothing",
        chat(response_format=json_schema(an_object(a={"$ref": "#/$defs/nothing"}))), about="response_format",
    ),
)  # fmt: skip
