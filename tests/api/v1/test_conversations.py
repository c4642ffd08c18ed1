"""/v1/conversations and their items, as the official client uses them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItemList
from openai.types.responses import EasyInputMessageParam, ResponseReasoningItem

from tests.front_door import error_of
from tests.published import conforms, left_over

HELLO: EasyInputMessageParam = {"role": "user", "content": "Hello", "type": "message"}
EVERY_KIND: list[Any] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "input_text", "text": "What is the weather?"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    {"type": "custom_tool_call", "call_id": "call_2", "name": "shout", "input": "HO"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "HO"}]},
    {
        "type": "message",
        "id": "msg_mine",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Sunny.", "annotations": []}],
    },
]


@pytest.fixture
def conversation(client: openai.OpenAI) -> str:
    return client.conversations.create().id


@pytest.fixture
def items(conversation: str) -> str:
    """The path of a conversation's items."""
    return f"/v1/conversations/{conversation}/items"


def test_a_conversation_is_made_changed_found_and_deleted(client: openai.OpenAI) -> None:
    made = client.conversations.create(metadata={"topic": "demo"}, items=[HELLO])
    assert made.id.startswith("conv_")
    assert client.conversations.retrieve(made.id) == made
    assert client.conversations.update(made.id, metadata={"a": "b"}).metadata == {"a": "b"}
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
        client.conversations.items.list(made.id)


@pytest.mark.parametrize("body", [None, {}, {"items": None, "metadata": None}, {"items": []}])
def test_a_conversation_may_begin_empty(http: httpx.Client, body: Any) -> None:
    made = http.post("/v1/conversations", json=body).json()
    assert made["metadata"] == {}
    listed = http.get(f"/v1/conversations/{made['id']}/items").json()
    assert listed == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}


def test_items_of_every_kind_come_back_in_order(client: openai.OpenAI, conversation: str) -> None:
    made = client.conversations.items.create(conversation, items=EVERY_KIND)
    assert [item.type for item in made.data] == [item.get("type", "message") for item in EVERY_KIND]
    assert len({item.id for item in made.data}) == len(EVERY_KIND)
    assert {"rs_1", "msg_mine"} < {item.id for item in made.data}
    listed = client.conversations.items.list(conversation, order="asc", limit=3)
    assert list(listed) == made.data  # the client asks for page after page


def test_one_item_is_read_and_taken_out(client: openai.OpenAI, conversation: str) -> None:
    first, second = client.conversations.items.create(conversation, items=[HELLO, HELLO]).data
    assert client.conversations.items.retrieve(first.id or "", conversation_id=conversation) == first
    assert client.conversations.items.delete(first.id or "", conversation_id=conversation).id == conversation
    assert [item.id for item in client.conversations.items.list(conversation)] == [second.id]


def test_an_item_of_another_conversation_can_be_referred_to(client: openai.OpenAI, conversation: str) -> None:
    (kept,) = client.conversations.items.create(conversation, items=[HELLO]).data
    other = client.conversations.create(items=[{"type": "item_reference", "id": kept.id or ""}])
    assert list(client.conversations.items.list(other.id)) == [kept]


def test_reasoning_is_sealed_where_it_is_asked_for(client: openai.OpenAI, conversation: str) -> None:
    client.conversations.items.create(conversation, items=EVERY_KIND[2:3])
    (plain,) = client.conversations.items.list(conversation)
    (item,) = client.conversations.items.list(conversation, include=["reasoning.encrypted_content"])
    assert isinstance(plain, ResponseReasoningItem)
    assert isinstance(item, ResponseReasoningItem)
    assert plain.encrypted_content is None
    assert item.encrypted_content
    again: Any = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": item.encrypted_content}
    (unsealed,) = client.conversations.items.create(conversation, items=[again]).data
    assert isinstance(unsealed, ResponseReasoningItem)
    assert unsealed.content == plain.content


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bodies_are_what_openai_describes(http: httpx.Client, items: str, method: str) -> None:
    answer = http.post(items, json={"items": EVERY_KIND}).json()
    body = http.get(items, params={"order": "asc"}).json() if method == "GET" else answer
    conforms(body, "ConversationItemList")
    assert not list(left_over(ConversationItemList.model_validate(body)))


def test_conversations_are_what_openai_describes(http: httpx.Client) -> None:
    made = http.post("/v1/conversations", json={"metadata": {"a": "b"}}).json()
    conforms(made, "ConversationResource")
    assert not list(left_over(Conversation.model_validate(made)))
    deleted = http.delete(f"/v1/conversations/{made['id']}").json()
    conforms(deleted, "DeletedConversationResource")
    assert not list(left_over(ConversationDeletedResource.model_validate(deleted)))


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "items", "missing_required_parameter"),
        ({"items": []}, "items", "invalid_value"),
        ({"items": [HELLO] * 21}, "items", "invalid_value"),
        ({"items": [HELLO], "metadata": {}}, "metadata", "unknown_parameter"),
        ({"items": [{**HELLO, "mood": "good"}]}, "items[0].mood", "unknown_parameter"),
        ({"items": [HELLO, {"role": "user"}]}, "items[1].content", "missing_required_parameter"),
        ({"items": [{"type": "web_search_call", "id": "ws_1"}]}, "items[0].type", "unsupported_parameter"),
        (
            {"items": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "items[0].content[0].type",
            "unsupported_parameter",
        ),
        ({"items": [{"type": "item_reference", "id": "msg_404"}]}, "items[0].id", "invalid_value"),
        (
            {"items": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}]},
            "items[0].encrypted_content",
            "invalid_encrypted_content",
        ),
    ],
)
def test_items_that_cannot_be_kept_are_refused_by_name(
    http: httpx.Client, items: str, body: Any, param: str | None, code: str
) -> None:
    error = error_of(http.post(items, json=body), 400)
    assert (error["param"], error["code"]) == (param, code)
    assert not http.get(items).json()["data"]


def test_half_a_character_is_refused(http: httpx.Client, items: str) -> None:
    body, headers = json.dumps({"items": [{**HELLO, "content": "\ud800"}]}), {"Content-Type": "application/json"}
    assert error_of(http.post(items, content=body, headers=headers), 400)["code"] == "invalid_unicode"


def test_an_item_is_in_a_conversation_once(http: httpx.Client, items: str) -> None:
    assert http.post(items, json={"items": EVERY_KIND[2:3]}).is_success
    error = error_of(http.post(items, json={"items": [HELLO, *EVERY_KIND[2:3]]}), 400)
    assert error["message"].startswith("Duplicate item found with id rs_1.")


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"k" * 65: "v"}, "metadata." + "k" * 65),
        ({"k": "v" * 513}, "metadata.k"),
        ({"k": 1}, "metadata.k"),
        ({str(number): "" for number in range(17)}, "metadata"),
        ("x", "metadata"),
    ],
)
def test_metadata_have_limits(http: httpx.Client, conversation: str, metadata: Any, param: str) -> None:
    for path in ("/v1/conversations", f"/v1/conversations/{conversation}"):
        assert error_of(http.post(path, json={"metadata": metadata}), 400)["param"] == param


@pytest.mark.parametrize("metadata", [{"k" * 64: "v" * 512}, {str(number): "" for number in range(16)}, {"": "\0é"}])
def test_metadata_within_the_limits_are_kept(
    client: openai.OpenAI, conversation: str, metadata: dict[str, str]
) -> None:
    client.conversations.update(conversation, metadata=metadata)
    assert client.conversations.retrieve(conversation).metadata == metadata


def test_metadata_are_taken_away_by_null(client: openai.OpenAI) -> None:
    made = client.conversations.create(metadata={"a": "b"})
    assert client.conversations.update(made.id, metadata=None).metadata == {}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("order=up", "order"),
        ("after=msg_404", "after"),
        ("after=", "after"),
        ("before=msg_1", "before"),
        ("include=nothing", "include"),
        ("include[]=file_search_call.results", "include"),
    ],
)
def test_a_query_that_cannot_be_served_is_refused_by_name(
    http: httpx.Client, items: str, query: str, param: str
) -> None:
    assert error_of(http.get(f"{items}?{query}"), 400)["param"] == param


@pytest.mark.parametrize("id_", ["conv_404", "%00", "x" * 3000, "%F0%9F%98%80"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"metadata": {}}),
        ("DELETE", "", None),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [HELLO]}),
        ("GET", "/items/msg_1", None),
        ("DELETE", "/items/msg_1", None),
    ],
)
def test_what_is_not_there_is_a_404(http: httpx.Client, id_: str, method: str, path: str, body: Any) -> None:
    error = error_of(http.request(method, f"/v1/conversations/{id_}{path}", json=body), 404)
    assert error["message"].startswith("Conversation with id '")
    assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")
    assert len(error["message"]) < 200
