"""Grammars that would overflow the stack of llama.cpp's thread are refused."""

from __future__ import annotations

import pytest

from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.llamacpp_depth import check_depth
from fluid_server.runtimes.llamacpp_request import grammar_of
from fluid_server.shapes import JSONSchema


def chain(levels: int) -> str:
    return "start: r1\n" + "\n".join(f'r{one}: "a" r{one + 1} | "b"' for one in range(1, levels)) + f"\nr{levels}: /z/"


def test_a_chain_of_rules_is_as_deep_as_it_is_long() -> None:
    check_depth(chain(98), most=100)
    with pytest.raises(InvalidRequest, match="more than 100 levels deep") as caught:
        check_depth(chain(101), most=100)
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    "lark",
    [
        'start: a | a | b\na: b b\nb: "(((((" /[(]+:x/ // a remark ((((((',
        'start: start "a" | "b"',
        "start: a\na: b\nb: a | /x/",
    ],
)
def test_what_repeats_or_is_text_is_no_depth(lark: str) -> None:
    check_depth(lark, most=5)


def test_groups_count_too() -> None:
    with pytest.raises(InvalidRequest):
        check_depth(f'start: {"(" * 9}"a"{")" * 9}', most=9)


def test_an_object_of_many_properties_is_refused_before_llama_cpp_dies_of_it() -> None:
    properties = {f"p{index}": {"type": "integer"} for index in range(1500)}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    with pytest.raises(InvalidRequest, match="split large objects"):
        grammar_of(JSONSchema(schema), lambda text: [text])
