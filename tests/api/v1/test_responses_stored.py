"""What is kept of responses, and what goes on from it, as the official client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response

from tests.front_door import ECHO, GGUF, OPENVINO, PATIENCE, RunningServer, error_of

ENGINES = (OPENVINO, GGUF)
PATH = "/v1/responses"
NAMED = "Hi, my name is Tina."
ASKED = "What is my name?"
KNOWN = "Your name is Tina."
F = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
CALLS_F = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'


def made(client: openai.OpenAI, question: Any, model: str = ECHO, **fields: Any) -> Response:
    """A greedy response."""
    response: Response = client.responses.create(model=model, input=question, temperature=0, **fields)
    return response


def refused(http: httpx.Client, status: int = 400, **fields: Any) -> dict[str, Any]:
    """The error of a request to echo."""
    return error_of(http.post(PATH, json={"model": ECHO, "input": "Hi", **fields}), status)


# --- one response -------------------------------------------------------------------------------------------


def test_a_response_is_found_again_as_it_was(client: openai.OpenAI) -> None:
    response = made(
        client, "<think>hm</think>Hi", metadata={"k": "v"}, user="u", include=["reasoning.encrypted_content"]
    )
    assert client.responses.retrieve(response.id).to_dict() == response.to_dict()


def test_a_response_that_is_not_to_be_kept_is_not_found(client: openai.OpenAI) -> None:
    response = made(client, "Hi", store=False)
    with pytest.raises(openai.NotFoundError, match=response.id):
        client.responses.retrieve(response.id)


def test_a_deleted_response_is_gone(client: openai.OpenAI, http: httpx.Client) -> None:
    response = made(client, "Hi")
    client.responses.delete(response.id)
    for again in (http.get(f"{PATH}/{response.id}"), http.delete(f"{PATH}/{response.id}")):
        assert error_of(again, 404)["code"] == "not_found"


def test_a_streamed_response_is_kept_before_its_end_is_told(client: openai.OpenAI) -> None:
    with client.responses.create(model=ECHO, input="Hi", stream=True) as stream:
        *_, last = stream
    assert last.type == "response.completed"
    assert client.responses.retrieve(last.response.id).to_dict() == last.response.to_dict()


def test_input_items_are_listed_the_newest_first(client: openai.OpenAI) -> None:
    items: list[Any] = [{"role": "user", "content": text, "id": f"msg_list_{text}"} for text in "abc"]
    listed = client.responses.input_items.list
    response = made(client, items)
    assert [item.id for item in listed(response.id)] == ["msg_list_c", "msg_list_b", "msg_list_a"]
    first = listed(response.id, limit=2, order="asc")
    assert [item.id for item in first.data] == ["msg_list_a", "msg_list_b"]
    assert [item.id for item in listed(response.id, order="asc", after="msg_list_b")] == ["msg_list_c"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "order=up", "after=nothing", "mood=good", "include[]=x"])
def test_a_list_that_cannot_be_is_refused(client: openai.OpenAI, http: httpx.Client, query: str) -> None:
    error = error_of(http.get(f"{PATH}/{made(client, 'Hi').id}/input_items?{query}"), 400)
    assert error["param"] is not None
    assert error["param"].startswith(query.partition("=")[0].partition("[")[0])


@pytest.mark.parametrize("query", ["starting_after=1", "stream=maybe", "mood=good", "include[]=nothing"])
def test_a_response_cannot_be_wanted_in_other_ways(client: openai.OpenAI, http: httpx.Client, query: str) -> None:
    assert error_of(http.get(f"{PATH}/{made(client, 'Hi').id}?{query}"), 400)["type"] == "invalid_request_error"


# --- what goes on from another --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_a_response_goes_on_from_the_one_before(client: openai.OpenAI, model: str) -> None:
    first = made(client, NAMED, model)
    second = made(client, "What is the capital of France?", model, previous_response_id=first.id)
    third = made(client, ASKED, model, previous_response_id=second.id)
    assert (third.output_text, third.previous_response_id) == (KNOWN, second.id)
    assert [item.type for item in client.responses.input_items.list(third.id)] == ["message"]


@pytest.mark.parametrize("model", ENGINES)
def test_instructions_are_not_carried_over(client: openai.OpenAI, model: str) -> None:
    first = made(client, "Who are you?", model, instructions="Your name is Alice.")
    assert first.output_text == "I am Alice."
    assert "Alice" not in made(client, "What is 2 plus 3?", model, previous_response_id=first.id).output_text
    both: dict[str, Any] = {
        "instructions": "a b c",
        "previous_response_id": made(client, "Hi", instructions="d e f").id,
    }
    alone: dict[str, Any] = {"previous_response_id": made(client, "Hi").id}
    counted = [client.responses.input_tokens.count(model=ECHO, input="Hi", **one).input_tokens for one in (both, alone)]
    assert counted[0] - counted[1] == 4


def test_a_result_finds_its_call_in_the_response_before(client: openai.OpenAI) -> None:
    first = made(client, CALLS_F, tools=[F])
    (call,) = first.output
    assert call.type == "function_call"
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "done"}]
    assert made(client, result, previous_response_id=first.id, tools=[F]).output_text == "done"


def test_a_call_that_was_not_answered_is_asked_for(client: openai.OpenAI, http: httpx.Client) -> None:
    first = made(client, CALLS_F, tools=[F])
    error = refused(http, previous_response_id=first.id)
    assert error["param"] == "input"
    assert "No tool output found" in error["message"]


def test_items_are_referred_to_by_their_ids(client: openai.OpenAI) -> None:
    first = made(client, "one two")
    items: list[Any] = [{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "three"}]
    second = made(client, items)
    texts = [getattr(item, "content", [])[0].text for item in client.responses.input_items.list(second.id, order="asc")]
    assert texts == ["one two", "three"]


def test_what_is_there_already_need_not_be_sent_again(client: openai.OpenAI, http: httpx.Client) -> None:
    first = made(client, "Hi")
    again = [{"id": first.output[0].id}]
    error = refused(http, input=again, previous_response_id=first.id)
    assert "Duplicate item" in error["message"]


def test_a_response_that_is_gone_cannot_be_gone_on_from(client: openai.OpenAI, http: httpx.Client) -> None:
    first = made(client, "Hi")
    second = made(client, "Hi", previous_response_id=first.id)
    client.responses.delete(first.id)
    error = refused(http, previous_response_id=second.id)
    assert (error["param"], error["code"]) == ("previous_response_id", "previous_response_not_found")


# --- conversations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ENGINES)
def test_a_conversation_is_gone_on_with_and_added_to(client: openai.OpenAI, model: str) -> None:
    conversation = client.conversations.create()
    first = made(client, NAMED, model, conversation=conversation.id)
    assert first.conversation is not None
    assert first.conversation.id == conversation.id
    assert made(client, ASKED, model, conversation={"id": conversation.id}).output_text == KNOWN
    items = client.conversations.items.list(conversation.id, order="asc").data
    assert [getattr(item, "role", None) for item in items] == ["user", "assistant", "user", "assistant"]


def test_a_conversation_is_added_to_even_where_the_response_is_not_kept(client: openai.OpenAI) -> None:
    conversation = client.conversations.create()
    made(client, "Hi", conversation=conversation.id, store=False)
    assert len(client.conversations.items.list(conversation.id).data) == 2


def test_a_response_of_a_conversation_is_gone_on_from_through_it(client: openai.OpenAI, http: httpx.Client) -> None:
    conversation = client.conversations.create()
    first = made(client, "Hi", conversation=conversation.id)
    error = refused(http, previous_response_id=first.id)
    assert error["param"] == "previous_response_id"
    assert conversation.id in error["message"]


def test_a_conversation_that_is_not_there_is_not_begun(http: httpx.Client) -> None:
    assert refused(http, 404, conversation="conv_nowhere")["code"] == "not_found"


def test_a_failed_response_adds_nothing(client: openai.OpenAI, http: httpx.Client) -> None:
    conversation = client.conversations.create()
    error_of(http.post(PATH, json={"model": GGUF, "input": "apple " * 3000, "conversation": conversation.id}), 400)
    assert client.conversations.items.list(conversation.id).data == []


# --- without a store ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that keeps nothing."""
    flags = ("--echo", "--no-warm-up", "--no-store")
    running = RunningServer.start(*flags, folder=tmp_path_factory.mktemp("forgetful"))
    try:
        with httpx.Client(base_url=running.address or "", timeout=PATIENCE) as connected:
            yield connected
    finally:
        running.stop()


def test_a_server_that_keeps_nothing_answers_all_the_same(forgetful: httpx.Client) -> None:
    answer = forgetful.post(PATH, json={"model": ECHO, "input": "Hi"}).raise_for_status().json()
    assert answer["status"] == "completed"
    assert error_of(forgetful.get(f"{PATH}/{answer['id']}"), 409)["code"] == "store_off"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
    ],
    ids=str,
)
def test_what_needs_a_store_says_so(forgetful: httpx.Client, fields: dict[str, Any], param: str) -> None:
    error = error_of(forgetful.post(PATH, json={"model": ECHO, "input": "Hi", **fields}), 409)
    assert (error["code"], error["param"]) == ("store_off", param)
