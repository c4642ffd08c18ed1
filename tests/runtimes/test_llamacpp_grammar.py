"""Shapes as llguidance reads them: written down purely, and enforced by the real engine on the demo model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fluid_server.errors import InvalidRequest
from fluid_server.runtimes.llamacpp_grammar import counts, leaves, obeyed, probe, to_lark
from fluid_server.runtimes.llamacpp_refusals import refusal
from fluid_server.shapes import AnyText, Choice, Const, Grammar, JSONSchema, Regex, Sequence, Shape, Tag, Tagged
from fluid_server.types import Sampling
from tests.runtimes.llamacpp import Desk

pytest.importorskip("xllamacpp", reason="xllamacpp has no wheel for this platform")

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "n": {"anyOf": [{"$ref": "#/$defs/node"}, {"enum": ["x"]}]}},
            "required": ["v", "n"],
            "additionalProperties": False,
        }
    },
}


def call(name: str) -> Tag:
    begin = f'<tool_call>\n{{"name": "{name}", "arguments": '
    return Tag(begin, JSONSchema({"type": "object"}), "}\n</tool_call>")


TOOLS = Tagged((call("get_weather"), call("set_timer")), ("<tool_call>",))


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.driver.close()


def whole(text: str) -> list[str | int]:
    return [text]


def marked(text: str) -> list[str | int]:
    """A vocabulary in which <s> is the special token 5."""
    before, found, after = text.partition("<s>")
    return [before, 5, *marked(after)] if found else [text]


# --- written down ------------------------------------------------------------------------------------------


def test_regular_neighbours_are_one_terminal() -> None:
    lark = to_lark(Sequence((Const("a"), Choice((Const("b"), Const(""))), Regex("c*"))), whole)
    assert '"a" ("b")? G' in lark
    assert lark.startswith("%llguidance {}\nstart: main\n")


def test_a_special_token_is_named_by_its_id_wherever_its_text_stands() -> None:
    lark = to_lark(Tag("<s>x", AnyText(), "<s>"), marked)
    assert "main: <[5]> T0 <[5]>" in lark
    assert 'T0: "x" /(?s:.*)/' in lark


def test_a_tag_ends_at_the_first_place_where_its_end_stands() -> None:
    assert 'lazy0[lazy]: "<t>" /(?s:.*)/ "</t>"' in to_lark(Tag("<t>", AnyText(), "</t>"), whole)


def test_a_probe_is_the_same_grammar_behind_a_sentinel() -> None:
    lark = to_lark(Const("a"), whole)
    assert probe(lark).count("main") == lark.count("main")
    assert obeyed("zq")
    assert not obeyed("")
    assert not obeyed("Once")


def test_what_a_user_wrote_is_found_in_every_corner_of_a_shape() -> None:
    shape = Choice((Sequence((Tag("a", Regex("x"), "b"), Const("c"))), TOOLS, Grammar("")))
    assert [type(leaf) for leaf in leaves(shape)] == [Regex, JSONSchema, JSONSchema, Grammar]


def test_the_part_that_the_engine_does_not_take_is_told() -> None:
    shape = Sequence((Regex("a"), Grammar("start: b", "lark")))
    assert "Lark" in refusal(shape, lambda leaf: isinstance(leaf, Regex)).message
    assert "together" in refusal(shape, lambda leaf: True).message


# --- enforced ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        (Const("yes / é🦊\n\t\x01"), "yes / é🦊\n\t\x01"),
        (Choice((Const("no"), Const("note"), Const("north"))), "no|note|north"),
        (Regex(r"^\d{3}-[a-z/]{2}$"), r"\d{3}-[a-z/]{2}"),
        (Sequence((Const("a"), Regex("[a-z]{0,3}"), Const("z"))), "a[a-z]{0,3}z"),
        (Grammar('root ::= item{2} "."\nitem ::= [a-c]{2} | "x"\n'), r"([a-c]{2}|x){2}\."),
        (Sequence((Const("<<"), Grammar('root ::= "(" root ")" | [a-z]'), Const(">>"))), r"<<\(*[a-z]\)*>>"),
        (Grammar('start: "a" FOO\nFOO: /[0-9]{2}/ "!"\n', "lark"), r"a\d\d!"),
        (Tag("<think>\n", Regex("[a-z]{3}"), "</think>"), "<think>\n[a-z]{3}</think>"),
        (Sequence((Regex(r"\n{0,2}"), JSONSchema({"type": "boolean"}))), r"\n{0,2}(true|false)"),
    ],
    ids=str,
)
def test_the_answer_is_what_the_shape_says(desk: Desk, shape: Shape, pattern: str) -> None:
    heard = desk.ask(shape=shape)
    assert re.fullmatch(pattern, heard.text)
    assert heard.finish == "stop"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("schema", [PERSON, TREE, {}], ids=["person", "tree", "any"])
def test_hot_json_parses_unless_the_limit_cut_it(desk: Desk, schema: dict[str, Any], seed: int) -> None:
    hot = Sampling(temperature=1.9, seed=seed)
    heard = desk.ask(sampling=hot, shape=JSONSchema(schema), max_tokens=400)
    if heard.finish == "stop":
        json.loads(heard.text)
    assert not re.search(r"\s\s|\d{16}", heard.text)


def test_a_thought_ends_where_its_closing_stands_and_json_follows(desk: Desk) -> None:
    thought = Sequence((Tag("<think>", AnyText(), "</think>"), Regex(r"\n{0,2}")))
    shape = Sequence((Choice((thought, Const(""))), JSONSchema({"type": "boolean"})))
    heard = desk.ask(shape=shape, logit_bias={desk.driver.encode("</think>", special=False)[0]: 20})
    assert re.fullmatch(r"<think>(?s:.*?)</think>\n{0,2}(true|false)", heard.text)


def test_free_text_stays_free_until_a_trigger_and_then_a_tool_must_be_called(desk: Desk) -> None:
    plain = desk.ask("What is the capital of France?", shape=TOOLS)
    assert plain.text == "The capital of France is Paris."
    called = desk.ask("What is the weather in Paris?", shape=TOOLS)
    assert called.text.startswith('<tool_call>\n{"name": "get_weather", "arguments": {')


def test_at_least_one_begins_with_a_call_and_stop_after_first_ends_with_it(desk: Desk) -> None:
    one = Tagged(TOOLS.tags, TOOLS.triggers, at_least_one=True, stop_after_first=True)
    heard = desk.ask("What is the capital of France?", shape=one, max_tokens=300)
    assert re.fullmatch(
        r'<tool_call>\n\{"name": "(get_weather|set_timer)", "arguments": .*\}\n</tool_call>', heard.text
    )
    assert heard.finish == "stop"


def test_a_special_token_in_a_shape_is_that_token_and_is_left_in_where_it_is_marked(desk: Desk) -> None:
    shape = Tag("<|im_start|>", Regex("[a-z]{2}"), "!")
    assert re.fullmatch("[a-z]{2}!", desk.ask(shape=shape).text)
    kept = desk.ask(shape=shape, marks=frozenset({"<|im_start|>"})).text
    assert re.fullmatch(r"<\|im_start\|>[a-z]{2}!", kept)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (JSONSchema({"type": "object", "properties": {"a": {"format": "nope", "type": "string"}}}), "'format' 'nope'"),
        (JSONSchema({"not": {}}), "'not'"),
        (Regex("(?=a)b"), "look-ahead"),
        (Grammar("root ::= foo"), "'foo' is not defined in line 1"),
        (Grammar("start: foo", "lark"), "Lark grammar cannot be used"),
        (Tag("<t>", Grammar("start: foo", "lark"), "</t>"), "Lark grammar cannot be used"),
    ],
    ids=str,
)
def test_what_cannot_be_enforced_is_refused_and_nothing_is_generated(desk: Desk, shape: Shape, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(reason)) as caught:
        desk.ask(shape=shape)
    assert caught.value.param == "response_format"
    assert desk.ask("What is the capital of France?").text == "The capital of France is Paris."


def test_a_shape_ends_the_answer_even_with_ignore_eos_and_a_ban_on_all_it_needs(desk: Desk) -> None:
    banned = dict.fromkeys(range(2048), -100.0)
    assert desk.ask(shape=Const("ab"), ignore_eos=True, logit_bias=banned).text == "ab"


def test_large_schemas_are_taken(desk: Desk) -> None:
    many = {f"p{number}": {"type": "boolean"} for number in range(200)}
    heard = desk.ask(shape=JSONSchema({"type": "object", "properties": many, "additionalProperties": False}))
    assert heard.text.startswith("{")
    listed = desk.ask(shape=JSONSchema({"enum": [f"value {number}" for number in range(1000)]}))
    assert json.loads(listed.text).startswith("value ")


def test_counts_are_written_as_llguidance_reads_them() -> None:
    lark = 'start: "~ 3" /~ 4/ A ~ 1..2 B~3 // ~ 5\nC: /a/ & ~/b/'
    assert counts(lark) == 'start: "~ 3" /~ 4/ A{1,2} B{3} // ~ 5\nC: /a/ & ~/b/'
