"""What an answer must look like, as xgrammar's structural tag: the JSON that OpenVINO GenAI hands on to it."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

from fluid_server.content.json_schema import check_regex, check_schema
from fluid_server.content.regex import parse_regex
from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.openvino_ebnf import Rules, literal
from fluid_server.runtimes.openvino_json import json_grammar
from fluid_server.runtimes.openvino_lark import ebnf_from_lark
from fluid_server.runtimes.openvino_regex import regex_text
from fluid_server.shapes import (
    AnyText,
    Choice,
    Const,
    Grammar,
    JSONSchema,
    Regex,
    Sequence,
    Shape,
    Tag,
    Tagged,
)

SHAPE_PARAM = "response_format"
LONGEST_GRAMMAR = 65_536  # characters


def structural_tag(shape: Shape) -> str:
    """The structural tag of a shape. Errors: InvalidRequest that says what of it cannot be enforced."""
    return json.dumps({"type": "structural_tag", "format": _format(shape)})


def has_free_text(shape: Shape) -> bool:
    """Whether a part of the answer is not described."""
    match shape:
        case Sequence(parts=parts) | Choice(options=parts):
            return any(has_free_text(part) for part in parts)
        case Tag(content=content):
            return has_free_text(content)
        case _:
            return isinstance(shape, AnyText | Tagged)


def _format(shape: Shape) -> dict[str, Any]:
    match shape:
        case Sequence(parts=parts):
            return {"type": "sequence", "elements": [_format(part) for part in parts]}
        case Choice(options=options):
            return {"type": "or", "elements": _options(options)}
        case Tag():
            return _tag(shape)
        case Tagged():
            return _tagged(shape)
        case AnyText():
            return {"type": "any_text"}
        case _:
            return _leaf(shape)


def _leaf(shape: Const | JSONSchema | Regex | Grammar) -> dict[str, Any]:
    if isinstance(shape, Const) and shape.text:
        return {"type": "const_string", "value": shape.text}
    return {"type": "grammar", "grammar": _ebnf(shape)}


def _ebnf(shape: Const | JSONSchema | Regex | Grammar) -> str:
    match shape:
        case Const(text=text):
            return f"root ::= {literal(text)}"
        case JSONSchema(schema=schema):
            check_schema(schema, param=SHAPE_PARAM, strict=False)
            return json_grammar(schema)
        case Regex(pattern=pattern):
            check_regex(pattern, param=SHAPE_PARAM)
            rules = Rules()
            return rules.written(regex_text(rules, parse_regex(pattern)))
        case Grammar(definition=definition, syntax=syntax):
            return _checked(definition) if syntax == "ebnf" else ebnf_from_lark(_checked(definition))


def _options(options: tuple[Shape, ...]) -> list[dict[str, Any]]:
    """xgrammar takes either only options that end by themselves, or only such as run on.

    Tags that must come are made to end where others do: they then follow each other with nothing but line ends between.
    """
    if all(_runs_on(option) for option in options):
        return [_format(option) for option in options]
    return [_one_after_another(one) if _must_come(one) else _format(one) for one in options]


def _runs_on(shape: Shape) -> bool:
    """Whether free text may follow to the answer's end."""
    match shape:
        case Sequence(parts=parts):
            return bool(parts) and _runs_on(parts[-1])
        case Choice(options=options):
            return all(_runs_on(option) for option in options)
        case Tagged(stop_after_first=stops):
            return not stops
        case _:
            return isinstance(shape, AnyText)


def _must_come(shape: Shape) -> TypeGuard[Tagged]:
    return isinstance(shape, Tagged) and shape.at_least_one and not shape.stop_after_first


def _one_after_another(tagged: Tagged) -> dict[str, Any]:
    return {
        "type": "tags_with_separator",
        "tags": [_tag(tag) for tag in tagged.tags],
        "separator": "\n",
        "at_least_one": True,
        "stop_after_first": False,
    }


def _tagged(tagged: Tagged) -> dict[str, Any]:
    return {
        "type": "triggered_tags",
        "triggers": list(tagged.triggers),
        "tags": [_tag(tag) for tag in tagged.tags],
        "at_least_one": tagged.at_least_one,
        "stop_after_first": tagged.stop_after_first,
    }


def _tag(tag: Tag) -> dict[str, Any]:
    return {"type": "tag", "begin": tag.begin, "content": _format(tag.content), "end": tag.end}


def _checked(definition: str) -> str:
    if len(definition) > LONGEST_GRAMMAR:
        raise InvalidRequest(
            f"The grammar has {len(definition)} characters, and the limit is {LONGEST_GRAMMAR}.", param=SHAPE_PARAM
        )
    return definition
