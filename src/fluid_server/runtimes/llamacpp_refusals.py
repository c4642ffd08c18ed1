"""Why llama.cpp's grammar engine did not take a shape: it gives no reason, so the part that it refuses is sought."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.llamacpp_grammar import leaves
from fluid_server.shapes import Grammar, JSONSchema, Regex, Shape

MOST_TRIES = 60  # each is a token or two of the model's time
DEFINITIONS = ("$defs", "definitions")
BY_NAME = ("properties", "patternProperties", *DEFINITIONS)
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames")

# Whether the engine takes a shape by itself.
Compiles = Callable[[Shape], bool]


def refusal(shape: Shape, compiles: Compiles) -> InvalidRequest:
    """What to tell about a shape that does not compile: the part that is at fault, and what can be done."""
    tries = _Tries(compiles)
    for leaf in leaves(shape):
        if not tries(leaf):
            return InvalidRequest(_reason(leaf, tries), param="response_format")
    return InvalidRequest(
        "llama.cpp's grammar engine does not take this combination of schemas and grammars: make it smaller.",
        param="response_format",
    )


class _Tries:
    """Asks the engine, but not for ever: beyond the limit all is taken as fine."""

    def __init__(self, compiles: Compiles) -> None:
        self._compiles = compiles
        self._left = MOST_TRIES

    def __call__(self, shape: Shape) -> bool:
        self._left -= 1
        return self._left < 0 or self._compiles(shape)


def _reason(leaf: JSONSchema | Regex | Grammar, compiles: Compiles) -> str:
    match leaf:
        case Regex(pattern=pattern):
            return (
                f"The regular expression '{pattern[:200]}' is not supported by llama.cpp: it must be valid, without "
                "look-around, back-references, word boundaries and anchors but at its ends."
            )
        case Grammar(syntax="lark"):
            return (
                "The Lark grammar is not supported by llama.cpp: it must begin at 'start', define all that it names, "
                "and stay within llguidance's dialect of Lark."
            )
        case Grammar():
            return "The grammar is not supported by llama.cpp: it may be left-recursive or too large."
        case JSONSchema(schema=schema):
            place, keyword = _culprit(schema, schema, "", compiles)
            where = f" at {place}" if place else ""
            if keyword:
                return (
                    f"The JSON schema is not supported by llama.cpp: its keyword '{keyword}'{where} cannot be enforced."
                )
            return f"The JSON schema is not supported by llama.cpp{where}: no value may fulfil it, or it is too large."


def _culprit(
    schema: Mapping[str, Any], root: Mapping[str, Any], place: str, compiles: Compiles
) -> tuple[str, str | None]:
    """The innermost schema that does not compile, and the keyword without which it does."""
    definitions = {name: root[name] for name in DEFINITIONS if name in root}
    for step, child in _children(schema):
        if not compiles(JSONSchema({**definitions, **child})):
            return _culprit(child, root, f"{place}/{step}", compiles)
    for keyword in schema:
        rest = {name: value for name, value in schema.items() if name != keyword}
        if keyword not in DEFINITIONS and compiles(JSONSchema({**definitions, **rest})):
            return place, keyword
    return place, None


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for keyword in BY_NAME:
        if isinstance(named := schema.get(keyword), Mapping):
            yield from ((f"{keyword}/{name}", child) for name, child in named.items() if isinstance(child, Mapping))
    for keyword in LISTED:
        if isinstance(listed := schema.get(keyword), list):
            yield from (
                (f"{keyword}/{index}", child) for index, child in enumerate(listed) if isinstance(child, Mapping)
            )
    for keyword in SINGLE:
        if isinstance(child := schema.get(keyword), Mapping):
            yield keyword, child
