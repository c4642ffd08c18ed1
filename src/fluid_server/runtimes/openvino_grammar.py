"""What an answer must look like, as xgrammar's structural tag: the JSON that OpenVINO GenAI hands on to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeGuard

from fluid_server.content.ebnf import EMPTY, Rules, literal, one_of
from fluid_server.content.json_grammar import json_expression
from fluid_server.content.json_schema import check_regex, check_schema
from fluid_server.content.regex import parse_regex
from fluid_server.content.regex_grammar import regex_text
from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.openvino_lark import lark_expression
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
SEPARATOR = "\n"  # between calls, where nothing else may stand there


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
        case Sequence() | Choice():
            return _combined(shape)
        case Tag():
            return _tag(shape)
        case Tagged():
            return _tagged(shape)
        case AnyText():
            return {"type": "any_text"}
        case Grammar(definition=definition, syntax="ebnf"):
            return _grammar(_checked(definition))
        case _:
            return _written(lambda rules: _expression(rules, shape))


def _combined(shape: Sequence | Choice) -> dict[str, Any]:
    if isinstance(shape, Sequence):
        return {"type": "sequence", "elements": [_format(part) for part in shape.parts]}
    return {"type": "or", "elements": _options(shape.options)}


def _written(expression: Callable[[Rules], str]) -> dict[str, Any]:
    rules = Rules()
    return _grammar(rules.written(expression(rules)))


def _grammar(ebnf: str) -> dict[str, Any]:
    return {"type": "grammar", "grammar": ebnf}


def _expression(rules: Rules, shape: Shape) -> str:
    """A shape that ends by itself, as part of a grammar of ours."""
    match shape:
        case Const(text=text):
            return literal(text)
        case JSONSchema(schema=schema):
            check_schema(schema, param=SHAPE_PARAM, strict=False)
            return json_expression(rules, schema)
        case Regex(pattern=pattern):
            check_regex(pattern, param=SHAPE_PARAM)
            return regex_text(rules, parse_regex(pattern))
        case Grammar(definition=definition, syntax="lark"):
            return lark_expression(rules, _checked(definition))
        case Tag(begin=begin, content=content, end=end):
            return rules.add(f"{literal(begin)} {_expression(rules, content)} {literal(end)}", "tag")
        case _:
            return _combination(rules, shape)


def _combination(rules: Rules, shape: Shape) -> str:
    match shape:
        case Sequence(parts=parts):
            return " ".join([_expression(rules, part) for part in parts]) or EMPTY
        case Choice(options=options):
            return one_of([_expression(rules, option) for option in options])
        case _:
            raise InvalidRequest(
                "OpenVINO cannot enforce this format beside these tools. Use one of the two.", param=SHAPE_PARAM
            )


def _options(options: tuple[Shape, ...]) -> list[dict[str, Any]]:
    """xgrammar takes either only options that end by themselves, or only such as run on.

    Calls that must come are made to end where others do: they follow each other with a line end between.
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
    def written(rules: Rules) -> str:
        call = rules.add(one_of([_expression(rules, tag) for tag in tagged.tags]), "call")
        return f"{call} ({literal(SEPARATOR)} {call})*"

    return _written(written)


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
