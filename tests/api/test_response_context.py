"""Items become messages, and what goes first when there is no room: purely."""

from __future__ import annotations

from typing import Any

import pytest

from fluid_server.api.response_context import (
    check_calls,
    check_ids,
    droppable,
    messages_of,
    without,
    without_old_reasoning,
)
from fluid_server.api.schemas.responses_items import kept_items, sealed, unsealed
from fluid_server.errors import InvalidRequest
from fluid_server.types import Message


def said(role: str, *texts: str) -> dict[str, Any]:
    name = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": name, "text": text} for text in texts]}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def called(call_id: str, name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", **fields}


def returned(call_id: str, output: Any = "1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def roles(messages: tuple[Message, ...]) -> str:
    """The messages' roles by their first letters."""
    return "".join(message.role[0] for message in messages)


# --- messages ---------------------------------------------------------------------------------------------


def test_what_the_model_said_in_one_go_is_one_message() -> None:
    (message,) = messages_of([thought("hm"), said("assistant", "Hello", "!"), called("1"), called("2", "g")])
    assert (message.role, message.content) == ("assistant", "Hello!")
    assert message.fields["reasoning_content"] == "hm"
    assert [call["function"]["name"] for call in message.fields["tool_calls"]] == ["f", "g"]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([said("assistant", "a"), said("assistant", "b")], "aa"),
        ([called("1"), said("assistant", "b")], "aa"),
        ([called("1"), returned("1"), called("2"), returned("2")], "atat"),
        ([called("1"), called("2"), returned("1"), returned("2")], "att"),
        ([said("assistant", "a"), thought("b"), said("assistant", "c")], "aa"),
        ([thought("a"), said("user", "b")], "au"),
    ],
    ids=str,
)
def test_a_new_message_begins_where_the_old_one_cannot_go_on(items: list[Any], expected: str) -> None:
    assert roles(messages_of(items)) == expected


def test_a_result_names_its_call() -> None:
    (message,) = messages_of(
        [returned("call_1", [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}])]
    )
    assert message == Message(role="tool", content="ab", fields={"tool_call_id": "call_1"})


def test_a_custom_call_is_a_function_with_one_text() -> None:
    (message,) = messages_of([{"type": "custom_tool_call", "call_id": "1", "name": "sql", "input": 'a "b" é'}])
    assert message.fields["tool_calls"][0]["function"]["arguments"] == '{"input": "a \\"b\\" é"}'


def test_instructions_stand_first_and_share_the_place_of_a_system_message() -> None:
    assert roles(messages_of([said("user", "a")], "Be short.")) == "su"
    first, *_ = messages_of([said("developer", "Be kind."), said("user", "a")], "Be short.")
    assert (first.role, first.content) == ("system", "Be short.\n\nBe kind.")


def test_reasoning_before_the_last_question_can_be_left_out() -> None:
    items = [said("user", "a"), thought("b"), said("assistant", "c"), said("user", "d"), thought("e"), called("1")]
    assert without_old_reasoning(items) == [items[0], *items[2:]]


# --- what goes together -------------------------------------------------------------------------------------


def test_a_result_without_its_call_is_refused_by_its_id() -> None:
    with pytest.raises(InvalidRequest, match="call_9") as caught:
        check_calls([returned("call_9"), called("call_9")])
    assert caught.value.param == "input"


def test_a_call_without_its_result_is_refused_unless_it_was_cut() -> None:
    with pytest.raises(InvalidRequest, match="call_2"):
        check_calls([called("call_1"), called("call_2"), returned("call_1")])
    check_calls([called("call_2", status="incomplete"), said("user", "go on")])


def test_an_item_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="msg_1"):
        check_ids([{"id": "msg_1"}, {"id": "msg_2"}, {"id": "msg_1"}])


def test_sealed_reasoning_comes_back_whole() -> None:
    assert unsealed(sealed("Zürich\n東京"), "input[0]") == "Zürich\n東京"


@pytest.mark.parametrize("content", ["", "gAAAAABo", "fluid.1.!", "fluid.1.e30=", "fluid.1.Ilx1ZDgwMCI=", "fluid.1.é"])
def test_what_was_sealed_elsewhere_is_refused(content: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        unsealed(content, "input[0].encrypted_content")
    assert (caught.value.param, caught.value.code) == ("input[0].encrypted_content", "invalid_encrypted_content")


def test_a_text_is_the_user_s_message() -> None:
    (item,) = kept_items("Hi", "input")
    assert isinstance(item, dict)
    assert (item["role"], item["content"]) == ("user", [{"type": "input_text", "text": "Hi"}])


# --- what goes first ----------------------------------------------------------------------------------------


def talk(letters: str) -> list[Message]:
    """Messages by their roles' first letters, each with its place as text."""
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [Message(role=names[letter], content=str(place)) for place, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("u", []),
        ("su", []),
        ("suauau", [(1, 3), (3, 5)]),
        ("uatau", [(0, 4)]),
        ("uau" + "atatat", [(0, 2), (3, 5), (5, 7)]),
        ("sau", [(1, 2)]),
        ("sa", []),
        ("", []),
        ("usua", [(0, 2)]),
        ("uuu", [(0, 1), (1, 2)]),
    ],
)
def test_whole_turns_go_then_older_rounds_of_the_last(letters: str, expected: list[tuple[int, int]]) -> None:
    assert droppable(talk(letters)) == [range(*edges) for edges in expected]


@pytest.mark.parametrize("letters", ["suatatauau", "auatat", "uauatatata"])
def test_what_is_left_keeps_the_last_question_and_calls_with_their_results(letters: str) -> None:
    messages = talk(letters)
    parts = droppable(messages)
    for count in range(len(parts) + 1):
        left = without(messages, parts[:count])
        assert letters.count("s") == roles(left).count("s")
        assert roles(left).rpartition("u")[1] == "u"
        assert "ut" not in roles(left)
        assert not roles(left).lstrip("s").startswith("t")
