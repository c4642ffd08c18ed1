"""Conversations and stored completions: what is asked of them, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fluid_server.api.schemas.answers import ChatCompletion
from fluid_server.api.schemas.generate import check_text
from fluid_server.api.schemas.responses_fields import FOREIGN_INCLUDES, LOGPROBS, SEALED
from fluid_server.api.schemas.responses_items import InputItem, refuse_foreign_items, sealed
from fluid_server.api.schemas.sparse import Sparse
from fluid_server.api.schemas.strict import Metadata, Strict
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.store.records import Completion, Conversation, Json, Page

WITHOUT_STATUS = ("custom_tool_call", "custom_tool_call_output")  # as OpenAI describes a conversation's items
MAX_AT_ONCE = 20  # items of one request, as with OpenAI
Items = Annotated[list[InputItem], Field(max_length=MAX_AT_ONCE, fail_fast=True)]


class _WithText(Strict):
    @model_validator(mode="before")
    @classmethod
    def _writable(cls, body: Any) -> Any:
        if isinstance(body, dict):
            check_text(body)
            refuse_foreign_items(body.get("items"), "items")
        return body


class CreateConversation(_WithText):
    """POST /v1/conversations."""

    items: Items | None = Field(None, description="what the conversation begins with")
    metadata: Metadata | None = Field(None, description="up to 16 pairs of texts, to find it again by")


class ChangeMetadata(_WithText):
    """POST /v1/conversations/{conversation_id} and /v1/chat/completions/{completion_id}."""

    metadata: Metadata | None = Field(description="what replaces the metadata; null: none")


class AddItems(_WithText):
    """POST /v1/conversations/{conversation_id}/items."""

    items: Items = Field(min_length=1, description="what is appended; an id of its own is kept")


class ConversationBody(BaseModel):
    """A conversation, without its items."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]


class ConversationDeleted(BaseModel):
    """DELETE /v1/conversations/{conversation_id}."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


class ItemBody(Sparse):
    """An item: a message, a tool call, its output, or reasoning. ``type`` says which; it has further fields.

    ``status`` is not there for custom tools.
    """

    model_config = ConfigDict(extra="allow")
    _sparse = frozenset({"status"})

    id: str
    type: Literal[
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "reasoning",
    ]
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class ItemList(BaseModel):
    """A part of a conversation's items; ``first_id`` and ``last_id`` are empty where there are none."""

    object: Literal["list"] = "list"
    data: list[ItemBody]
    first_id: str
    last_id: str
    has_more: bool


class CompletionList(BaseModel):
    """GET /v1/chat/completions. ``first_id`` and ``last_id`` are empty where there is nothing."""

    object: Literal["list"] = "list"
    data: list[ChatCompletion]
    first_id: str
    last_id: str
    has_more: bool


class CompletionDeleted(BaseModel):
    """DELETE /v1/chat/completions/{completion_id}."""

    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: Literal[True] = True


class StoredMessage(BaseModel):
    """A message that a stored completion answers; ``content_parts`` are its parts, where it was sent in parts."""

    model_config = ConfigDict(extra="allow")

    id: str
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None
    refusal: str | None = None
    content_parts: list[dict[str, Any]] | None = None


class MessageList(BaseModel):
    """GET /v1/chat/completions/{completion_id}/messages."""

    object: Literal["list"] = "list"
    data: list[StoredMessage]
    first_id: str
    last_id: str
    has_more: bool


def conversation_body(conversation: Conversation) -> ConversationBody:
    """A conversation as clients see it."""
    return ConversationBody(
        id=conversation.id, created_at=conversation.created_at, metadata=dict(conversation.metadata)
    )


def _stored_message(message: Json) -> StoredMessage:
    """A message as it was sent, in the shape in which stored ones are listed."""
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    return StoredMessage.model_validate(
        {**message, "content": None if parts is not None else content, "content_parts": parts}
    )


def completion_list(page: Page[Completion]) -> Json:
    """A part of the stored answers as clients see it: a CompletionList."""
    data = [completion_body(completion) for completion in page.data]
    first, last = _ends([body["id"] for body in data])
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": page.more}


def completion_body(completion: Completion) -> Json:
    """A stored answer as it was sent, with its metadata of today: a ChatCompletion, of the version that made it."""
    return {**completion.body, "metadata": dict(completion.metadata)}


def message_list(page: Page[Json]) -> MessageList:
    """A part of the messages of a stored answer as clients see it."""
    data = [_stored_message(message) for message in page.data]
    first, last = _ends([message.id for message in data])
    return MessageList(data=data, first_id=first, last_id=last, has_more=page.more)


def _ends(ids: Sequence[str]) -> tuple[str, str]:
    return (ids[0], ids[-1]) if ids else ("", "")


def item_list(page: Page[Json], include: frozenset[str]) -> ItemList:
    """A part of a conversation's items as clients see it."""
    data = [item_body(item, include) for item in page.data]
    first, last = _ends([item.id for item in data])
    return ItemList(data=data, first_id=first, last_id=last, has_more=page.more)


def item_body(item: Json, include: frozenset[str]) -> ItemBody:
    """An item as clients see it: log probabilities and sealed reasoning only where they were asked for."""
    shown = dict(item)
    if shown["type"] == "message" and LOGPROBS not in include:
        shown["content"] = [{**part, "logprobs": []} if "logprobs" in part else part for part in shown["content"]]
    if shown["type"] in WITHOUT_STATUS:
        shown.pop("status", None)
    if shown["type"] == "reasoning" and SEALED in include:
        shown["encrypted_content"] = sealed("".join(part["text"] for part in shown.get("content") or ()))
    return ItemBody.model_validate(shown)


def included(values: Sequence[str]) -> frozenset[str]:
    """The values of ``include``. Errors: those that only hosted tools have, or nobody, refused by name."""
    for value in values:
        if value in FOREIGN_INCLUDES:
            reason = FOREIGN_INCLUDES[value]
            raise UnsupportedField(
                f"'{value}' is not supported by this server: {reason}. Leave it out.", param="include"
            )
        if value not in (LOGPROBS, SEALED):
            raise InvalidRequest(
                f"Invalid 'include': '{value[:80]}' is none of '{LOGPROBS}' and '{SEALED}'.", param="include"
            )
    return frozenset(values)
