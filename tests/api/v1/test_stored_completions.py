"""GET, POST and DELETE of chat completions that are stored already. Another process has put them into the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionDeleted

from fluid_server.store.store import Store
from tests.front_door import PATIENCE, RunningServer, error_of
from tests.published import conforms
from tests.store.databases import on

QUESTION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Hi"}]},
]
NOW = 1_795_000_000
ALL = ["chatcmpl-0", "chatcmpl-1", "chatcmpl-2"]


def answer(number: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello.", "refusal": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": NOW + number,
        "model": "even" if number % 2 == 0 else "odd",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
        "system_fingerprint": "fluid",
    }


async def fill(store: Store) -> None:
    for number in range(3):
        await store.add_completion(answer(number), QUESTION, {"number": str(number), "demo": "é ="})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{(tmp_path_factory.mktemp('stored') / 'fluid.db').as_posix()}"


@pytest.fixture(scope="module")
def address(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that finds three stored answers in its database."""
    flags = ("--echo", "--no-warm-up", "--database-url", url, "--store-ttl", "0")
    running = RunningServer.start(*flags, folder=tmp_path_factory.mktemp("server"))
    on(url, fill)
    try:
        yield running.address or ""
    finally:
        running.stop()


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=PATIENCE) as connected:
        yield connected


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as connected:
        yield connected


def test_all_are_listed_the_oldest_first(client: openai.OpenAI) -> None:
    assert [one.id for one in client.chat.completions.list(limit=2)] == ALL
    assert [one.id for one in client.chat.completions.list(limit=1, order="desc")] == ALL[::-1]


def test_they_are_found_by_model_and_metadata(client: openai.OpenAI) -> None:
    assert [one.id for one in client.chat.completions.list(model="even")] == ["chatcmpl-0", "chatcmpl-2"]
    found = client.chat.completions.list(metadata={"number": "1", "demo": "é ="})
    assert [one.id for one in found] == ["chatcmpl-1"]
    assert not client.chat.completions.list(model="even", metadata={"number": "1"}).data


def test_one_comes_back_as_it_was_answered(http: httpx.Client) -> None:
    body = http.get("/v1/chat/completions/chatcmpl-1").json()
    assert body["metadata"] == {"number": "1", "demo": "é ="}
    assert {name: body[name] for name in ("id", "created", "model", "choices")} == {
        name: value for name, value in answer(1).items() if name in ("id", "created", "model", "choices")
    }
    conforms(body, "CreateChatCompletionResponse")
    ChatCompletion.model_validate(body)


def test_an_answer_of_another_version_is_shown_as_it_is(http: httpx.Client, url: str) -> None:
    old = {"id": "chatcmpl-old", "object": "chat.completion", "created": 1, "model": "old", "note": "of long ago"}
    on(url, lambda store: store.add_completion(old, [], {}), ttl=0)
    assert http.get("/v1/chat/completions/chatcmpl-old").json() == {**old, "metadata": {}}
    assert http.get("/v1/chat/completions?model=old").json()["data"] == [{**old, "metadata": {}}]
    assert http.delete("/v1/chat/completions/chatcmpl-old").is_success


def test_a_list_is_what_openai_describes(http: httpx.Client) -> None:
    body = http.get("/v1/chat/completions", params={"limit": 2}).json()
    conforms(body, "ChatCompletionList")
    assert (body["first_id"], body["last_id"], body["has_more"]) == ("chatcmpl-0", "chatcmpl-1", True)


def test_its_messages_are_listed(client: openai.OpenAI, http: httpx.Client) -> None:
    first, second = client.chat.completions.messages.list("chatcmpl-0", limit=1)
    assert (first.id, first.content, first.content_parts) == ("chatcmpl-0-0", "Be brief.", None)
    assert (second.id, second.content) == ("chatcmpl-0-1", None)
    assert second.content_parts
    assert second.content_parts[0].type == "text"
    body = http.get("/v1/chat/completions/chatcmpl-0/messages").json()
    # OpenAI's description knows only the assistant's messages here, and its server answers with all of them.
    conforms({**body, "data": [{**one, "role": "assistant"} for one in body["data"]]}, "ChatCompletionMessageList")


def test_its_metadata_are_replaced(client: openai.OpenAI) -> None:
    client.chat.completions.update("chatcmpl-2", metadata={"new": "label"})
    assert client.chat.completions.retrieve("chatcmpl-2").to_dict()["metadata"] == {"new": "label"}
    assert [one.id for one in client.chat.completions.list(metadata={"new": "label"})] == ["chatcmpl-2"]
    client.chat.completions.update("chatcmpl-2", metadata=None)
    assert not client.chat.completions.list(metadata={"new": "label"}).data


def test_one_is_deleted(http: httpx.Client) -> None:
    database = http.get("/v1/chat/completions", params={"order": "desc", "limit": 1}).json()["data"][0]["id"]
    deleted = http.delete(f"/v1/chat/completions/{database}").json()
    conforms(deleted, "ChatCompletionDeleted")
    assert ChatCompletionDeleted.model_validate(deleted).deleted
    assert error_of(http.get(f"/v1/chat/completions/{database}"), 404)["message"] == (
        f"Chat completion with id '{database}' not found."
    )


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("order=newest", "order"),
        ("after=chatcmpl-404", "after"),
        ("before=chatcmpl-1", "before"),
        ("metadata=x", "metadata"),
        ("metadata[a=x", "metadata"),
        ("&".join(f"metadata[{number}]=x" for number in range(17)), "metadata"),
    ],
)
def test_a_query_that_cannot_be_served_is_refused_by_name(http: httpx.Client, query: str, param: str) -> None:
    assert error_of(http.get(f"/v1/chat/completions?{query}"), 400)["param"] == param


@pytest.mark.parametrize("body", [{}, {"metadata": {}, "model": "x"}, {"metadata": {"a": 1}}])
def test_only_metadata_can_be_changed(http: httpx.Client, body: Any) -> None:
    assert error_of(http.post("/v1/chat/completions/chatcmpl-0", json=body), 400)["param"] in {
        "metadata",
        "model",
        "metadata.a",
    }


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/messages")], ids=str)
def test_what_is_not_there_is_a_404(http: httpx.Client, method: str, path: str) -> None:
    body: Any = {"metadata": {}} if method == "POST" else None
    error = error_of(http.request(method, f"/v1/chat/completions/chatcmpl-404{path}", json=body), 404)
    assert error["message"] == "Chat completion with id 'chatcmpl-404' not found."
    assert error["code"] == "not_found"
