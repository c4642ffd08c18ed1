"""Pieces of an engine become events: stop strings, reasoning, calls and log probabilities together."""

from __future__ import annotations

from typing import Any

import pytest

from fluid_server.content.dialects import DIALECTS
from fluid_server.runtimes.text_answer import Answer
from fluid_server.runtimes.text_plan import Piece
from fluid_server.runtimes.text_prompt import Prompt
from fluid_server.types import Event, ReasoningPiece, TextPiece, TokenLogprob, Tool, ToolPiece, ToolUse

CALL = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>'
USE = ToolUse(tools=(Tool(name="f"),))


def answer(use: ToolUse | None = None, **fields: Any) -> Answer:
    fields.setdefault("read", lambda: DIALECTS["hermes"].reader(use, thinking=fields.get("thinking", False)))
    return Answer(0, Prompt(ids=[1], **fields), use)


def tokens(*texts: str) -> Piece:
    logprobs = tuple(TokenLogprob(number, text, -0.1 * number) for number, text in enumerate(texts))
    return Piece(1, "".join(texts), len(texts), "stop", logprobs=logprobs)


def told(reader: Answer, *pieces: Piece) -> tuple[list[Event], str | None]:
    events: list[Event] = []
    for piece in pieces:
        found, finish = reader.take(piece)
        events += found
        if finish:
            return events, finish
    return events, None


def listed(events: list[Event]) -> list[str]:
    return [one.text for event in events if isinstance(event, TextPiece) for one in event.logprobs]


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextPiece))


def test_text_that_ends_is_stopped() -> None:
    events, finish = told(answer(), Piece(1, "Hello", 1), Piece(1, " there", 1, "stop"))
    assert (said(events), finish) == ("Hello there", "stop")


def test_a_stop_string_cuts_the_text_and_its_tokens() -> None:
    events, finish = told(answer(stops=("STOP",)), tokens("a ", "b S", "TO", "P c", "d"))
    assert (said(events), finish) == ("a b ", "stop")
    assert listed(events) == ["a "]  # the second token is in part the stop string's


def test_each_token_of_the_text_is_accounted_for() -> None:
    events, _ = told(answer(), tokens("Hel", "lo", " <", "b>"))
    assert (said(events), listed(events)) == ("Hello <b>", ["Hel", "lo", " <", "b>"])


def test_parts_of_one_character_come_together() -> None:
    events, _ = told(answer(), tokens("a", "", "", "🦊", "b"))
    assert [len(event.logprobs) for event in events if isinstance(event, TextPiece)] == [1, 3, 1]


def test_tokens_of_reasoning_and_marks_are_none_of_the_text() -> None:
    events, _ = told(answer(), tokens("<think>", "hm", "</think>", "\n\n", "yes", "!"))
    assert (said(events), listed(events)) == ("yes!", ["yes", "!"])
    assert [event.text for event in events if isinstance(event, ReasoningPiece)] == ["hm"]


def test_reasoning_is_counted_in_tokens() -> None:
    reader = answer(thinking=True)
    told(reader, Piece(1, "hm", 1), Piece(1, " hm", 1), Piece(1, "</think>", 1), Piece(1, "yes", 1, "stop"))
    assert reader.reasoning_tokens == 3  # the mark that ends it included


def test_an_answer_that_calls_ends_with_that_reason() -> None:
    events, finish = told(answer(USE), Piece(1, "Look: " + CALL, 9, "stop"))
    calls = [event for event in events if isinstance(event, ToolPiece)]
    assert finish == "tool_calls"
    assert said(events) == "Look:"
    assert (calls[0].name, "".join(call.arguments for call in calls)) == ("f", '{"x": 1}')


def test_a_call_that_the_limit_cut_ends_with_length() -> None:
    _, finish = told(answer(USE), Piece(1, CALL[:30], 9, "length"))
    assert finish == "length"


def test_after_one_call_it_ends_where_only_one_is_wanted() -> None:
    use = ToolUse(tools=USE.tools, parallel=False)
    events, finish = told(answer(use), Piece(1, CALL, 9), Piece(1, CALL, 9))
    assert finish == "tool_calls"
    assert len([event for event in events if isinstance(event, ToolPiece) and event.id]) == 1


def test_ids_of_calls_are_unique() -> None:
    events, _ = told(answer(USE), Piece(1, CALL + CALL, 9, "stop"))
    ids = [event.id for event in events if isinstance(event, ToolPiece) and event.id]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(("text", "broken"), [('{"a": 1}', False), ('{"a": ', True), ("Hello", True), ('"\x03"', True)])
def test_what_was_to_be_json_and_is_not_is_told(text: str, broken: bool) -> None:
    reader = answer(json=True)
    told(reader, Piece(1, text, 1, "stop"))
    assert reader.is_broken is broken


def test_a_stop_string_may_cut_json() -> None:
    reader = answer(json=True, stops=("}",))
    assert told(reader, Piece(1, '{"a": 1}', 1))[1] == "stop"
    assert not reader.is_broken


def test_a_call_that_a_stop_string_cuts_is_none() -> None:
    _, finish = told(answer(USE, stops=("1",)), Piece(1, CALL, 9))
    assert finish == "stop"
