"""Items become what a chat template reads, and what may be left out of it when it does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fluid_server.api.schemas.responses_items import Item
from fluid_server.api.schemas.tools import custom_arguments
from fluid_server.errors import InvalidRequest
from fluid_server.types import Message

SYSTEM = ("system", "developer")
CALLS = ("function_call", "custom_tool_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output")


@dataclass(slots=True)
class _Turn:
    """What the model said in one go: its thoughts, its text, its calls."""

    thoughts: list[str] = field(default_factory=list)
    text: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def message(self) -> Message:
        fields: dict[str, Any] = {}
        if self.calls:
            fields["tool_calls"] = self.calls
        if self.thoughts:
            fields["reasoning_content"] = "\n".join(self.thoughts)
        return Message(role="assistant", content=self.text or "", fields=fields)


def messages_of(items: Iterable[Item], instructions: str | None = None) -> tuple[Message, ...]:
    """Kept items as messages: what the model said in one go is one message, as its template writes it.

    Instructions stand first, in one message with a system message that they meet there, since most templates take
    no second one.
    """
    messages = list(_messages(items))
    if instructions is not None:
        if messages and messages[0].role in SYSTEM:
            instructions = f"{instructions}\n\n{messages.pop(0).content}"
        messages.insert(0, Message(role="system", content=instructions))
    return tuple(messages)


def _messages(items: Iterable[Item]) -> Iterator[Message]:
    turn: _Turn | None = None
    for item in items:
        if not _said_by_model(item):
            if turn is not None:
                yield turn.message()
            turn = None
            yield _told(item)
            continue
        if turn is not None and _begins_anew(turn, item):
            yield turn.message()
            turn = None
        turn = turn or _Turn()
        _add(turn, item)
    if turn is not None:
        yield turn.message()


def _said_by_model(item: Item) -> bool:
    return item["type"] in ("reasoning", *CALLS) or item.get("role") == "assistant"


def _begins_anew(turn: _Turn, item: Item) -> bool:
    """Whether the item cannot be part of the same message: thoughts come first, then the text, then calls."""
    if item["type"] in CALLS:
        return False
    return bool(turn.calls) or turn.text is not None


def _add(turn: _Turn, item: Item) -> None:
    match item["type"]:
        case "reasoning":
            parts = item.get("content") or item["summary"]
            turn.thoughts += [part["text"] for part in parts]
        case "message":
            turn.text = _text(item["content"])
        case "function_call":
            turn.calls.append(_call(item["call_id"], item["name"], item["arguments"]))
        case "custom_tool_call":
            turn.calls.append(_call(item["call_id"], item["name"], custom_arguments(item["input"])))


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _told(item: Item) -> Message:
    if item["type"] in OUTPUTS:
        return Message(role="tool", content=_text(item["output"]), fields={"tool_call_id": item["call_id"]})
    return Message(role=item["role"], content=_text(item["content"]))


def _text(content: str | list[dict[str, Any]]) -> str:
    return (
        content
        if isinstance(content, str)
        else "".join(part.get("text") or part.get("refusal") or "" for part in content)
    )


def check_calls(items: Sequence[Item]) -> None:
    """That each result answers a call before it, and each complete call has its result. Errors: InvalidRequest."""
    open_calls: dict[str, None] = {}
    known: set[str] = set()
    for item in items:
        if item["type"] in CALLS:
            known.add(item["call_id"])
            if item.get("status") != "incomplete":
                open_calls[item["call_id"]] = None
        elif item["type"] in OUTPUTS:
            if item["call_id"] not in known:
                raise InvalidRequest(
                    f"No tool call found for the output with call_id '{item['call_id']}'. Send the call before it, or "
                    "the id of the response that made it as 'previous_response_id'.",
                    param="input",
                )
            open_calls.pop(item["call_id"], None)
    for call_id in open_calls:
        raise InvalidRequest(
            f"No tool output found for the call '{call_id}'. Send its result as an item of 'input'.", param="input"
        )


def without_old_reasoning(items: Sequence[Item]) -> list[Item]:
    """The items without what the model thought before the last message of the user."""
    last = max((index for index, item in enumerate(items) if item.get("role") == "user"), default=0)
    return [item for index, item in enumerate(items) if index > last or item["type"] != "reasoning"]


def droppable(messages: Sequence[Message]) -> list[range]:
    """What can be left out, the first to go first, as ranges of messages; what is in none of them stays.

    Whole turns go, from a message of the user to before the next, so that what is left begins as a template expects.
    Of the last turn only its older rounds of calls and results can go. System messages at the beginning stay.
    """
    first = next((index for index, one in enumerate(messages) if one.role not in SYSTEM), len(messages))
    begins = [index for index in range(first, len(messages)) if messages[index].role == "user"]
    if not begins:
        return []
    edges = sorted({first, *begins})
    turns = [range(begin, end) for begin, end in pairwise(edges)]
    return turns + _rounds(messages, begins[-1] + 1)


def _rounds(messages: Sequence[Message], begin: int) -> list[range]:
    """Rounds of calls and their results from here on, without the last one."""
    asks = [index for index in range(begin, len(messages)) if messages[index].role == "assistant"]
    return [range(ask, following) for ask, following in pairwise(asks)]


def without(messages: Sequence[Message], dropped: Iterable[range]) -> tuple[Message, ...]:
    """The messages that are left."""
    gone = {index for one in dropped for index in one}
    return tuple(message for index, message in enumerate(messages) if index not in gone)


def check_ids(items: Sequence[Item]) -> None:
    """That no item is there twice. Errors: InvalidRequest."""
    known: set[str] = set()
    for item in items:
        if item["id"] in known:
            raise InvalidRequest(
                f"Duplicate item found with id '{item['id']}'. What a response or conversation goes on from need not "
                "be sent again.",
                param="input",
            )
        known.add(item["id"])
