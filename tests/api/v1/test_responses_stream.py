"""Streamed responses and responses in the background, as the official client sees them."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import ResponseStreamEvent

from tests.front_door import ECHO, GGUF, OPENVINO, RunningServer, error_of, until

ENGINES = (OPENVINO, GGUF)
MODELS = (*ENGINES, ECHO)
PATH = "/v1/responses"
QUESTION = "What is the capital of France?"
ENDLESS: Any = {"ignore_eos": True}  # echo says it over and over again
ENDED = ("completed", "cancelled", "failed", "incomplete")


def streamed(client: openai.OpenAI, model: str, question: Any = QUESTION, **fields: Any) -> list[ResponseStreamEvent]:
    with client.responses.create(model=model, input=question, temperature=0, stream=True, **fields) as stream:
        return list(stream)


def deltas(events: list[Any], kind: str = "response.output_text.delta") -> str:
    return "".join(event.delta for event in events if event.type == kind)


def begun(client: openai.OpenAI, **fields: Any) -> str:
    """The id of an endless response in the background, of which something was said."""
    with client.responses.create(
        model=ECHO, input="a b", background=True, stream=True, extra_body=ENDLESS, **fields
    ) as stream:
        for event in stream:
            if event.type == "response.created":
                id_ = event.response.id
            if event.type == "response.output_text.delta":
                return str(id_)
    raise AssertionError("it has ended")


# --- streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_joins_to_the_whole_answer(client: openai.OpenAI, model: str) -> None:
    events = streamed(client, model)
    whole = client.responses.create(model=model, input=QUESTION, temperature=0)
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1]
    assert last.type == "response.completed"
    assert deltas(events) == whole.output_text == last.response.output_text


@pytest.mark.parametrize("model", ENGINES)
def test_reasoning_is_streamed_before_the_text(client: openai.OpenAI, model: str) -> None:
    events = streamed(client, model, reasoning={"effort": "high"})
    kinds = [event.type for event in events]
    assert kinds.index("response.reasoning_text.done") < kinds.index("response.output_text.delta")
    last: Any = events[-1]
    assert deltas(events, "response.reasoning_text.delta") == last.response.output[0].content[0].text


@pytest.mark.parametrize("model", ENGINES)
def test_a_limit_ends_a_stream_as_incomplete(client: openai.OpenAI, model: str) -> None:
    last = streamed(client, model, max_output_tokens=3)[-1]
    assert last.type == "response.incomplete"
    assert last.response.status == "incomplete"


def test_a_stream_has_named_events_and_no_done(http: httpx.Client) -> None:
    answer = http.post(PATH, json={"model": ECHO, "input": "Hi", "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("event: response.created\ndata: {")
    assert answer.text.endswith("\n\n")
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize("model", ENGINES)
def test_a_failure_before_the_first_event_has_its_status(http: httpx.Client, model: str) -> None:
    error = error_of(http.post(PATH, json={"model": model, "input": "apple " * 3000, "stream": True}), 400)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")


def test_who_leaves_a_stream_cancels_it(client: openai.OpenAI, server: RunningServer) -> None:
    def cancelled() -> int:
        return int(server.health()["models"][ECHO]["counters"]["cancelled"])

    streamed(client, ECHO, "warm")
    before = until(lambda: server.health()["models"][ECHO]["counters"]) and cancelled()
    with client.responses.create(model=ECHO, input="a", stream=True, extra_body=ENDLESS) as stream:
        first = next(iter(stream))
    until(lambda: cancelled() > before)
    assert first.type == "response.created"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.response.id)


# --- in the background ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_response_in_the_background_is_answered_at_once_and_ends_by_itself(client: openai.OpenAI, model: str) -> None:
    first = client.responses.create(model=model, input=QUESTION, temperature=0, background=True)
    assert (first.status, first.background, first.output) == ("queued", True, [])
    last = until(lambda: (now := client.responses.retrieve(first.id)).status in ENDED and now)
    assert last
    assert last.status == "completed"
    assert last.output_text == client.responses.create(model=model, input=QUESTION, temperature=0).output_text


def test_it_goes_on_when_the_client_has_left_and_is_cancelled_by_name(client: openai.OpenAI) -> None:
    id_ = begun(client)
    assert client.responses.retrieve(id_).status == "in_progress"
    cancelled = client.responses.cancel(id_)
    assert (cancelled.status, cancelled.output[0].type) == ("cancelled", "message")
    assert client.responses.cancel(id_).to_dict() == cancelled.to_dict()
    assert client.responses.retrieve(id_).to_dict() == cancelled.to_dict()


def test_a_stream_that_broke_off_goes_on_behind_the_last_event(client: openai.OpenAI) -> None:
    asked: Any = {"model": ECHO, "input": "a b c d", "background": True, "stream": True}
    with client.responses.create(**asked) as stream:
        events: list[Any] = [next(stream) for _ in range(4)]
    id_ = events[0].response.id
    events += client.responses.retrieve(id_, stream=True, starting_after=events[-1].sequence_number)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert deltas(events) == events[-1].response.output_text == "a b c d"


def test_two_who_watch_see_the_same_until_it_is_cancelled(client: openai.OpenAI) -> None:
    id_ = begun(client)
    with client.responses.retrieve(id_, stream=True) as stream:
        seen: list[Any] = [next(stream) for _ in range(5)]
        client.responses.cancel(id_)
        seen += stream
    again = list(client.responses.retrieve(id_, stream=True))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in seen]
    assert (seen[-1].type, seen[-1].response.status) == ("response.incomplete", "cancelled")


def test_nothing_follows_the_last_event(client: openai.OpenAI, http: httpx.Client) -> None:
    events: list[Any] = streamed(client, ECHO, background=True)
    path = f"{PATH}/{events[0].response.id}?stream=true&starting_after="
    assert error_of(http.get(path + str(len(events) - 1)), 400)["param"] == "starting_after"
    assert http.get(path + str(len(events) - 2)).text.startswith("event: response.completed\n")


def test_an_unfinished_response_cannot_be_gone_on_from(client: openai.OpenAI, http: httpx.Client) -> None:
    id_ = begun(client)
    error = error_of(http.post(PATH, json={"model": ECHO, "input": "Hi", "previous_response_id": id_}), 400)
    client.responses.cancel(id_)
    assert error["param"] == "previous_response_id"


def test_deleting_a_response_in_the_background_ends_it(client: openai.OpenAI, http: httpx.Client) -> None:
    id_ = begun(client)
    client.responses.delete(id_)
    assert error_of(http.get(f"{PATH}/{id_}"), 404)["code"] == "not_found"
    assert error_of(http.get(f"{PATH}/{id_}?stream=true"), 404)["code"] == "not_found"


def test_a_failure_in_the_background_is_told_by_the_response(client: openai.OpenAI) -> None:
    events: list[Any] = streamed(client, GGUF, "apple " * 3000, background=True)
    error, last = events[-2:]
    assert (error.type, error.code, error.param) == ("error", "context_length_exceeded", "input")
    assert (last.type, last.response.status, last.response.error.code) == (
        "response.failed",
        "failed",
        "invalid_prompt",
    )
    assert client.responses.retrieve(last.response.id).to_dict() == last.response.to_dict()


def test_only_a_response_in_the_background_is_cancelled_or_watched(client: openai.OpenAI, http: httpx.Client) -> None:
    id_ = client.responses.create(model=ECHO, input="Hi").id
    assert error_of(http.post(f"{PATH}/{id_}/cancel"), 400)["param"] == "response_id"
    assert error_of(http.get(f"{PATH}/{id_}?stream=true"), 400)["param"] == "stream"
    assert error_of(http.post(f"{PATH}/resp_nowhere/cancel"), 404)["code"] == "not_found"


def test_the_conversation_is_added_to_when_it_has_ended(client: openai.OpenAI) -> None:
    conversation = client.conversations.create().id
    streamed(client, ECHO, "Hi", background=True, conversation=conversation)
    assert len(client.conversations.items.list(conversation).data) == 2
