"""Why llama.cpp did not take a grammar: llguidance's reason goes nowhere, so the part at fault is tried by itself."""

from __future__ import annotations

from collections.abc import Callable

from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.llamacpp_grammar import SHAPE_PARAM, leaves
from fluid_server.shapes import Grammar, JSONSchema, Regex, Shape

MOST_TRIES = 30  # each is a token or two of the model's time


def refusal(shape: Shape, compiles: Callable[[Shape], bool]) -> InvalidRequest:
    """What to tell about a shape that does not compile. ``compiles``: whether the engine takes one by itself."""
    for _, leaf in zip(range(MOST_TRIES), leaves(shape), strict=False):
        if not compiles(leaf):
            return InvalidRequest(_reason(leaf), param=SHAPE_PARAM)
    return InvalidRequest(
        "llama.cpp does not take these schemas and grammars together: make them fewer or smaller.", param=SHAPE_PARAM
    )


def _reason(leaf: JSONSchema | Regex | Grammar) -> str:
    match leaf:
        case Regex(pattern=pattern):
            return f"The regular expression '{pattern[:200]}' is too large for llama.cpp: make it simpler."
        case Grammar(syntax="lark"):
            return (
                "The Lark grammar cannot be used: it must begin at 'start', define all that it names, and stay within "
                "what llguidance takes of Lark (see its syntax.md)."
            )
        case Grammar():
            return "The grammar is too large for llama.cpp: make it simpler."
        case JSONSchema():
            return "The JSON schema is too large for llama.cpp: make it smaller."
