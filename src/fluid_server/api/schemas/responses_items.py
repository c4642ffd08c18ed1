"""What goes into a response: OpenAI's input items, checked, and made into the one form in which items are kept.

A kept item is a dict in the shape in which OpenAI lists items: it has an id and a status, and the text of a message
is a list of parts.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from fluid_server.api.schemas.generate import MAX_ITEMS
from fluid_server.api.schemas.responses_fields import FOREIGN_ITEMS
from fluid_server.api.schemas.strict import Strict
from fluid_server.errors import InvalidRequest, UnsupportedField

Item = dict[str, Any]
Status = Literal["in_progress", "completed", "incomplete"]
SEAL = "fluid.1."
MAX_ID = 128  # characters, as the store has room for
PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}


def new_item_id(kind: str) -> str:
    """A fresh id for an item of this type."""
    return PREFIXES[kind] + uuid.uuid4().hex


class ItemText(Strict):
    """A piece of text. Which of its names it has makes no difference: the role says whose it is."""

    type: Literal["input_text", "output_text", "text", "summary_text", "reasoning_text"]
    text: str
    annotations: list[Any] | None = Field(None, description="accepted; of an earlier answer, and empty here")
    logprobs: list[Any] | None = Field(None, description="accepted; of an earlier answer")
    parsed: Any = Field(None, description="accepted; what an SDK made of an earlier answer")
    prompt_cache_breakpoint: Any = Field(None, description="accepted; the runtime finds common prefixes itself")


class ItemRefusal(Strict):
    """A model's earlier refusal."""

    type: Literal["refusal"]
    refusal: str


class ItemMedia(Strict):
    """A picture, sound or file: refused by name, since models here read text."""

    model_config = Strict.model_config | {"extra": "allow"}

    type: Literal["input_image", "input_file", "input_audio", "input_video", "computer_screenshot"]


Part = Annotated[ItemText | ItemRefusal | ItemMedia, Field(discriminator="type")]
Content = str | Annotated[list[Part], Field(fail_fast=True, max_length=MAX_ITEMS)]


class MessageItem(Strict):
    """A message, in the easy form (its content a text) or the full one."""

    type: Literal["message"] | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    id: str | None = Field(None, min_length=1, max_length=MAX_ID)
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None

    def kept(self, where: str) -> Item:
        """The message as it is kept. Errors: a part that is no text."""
        name = "output_text" if self.role == "assistant" else "input_text"
        more: dict[str, Any] = {"annotations": [], "logprobs": []} if self.role == "assistant" else {}
        texts = _texts(self.content, f"{where}.content")
        item = {
            "id": self.id or new_item_id("message"),
            "type": "message",
            "role": self.role,
            "status": self.status or "completed",
            "content": [{"type": name, "text": text, **more} for text in texts],
        }
        return item if self.phase is None else {**item, "phase": self.phase}


class CallOrigin(Strict):
    """Where a call or its result comes from: only from the model itself, here."""

    id: str | None = Field(None, min_length=1, max_length=MAX_ID)
    status: Status | None = None
    namespace: str | None = None
    caller: Any = None

    def refuse_foreign(self, where: str) -> None:
        """Errors: UnsupportedField for calls that hosted code made."""
        if self.namespace is not None:
            raise UnsupportedField("Tools have no namespaces here. Leave it out.", param=f"{where}.namespace")
        if self.caller is not None and self.caller != {"type": "direct"}:
            raise UnsupportedField("Tools are only called by the model itself here.", param=f"{where}.caller")


class CallItem(CallOrigin):
    """A call that the model made, of whichever kind of tool."""

    type: str
    call_id: str = Field(min_length=1, max_length=MAX_ID)
    name: str = Field(min_length=1)

    def kept_with(self, where: str, **said: str) -> Item:
        """The call as it is kept, with what the tool was given. Errors: UnsupportedField for one of another origin."""
        self.refuse_foreign(where)
        return {
            "id": self.id or new_item_id(self.type),
            "type": self.type,
            "call_id": self.call_id,
            "name": self.name,
            **said,
            "status": self.status or "completed",
        }


class FunctionCallItem(CallItem):
    """A call of a function: ``arguments`` is JSON as text."""

    type: Literal["function_call"]
    arguments: str
    parsed_arguments: Any = Field(None, description="accepted; what an SDK made of the arguments")

    def kept(self, where: str) -> Item:
        """The call as it is kept."""
        return self.kept_with(where, arguments=self.arguments)


class CustomCallItem(CallItem):
    """A call of a custom tool: ``input`` is what it is given."""

    type: Literal["custom_tool_call"]
    input: str

    def kept(self, where: str) -> Item:
        """The call as it is kept."""
        return self.kept_with(where, input=self.input)


class CallOutputItem(CallOrigin):
    """What a called tool returned."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: str = Field(min_length=1, max_length=MAX_ID)
    output: Content
    name: str | None = None

    def kept(self, where: str) -> Item:
        """The result as it is kept. Errors: a part that is no text."""
        self.refuse_foreign(where)
        output: Any = self.output
        if not isinstance(output, str):
            output = [{"type": "input_text", "text": text} for text in _texts(output, f"{where}.output")]
        return {
            "id": self.id or new_item_id(self.type),
            "type": self.type,
            "call_id": self.call_id,
            "output": output,
            "status": self.status or "completed",
        }


class ReasoningItem(Strict):
    """What the model thought: its text, or that text as this server sealed it."""

    type: Literal["reasoning"]
    id: str | None = Field(None, min_length=1, max_length=MAX_ID)
    summary: Annotated[list[ItemText], Field(fail_fast=True, max_length=MAX_ITEMS)] = Field(default_factory=list)
    content: Annotated[list[ItemText], Field(fail_fast=True, max_length=MAX_ITEMS)] | None = None
    encrypted_content: str | None = None
    status: Status | None = None

    def kept(self, where: str) -> Item:
        """The reasoning as it is kept. Errors: sealed content of another server."""
        texts = [part.text for part in self.content or ()]
        if not texts and self.encrypted_content:
            texts = [unsealed(self.encrypted_content, f"{where}.encrypted_content")]
        return {
            "id": self.id or new_item_id(self.type),
            "type": self.type,
            "summary": [{"type": "summary_text", "text": part.text} for part in self.summary],
            "content": [{"type": "reasoning_text", "text": text} for text in texts],
            "status": self.status or "completed",
        }


class ItemReference(Strict):
    """An item that is kept here already, by its id."""

    type: Literal["item_reference"] | None = None
    id: str = Field(min_length=1, max_length=MAX_ID)


def _kind(value: Any) -> str | None:
    """Which of the item shapes this is; easy messages and references need not say it."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type") or ("message" if "role" in value else "item_reference")
    return "call_output" if kind in ("function_call_output", "custom_tool_call_output") else str(kind)


InputItem = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[CustomCallItem, Tag("custom_tool_call")]
    | Annotated[CallOutputItem, Tag("call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[ItemReference, Tag("item_reference")],
    Discriminator(_kind),
]
Input = Annotated[list[InputItem], Field(fail_fast=True, max_length=MAX_ITEMS)]


def refuse_foreign_items(items: Any, where: str) -> None:
    """Refuse by name what only hosted tools leave behind. Errors: UnsupportedField."""
    if not isinstance(items, list) or len(items) > MAX_ITEMS:
        return
    for index, item in enumerate(items):
        kind = item.get("type") if isinstance(item, dict) else None
        if isinstance(kind, str) and kind in FOREIGN_ITEMS:
            raise UnsupportedField(
                f"Items of type '{kind}' are not supported by this server: {FOREIGN_ITEMS[kind]}. Leave it out.",
                param=f"{where}[{index}].type",
            )


def kept_items(given: str | Sequence[Any] | None, where: str) -> list[Item | ItemReference]:
    """An input as items to be kept, references as they are. Errors: InvalidRequest naming the item's field."""
    if given is None:
        return []
    if isinstance(given, str):
        return [MessageItem(role="user", content=given).kept(where)]
    return [
        item if isinstance(item, ItemReference) else item.kept(f"{where}[{index}]") for index, item in enumerate(given)
    ]


def sealed(text: str) -> str:
    """Reasoning as ``encrypted_content``: encoded, so that it comes back whole. It is no secret: it lies beside it."""
    return SEAL + base64.urlsafe_b64encode(json.dumps(text).encode()).decode()


def unsealed(content: str, where: str) -> str:
    """The reasoning in it. Errors: InvalidRequest for what this server has not sealed."""
    try:
        if not content.startswith(SEAL):
            raise ValueError
        text = json.loads(base64.b64decode(content[len(SEAL) :], altchars=b"-_", validate=True))
        if not isinstance(text, str):
            raise ValueError
        text.encode()
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidRequest(
            "This encrypted content was not made by this server, so its reasoning cannot be read. Leave the item out.",
            param=where,
            code="invalid_encrypted_content",
        ) from None
    return text


def _texts(content: Content, where: str) -> list[str]:
    if isinstance(content, str):
        return [content]
    texts = []
    for number, part in enumerate(content):
        if isinstance(part, ItemMedia):
            raise UnsupportedField(
                f"'{part.type}' parts are not supported: models here read text.", param=f"{where}[{number}].type"
            )
        texts.append(part.text if isinstance(part, ItemText) else part.refusal)
    return texts
