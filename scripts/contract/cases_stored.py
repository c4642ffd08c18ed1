"""Chat completions that are stored, and conversations."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import CAPITAL, Group, chat, get
from scripts.contract.case import Ask, Case
from scripts.contract.checks import all_of, answered
from scripts.contract.checks_stream import streamed, tells

STORED = Group("stored completions", "stored completions")
CONVERSATIONS = Group("conversations", "conversations")
KEPT = chat(store=True, metadata={"topic": "capitals"})
STREAMED = chat(store=True, stream=True)
HELLO = {"type": "message", "role": "user", "content": "Hello"}
ANSWERED = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi.", "annotations": []}],
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Paris"}'}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "call_2", "name": "shell", "input": "ls"}
CUSTOM_RESULT = {"type": "custom_tool_call_output", "call_id": "call_2", "output": "a b"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
KINDS: list[dict[str, Any]] = [HELLO, THOUGHT, CALL, RESULT, CUSTOM_CALL, CUSTOM_RESULT, ANSWERED]
SO_LONG = {f"label{number}": "a" for number in range(17)}
STORED_PATH = "/chat/completions/$0.id"
TALK = "/conversations/$0.id"


def delete(path: str) -> Ask:
    """A DELETE."""
    return Ask(method="DELETE", path=path)


def post(path: str, body: dict[str, Any] | None = None) -> Ask:
    """A POST of what has no model."""
    return Ask(path=path, body=body, named=False)


def talk(*items: Any, **fields: Any) -> Ask:
    """A new conversation."""
    return post("/conversations", {"items": list(items), **fields} if items else dict(fields))


def equals(value: Any) -> Any:
    """Whether something is this."""
    return lambda found: found == value


def types(*wanted: str) -> Any:
    """Whether a list holds items of these types."""
    return lambda data: [item["type"] for item in data] == list(wanted)


STORING: tuple[Case, ...] = (
    STORED.case(
        "store", "the answer is found by its id", KEPT, get(STORED_PATH),
        check=all_of(answered, tells("metadata.topic", equals("capitals"))), about="store",
    ),
    STORED.case(
        "store × stream", "a streamed answer is found too", STREAMED, get("/chat/completions?limit=1&order=desc"),
        check=all_of(lambda replies: streamed(replies[:1]), tells("data.0.choices.0.message.content", bool)),
        about="store",
    ),
    STORED.case(
        "stored completions are listed", "the newest among them", KEPT, get("/chat/completions?limit=100&order=desc"),
        check=tells("data.0.choices.0.message.content", bool), about="store",
    ),
    STORED.case(
        "stored completions × metadata", "those of a label", chat(store=True, metadata={"only": "this"}),
        get("/chat/completions?metadata[only]=this"),
        check=tells("data", lambda data: bool(data) and all(one["metadata"]["only"] == "this" for one in data)),
        about="store metadata",
    ),
    STORED.case(
        "stored completions × model", "those of a model", KEPT, get("/chat/completions?model=no-such-model"),
        check=tells("data", equals([])), about="store model",
    ),
    STORED.case(
        "a stored completion's messages", "what was asked", KEPT, get(f"{STORED_PATH}/messages"),
        check=tells("data.0.content", equals(CAPITAL)), about="store",
    ),
    STORED.case(
        "a stored completion's metadata", "it is replaced", KEPT, post(STORED_PATH, {"metadata": {"a": "b"}}),
        get(STORED_PATH), check=tells("metadata", equals({"a": "b"})), about="store metadata",
    ),
    STORED.case(
        "a stored completion is deleted", "it says so", KEPT, delete(STORED_PATH),
        check=tells("deleted", equals(True)), about="store",
    ),
    STORED.wrong("a deleted completion", KEPT, delete(STORED_PATH), get(STORED_PATH), status=404),
    STORED.wrong("a completion that was not stored", chat(store=False), get(STORED_PATH), status=404),
    STORED.wrong("a completion that never was", get("/chat/completions/chatcmpl-nothing"), status=404),
    STORED.wrong("stored completions × limit of 0", get("/chat/completions?limit=0"), about="limit"),
    STORED.wrong("stored completions × an unknown order", get("/chat/completions?order=odd"), about="order"),
    STORED.wrong("a stored completion × 17 labels", KEPT, post(STORED_PATH, {"metadata": SO_LONG}), about="metadata"),
)  # fmt: skip

TALKING: tuple[Case, ...] = (
    CONVERSATIONS.case(
        "a conversation begins", "empty", talk(),
        check=all_of(tells("object", equals("conversation")), tells("metadata", equals({}))),
    ),
    CONVERSATIONS.case(
        "a conversation begins with items", "they are kept", talk(HELLO), get(f"{TALK}/items"),
        check=tells("data", types("message")), about="items",
    ),
    CONVERSATIONS.case(
        "a conversation is found", "with its metadata", talk(metadata={"a": "b"}), get(TALK),
        check=tells("metadata", equals({"a": "b"})), about="metadata",
    ),
    CONVERSATIONS.case(
        "a conversation's metadata", "it is replaced", talk(metadata={"a": "b"}), post(TALK, {"metadata": {"c": "d"}}),
        check=tells("metadata", equals({"c": "d"})), about="metadata",
    ),
    CONVERSATIONS.case(
        "a conversation is deleted", "it says so", talk(), delete(TALK), check=tells("deleted", equals(True)),
    ),
    CONVERSATIONS.case(
        "items of every kind", "they come back in their order", talk(), post(f"{TALK}/items", {"items": KINDS}),
        get(f"{TALK}/items?order=asc"), check=tells("data", types(*(item["type"] for item in KINDS))), about="items",
    ),
    CONVERSATIONS.case(
        "items × order", "the newest first unless asked otherwise", talk(HELLO, ANSWERED), get(f"{TALK}/items"),
        check=tells("data.0.role", equals("assistant")), about="items order",
    ),
    CONVERSATIONS.case(
        "items × limit", "a page says that there is more", talk(HELLO, ANSWERED), get(f"{TALK}/items?limit=1"),
        check=all_of(tells("data", lambda data: len(data) == 1), tells("has_more", equals(True))), about="items limit",
    ),
    CONVERSATIONS.case(
        "items × after", "the next page", talk(HELLO, ANSWERED), get(f"{TALK}/items?limit=1"),
        get(f"{TALK}/items?after=$1.last_id"),
        check=all_of(tells("data.0.role", equals("user")), tells("has_more", equals(False))), about="items after",
    ),
    CONVERSATIONS.case(
        "one item", "it is found by its id", talk(HELLO), get(f"{TALK}/items"), get(f"{TALK}/items/$1.data.0.id"),
        check=tells("content.0.text", equals("Hello")), about="items",
    ),
    CONVERSATIONS.case(
        "one item is deleted", "the conversation is told", talk(HELLO), get(f"{TALK}/items"),
        delete(f"{TALK}/items/$1.data.0.id"), check=tells("object", equals("conversation")), about="items",
    ),
    CONVERSATIONS.wrong("a conversation that is deleted", talk(), delete(TALK), get(TALK), status=404),
    CONVERSATIONS.wrong("a conversation that never was", get("/conversations/conv_nothing"), status=404),
    CONVERSATIONS.wrong("an item that never was", talk(), get(f"{TALK}/items/msg_nothing"), status=404),
    CONVERSATIONS.wrong("an item of an unknown type", talk({"type": "smell"}), about="items"),
    CONVERSATIONS.wrong("21 items at once", talk(*[HELLO] * 21), about="items"),
    CONVERSATIONS.wrong("a conversation with 17 labels", talk(metadata=SO_LONG), about="metadata"),
    CONVERSATIONS.wrong("items × limit of 101", talk(), get(f"{TALK}/items?limit=101"), about="limit"),
    CONVERSATIONS.wrong("a conversation × an unknown field", talk(title="a"), about="title"),
)  # fmt: skip
