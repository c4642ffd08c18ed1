"""What every text runtime owes to a shape and to log probabilities: real engines on the demo models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from fluid_server.errors import FluidError, InvalidRequest
from fluid_server.runtimes.text import TextRuntime
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
from fluid_server.types import ChoiceEnd, Event, ReasoningPiece, Sampling, TextPiece
from tests.runtimes.engines import RUNTIMES, Numbers, answers, ask, loaded, text_of, usage_of

HOT = Sampling(temperature=1.5, seed=7)
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 40}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Any] = {
    "person": PERSON,
    "numbers": {
        "type": "array",
        "items": {"type": "number", "minimum": -1, "maximum": 1},
        "minItems": 2,
        "maxItems": 4,
    },
    "choice": {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"]},
    "either": {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^[a-z]{2,5}$"}]},
    "date": {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}, "required": ["on"]},
    "optional": {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "boolean"}}},
    "tree": {
        "$defs": {
            "n": {
                "type": "object",
                "properties": {"k": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 1}},
            }
        },
        "$ref": "#/$defs/n",
    },
}
CALL = Tag('<tool_call>\n{"name": "f", "arguments": ', JSONSchema(SCHEMAS["choice"]), "}\n</tool_call>")


@pytest.fixture(scope="module", params=[one for one in RUNTIMES if one != "openvino-one-place"])
def runtime(request: pytest.FixtureRequest) -> Iterator[TextRuntime]:
    with loaded(request.param) as made:
        yield made


def shaped(shape: Shape, sampling: Sampling = HOT, **fields: Any) -> Any:
    return ask("Tell me something.", shape=shape, sampling=sampling, **{"max_tokens": 300, **fields})


def said(runtime: TextRuntime, shape: Shape, **fields: Any) -> str:
    (events,) = answers(runtime, shaped(shape, **fields))
    assert ChoiceEnd(0, "stop") in events, events
    return text_of(events)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_answer_that_was_not_cut_fits_its_schema(runtime: TextRuntime, name: str) -> None:
    asked = [shaped(JSONSchema(SCHEMAS[name]), Sampling(temperature=1.9, seed=seed)) for seed in range(8)]
    heard = answers(runtime, *asked)
    whole = [events for events in heard if ChoiceEnd(0, "stop") in events]
    assert whole
    for events in whole:
        jsonschema.validate(json.loads(text_of(events)), SCHEMAS[name])
    for events in heard:
        assert events in whole or ChoiceEnd(0, "length") in events


def test_any_object_is_an_object(runtime: TextRuntime) -> None:
    heard = answers(
        runtime, *(shaped(JSONSchema({"type": "object"}), Sampling(temperature=1.9, seed=n)) for n in range(12))
    )
    texts = [text_of(events) for events in heard if ChoiceEnd(0, "stop") in events]
    assert texts
    assert all(isinstance(json.loads(text), dict) for text in texts)


def test_there_is_next_to_no_white_space_between_the_parts(runtime: TextRuntime) -> None:
    text = said(runtime, JSONSchema(SCHEMAS["numbers"]))
    assert re.search(r"\s\s|\n", text) is None


def test_an_expression_is_matched_as_a_whole(runtime: TextRuntime) -> None:
    assert re.fullmatch("[A-F]{3}-[0-9]{2,4}", said(runtime, Regex("[A-F]{3}-[0-9]{2,4}")))


def test_one_of_several_texts_is_said(runtime: TextRuntime) -> None:
    assert said(runtime, Choice((Const("yes"), Const("no"), Const("")))) in ("yes", "no", "")


def test_parts_follow_each_other(runtime: TextRuntime) -> None:
    text = said(runtime, Sequence((Const("x="), Regex("[0-9]"), Const(";"), JSONSchema({"type": "boolean"}))))
    assert re.fullmatch("x=[0-9];(true|false)", text)


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar('root ::= "(" root ")" | [a-c]{1,2}'),
        Grammar('start: "(" start ")" | LETTER ~ 1..2\nLETTER: "a".."c"', "lark"),
    ],
    ids=["ebnf", "lark"],
)
def test_a_grammar_is_kept_to(runtime: TextRuntime, grammar: Grammar) -> None:
    text = said(runtime, grammar)
    inner = text.strip("()")
    assert re.fullmatch("[a-c]{1,2}", inner)
    assert text.count("(") == text.count(")")


def test_free_text_ends_where_its_tag_does(runtime: TextRuntime) -> None:
    shape = Sequence((Tag("[", AnyText(), "."), Regex(r"\n{0,2}"), JSONSchema({"type": "boolean"})))
    text = said(runtime, shape, sampling=Sampling(temperature=0.0))
    assert re.fullmatch(r"\[[^.]*\.\n{0,2}(true|false)", text)


def test_reasoning_in_a_shape_is_read_as_reasoning(runtime: TextRuntime) -> None:
    shape = Sequence((Tag("<think>", Const("hm"), "</think>"), JSONSchema({"type": "boolean"})))
    (events,) = answers(runtime, shaped(shape))
    assert "".join(event.text for event in events if isinstance(event, ReasoningPiece)) == "hm"
    assert text_of(events) in ("true", "false")


def test_a_call_that_must_come_comes_first(runtime: TextRuntime) -> None:
    text = said(runtime, Tagged((CALL,), ("<tool_call>",), at_least_one=True, stop_after_first=True))
    assert re.fullmatch(r'<tool_call>\n\{"name": "f", "arguments": \{"colour": ?"(red|green)"\}\}\n</tool_call>', text)


def test_a_call_that_may_come_is_whole_where_it_comes(runtime: TextRuntime) -> None:
    prompt = "What is the weather in Paris?"
    request = ask(prompt, shape=Tagged((CALL,), ("<tool_call>",)), max_tokens=200)
    (events,) = answers(runtime, request)
    if "<tool_call>" in (text := text_of(events)):
        assert '<tool_call>\n{"name": "f", "arguments": {"colour":' in text


def test_calls_or_an_object_can_be_left_to_the_model(runtime: TextRuntime) -> None:
    calls = Tagged((CALL,), ("<tool_call>",), at_least_one=True)
    text = said(runtime, Choice((calls, JSONSchema(SCHEMAS["choice"]))), sampling=Sampling(temperature=0.0))
    assert text.startswith(("<tool_call>", '{"colour":'))


@pytest.mark.parametrize(
    "shape",
    [
        Grammar("root ::= nothing_of_that_name"),
        Grammar("root = x"),
        Regex("(unclosed"),
        Regex("(?=ahead)"),
        JSONSchema({"type": "nonsense"}),
        JSONSchema({"not": {"type": "string"}}),
    ],
    ids=str,
)
def test_what_cannot_be_enforced_fails_its_request_alone(runtime: TextRuntime, shape: Shape) -> None:
    bad, good = answers(runtime, shaped(shape), ask("What is the capital of France?"))
    assert isinstance(bad[-1], InvalidRequest)
    assert text_of(good) == "The capital of France is Paris."
    assert json.loads(said(runtime, JSONSchema({"type": "boolean"}))) in (True, False)


def test_shaped_and_free_answers_go_side_by_side(runtime: TextRuntime) -> None:
    requests = [shaped(Regex("[0-9]{4}"), Sampling(temperature=1.5, seed=n)) for n in range(4)]
    free = [ask(f"What is {number} + {number + 1}?") for number in range(4)]
    heard = [text_of(events) for events in answers(runtime, *requests, *free)]
    assert all(re.fullmatch("[0-9]{4}", text) for text in heard[:4])
    assert heard[4:] == [f"{number} + {number + 1} = {2 * number + 1}" for number in range(4)]


def test_choices_of_one_request_are_each_held_to_its_shape(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, shaped(Regex("[a-j]{10}[0-9]{3}"), n=3))
    for choice in range(3):
        assert re.fullmatch("[a-j]{10}[0-9]{3}", text_of(events, choice))


def test_a_cut_answer_says_so(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, shaped(Regex("[0-9]{200}"), max_tokens=10))
    assert ChoiceEnd(0, "length") in events
    assert usage_of(events).completion_tokens == 10


def test_a_shaped_request_can_be_cancelled_at_once(runtime: TextRuntime) -> None:
    number = Numbers.next()
    runtime.add(number, shaped(Regex("[a-z]{500}")))
    runtime.step()
    runtime.cancel(number)
    while runtime.busy:
        runtime.step()
    assert re.fullmatch("[0-9]{2}", said(runtime, Regex("[0-9]{2}")))


def logprobs_of(events: list[Event | FluidError]) -> list[Any]:
    return [one for event in events if isinstance(event, TextPiece) for one in event.logprobs]


def test_every_token_of_the_text_has_its_probability(runtime: TextRuntime, request: pytest.FixtureRequest) -> None:
    if "stateful" in request.node.callspec.id:
        pytest.skip("the stateful pipeline tells none: see test_openvino_llm")
    (events,) = answers(runtime, ask("What is the capital of France?", logprobs=0))
    told = logprobs_of(events)
    assert "".join(one.text for one in told) == text_of(events) == "The capital of France is Paris."
    assert b"".join(one.data for one in told).decode() == text_of(events)
    assert all(-0.1 < one.logprob <= 0 for one in told)
    assert [runtime.decode([one.token]) for one in told] == [one.text for one in told]


def test_without_being_asked_no_probabilities_are_told(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, ask("What is the capital of France?"))
    assert logprobs_of(events) == []
