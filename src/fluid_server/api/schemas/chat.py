"""Chat requests: OpenAI's messages, made into one GenerateRequest."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fluid_server.api.schemas.fields import CHAT, Contract
from fluid_server.api.schemas.generate import MAX_ITEMS, GenerateBody, Strict
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.types import GenerateRequest, Message


class TextPart(Strict):
    """A piece of text."""

    type: Literal["text"]
    text: str
    prompt_cache_breakpoint: Any = Field(None, description="accepted; the runtime finds common prefixes itself")


class RefusalPart(Strict):
    """A model's earlier refusal."""

    type: Literal["refusal"]
    refusal: str


class MediaPart(Strict):
    """A picture, sound or file: refused by name, since models here read text."""

    type: Literal["image_url", "input_audio", "file", "video_url"]
    image_url: Any = None
    input_audio: Any = None
    file: Any = None
    video_url: Any = None
    prompt_cache_breakpoint: Any = None


MAX_DEPTH = 16  # of chat_template_kwargs: what is nested without end cannot be sent to a worker
Part = Annotated[TextPart | RefusalPart | MediaPart, Field(discriminator="type")]


class FunctionCall(Strict):
    """A call that a model made: ``arguments`` is JSON as text."""

    name: str
    arguments: str


class ToolCall(Strict):
    """One tool call of an earlier assistant message."""

    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None


class ChatMessage(Strict):
    """One message. An assistant's may hold tool calls in place of text; what the SDK sends back of an answer passes."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[Part], Field(fail_fast=True, max_length=MAX_ITEMS)] | None = None
    name: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True, max_length=MAX_ITEMS)] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None

    def as_message(self, index: int) -> Message:
        """The message as a chat template gets it. Errors: a field that is missing or cannot be served."""
        where = f"messages[{index}]"
        if self.content is None and not (self.role == "assistant" and (self.tool_calls or self.refusal)):
            raise InvalidRequest(
                f"Missing required parameter: '{where}.content'.",
                param=f"{where}.content",
                code="missing_required_parameter",
            )
        if self.role == "tool" and self.tool_call_id is None:
            raise InvalidRequest(
                f"Missing required parameter: '{where}.tool_call_id'.",
                param=f"{where}.tool_call_id",
                code="missing_required_parameter",
            )
        return Message(role=self.role, content=self._text(where), fields=self._fields())

    def _text(self, where: str) -> str:
        if not isinstance(self.content, list):
            return self.content if self.content is not None else self.refusal or ""
        texts = []
        for number, part in enumerate(self.content):
            if isinstance(part, MediaPart):
                param = f"{where}.content[{number}].type"
                raise UnsupportedField(f"'{part.type}' parts are not supported: models here read text.", param=param)
            texts.append(part.text if isinstance(part, TextPart) else part.refusal)
        return "".join(texts)

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.name is not None:
            fields["name"] = self.name
        if self.tool_calls:
            fields["tool_calls"] = [call.model_dump(exclude_none=True) for call in self.tool_calls]
        if self.tool_call_id is not None:
            fields["tool_call_id"] = self.tool_call_id
        if reasoning := self.reasoning_content or self.reasoning:
            fields["reasoning_content"] = reasoning
        return fields


class ChatBody(GenerateBody):
    """POST /v1/chat/completions."""

    contract: ClassVar[Contract] = CHAT

    messages: Annotated[list[ChatMessage], Field(fail_fast=True)] = Field(
        min_length=1, max_length=MAX_ITEMS, description="the conversation so far, the oldest first"
    )
    max_completion_tokens: int | None = Field(None, ge=1, description="limit of the answer; wins over max_tokens")
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description='switches of the model\'s chat template, such as {"enable_thinking": false}'
    )

    safety_identifier: str | None = Field(None, description="the same as `user`, and wins over it")

    @property
    def end_user(self) -> str:
        """Whom the request is for, where the client says so."""
        return self.safety_identifier or self.user or ""

    def as_request(self, max_choices: int) -> GenerateRequest:
        """The body as what flows. Errors: InvalidRequest naming the field."""
        return GenerateRequest(
            messages=tuple(message.as_message(index) for index, message in enumerate(self.messages)),
            template_kwargs=self._template_kwargs(),
            sampling=self.sampling,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=self.stops,
            n=self.choices(max_choices),
            ignore_eos=bool(self.ignore_eos),
        )

    def _template_kwargs(self) -> dict[str, Any]:
        chosen = self.chat_template_kwargs or {}
        reserved = {"messages", "tools", "add_generation_prompt", "continue_final_message"} & chosen.keys()
        if reserved:
            name = min(reserved)
            raise InvalidRequest(
                f"'chat_template_kwargs.{name}' is set by the server.", param=f"chat_template_kwargs.{name}"
            )
        if _deeper(chosen, MAX_DEPTH):
            raise InvalidRequest(
                f"'chat_template_kwargs' is nested more than {MAX_DEPTH} levels deep.", param="chat_template_kwargs"
            )
        return chosen


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(item, levels - 1) for item in inside)
