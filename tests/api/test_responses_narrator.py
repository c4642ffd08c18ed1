"""Events become a response and what is told of it: purely."""

from __future__ import annotations

from typing import Any

import pytest

from fluid_server.api.responses_stream import Narrator, Wire
from fluid_server.errors import FluidError, InvalidRequest, QueueFull, StoreFailed, WorkerDied
from fluid_server.types import ChoiceEnd, Done, Event, ReasoningPiece, TextPiece, TokenLogprob, ToolPiece, Usage

HEAD = {"id": "resp_1", "status": "in_progress", "output": []}
CALL = ToolPiece(0, 0, id="call_1", name="f")
OTHER = ToolPiece(0, 1, id="call_2", name="sql", custom=True)


def told(*events: Event, reason: str = "stop", **wishes: Any) -> tuple[list[Wire], dict[str, Any]]:
    """What is told of an answer, event by event, and the response that it ends with."""
    narrator = Narrator(HEAD, **wishes)
    wires = [
        wire for event in [*events, ChoiceEnd(0, reason), Done(Usage(5, 3, 2, 0, 1))] for wire in narrator.take([event])
    ]
    return wires, narrator.response


def kinds(wires: list[Wire]) -> list[str]:
    return [wire["type"].removeprefix("response.") for wire in wires]


def texts(response: dict[str, Any]) -> list[str]:
    """The output's items: what each says, after the first letter of its type."""
    found = []
    for item in response["output"]:
        text = item.get("arguments", item.get("input"))
        found.append(f"{item['type'][0]} {text if text is not None else item['content'][0]['text']}")
    return found


def test_a_text_is_told_in_openai_s_order() -> None:
    wires, response = told(TextPiece(0, "Hel"), TextPiece(0, "lo"))
    assert kinds(wires) == [
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [wire["delta"] for wire in wires if "delta" in wire] == ["Hel", "lo"]
    assert wires[0]["item"]["content"] == []
    assert wires[-1]["response"] == response
    assert texts(response) == ["m Hello"]


def test_reasoning_text_and_calls_follow_each_other() -> None:
    wires, response = told(
        ReasoningPiece(0, "hm"), TextPiece(0, "Hello"), CALL, ToolPiece(0, 0, "{}"), OTHER, ToolPiece(0, 1, "a")
    )
    assert texts(response) == ["r hm", "m Hello", "f {}", "c a"]
    assert kinds(wires)[:5] == [
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done",
    ]  # fmt: skip
    assert [wire["output_index"] for wire in wires if wire["type"].endswith("item.done")] == [0, 1, 2, 3]
    assert kinds(wires)[-7:-1] == [
        "function_call_arguments.done", "output_item.done", "output_item.added",
        "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
    ]  # fmt: skip


def test_white_space_between_items_makes_no_message() -> None:
    _, response = told(TextPiece(0, "\n"), CALL, ToolPiece(0, 0, "{}"), TextPiece(0, "\n\n"), OTHER)
    assert texts(response) == ["f {}", "c "]


def test_white_space_before_a_text_stays() -> None:
    wires, response = told(TextPiece(0, "\n"), TextPiece(0, " a"))
    assert texts(response) == ["m \n a"]
    assert [wire["delta"] for wire in wires if "delta" in wire] == ["\n a"]


@pytest.mark.parametrize(("pieces", "expected"), [([], ""), ([TextPiece(0, " ")], " ")], ids=str)
def test_an_answer_of_nothing_is_an_empty_message(pieces: list[Event], expected: str) -> None:
    wires, response = told(*pieces)
    assert texts(response) == [f"m {expected}"]
    assert kinds(wires)[-1] == "completed"


@pytest.mark.parametrize("last", [TextPiece(0, "a"), ReasoningPiece(0, "a"), CALL], ids=lambda one: type(one).__name__)
def test_what_the_limit_cuts_is_incomplete(last: Event) -> None:
    wires, response = told(ReasoningPiece(0, "hm"), TextPiece(0, "b"), last, reason="length")
    assert kinds(wires)[-2:] == ["output_item.done", "incomplete"]
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "completed"
    assert response["output"][-1]["status"] == "incomplete"


def test_usage_is_told_at_the_end() -> None:
    assert told(TextPiece(0, "a"))[1]["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 8,
    }


def test_log_probabilities_are_given_where_they_are_wanted() -> None:
    other = TokenLogprob(2, "b", float("-inf"), b"b")
    token = TokenLogprob(1, "a", -0.5, b"a", (TokenLogprob(1, "a", -0.5, b"a"), other))
    wires, response = told(TextPiece(0, "a", (token,)), top=2)
    (known,) = response["output"][0]["content"][0]["logprobs"]
    assert (known["token"], known["bytes"], known["logprob"]) == ("a", [97], -0.5)
    assert [one["logprob"] for one in known["top_logprobs"]] == [-0.5, -9999.0]
    assert wires[2]["logprobs"][0]["top_logprobs"][1] == {"token": "b", "logprob": -9999.0}
    assert told(TextPiece(0, "a", (token,)))[1]["output"][0]["content"][0]["logprobs"] == []


def test_sealed_reasoning_is_there_once_it_is_whole() -> None:
    wires, response = told(ReasoningPiece(0, "hm"), TextPiece(0, "a"), seals=True)
    assert "encrypted_content" not in wires[0]["item"]
    assert response["output"][0]["encrypted_content"].startswith("fluid.1.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WorkerDied("It died."), "server_error"),
        (QueueFull("Full."), "rate_limit_exceeded"),
        (InvalidRequest("No.", param="input"), "invalid_prompt"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_failure_is_told_then_the_response_as_far_as_it_came(error: FluidError, code: str) -> None:
    narrator = Narrator(HEAD)
    narrator.take([TextPiece(0, "Hel")])
    first, last = narrator.failed(error)
    assert first == {"type": "error", "code": error.code, "message": error.message, "param": error.param}
    assert last["response"]["error"] == {"code": code, "message": error.message}
    assert last["response"]["status"] == "failed"
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert texts(last["response"]) == ["m Hel"]


def test_a_cancelled_response_keeps_what_was_said() -> None:
    narrator = Narrator(HEAD)
    narrator.take([TextPiece(0, "Hel")])
    (last,) = narrator.cancelled()
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
    assert texts(narrator.response) == ["m Hel"]


def test_a_response_that_ended_well_can_fail_still() -> None:
    narrator = Narrator(HEAD)
    narrator.take([TextPiece(0, "Hello"), ChoiceEnd(0, "stop"), Done(Usage())])
    *_, last = narrator.failed(StoreFailed("It could not be kept."))
    assert (last["response"]["status"], last["response"]["completed_at"]) == ("failed", None)
    assert texts(last["response"]) == ["m Hello"]
