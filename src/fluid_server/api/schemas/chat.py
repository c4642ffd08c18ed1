"""Chat requests: OpenAI's messages, made into one GenerateRequest."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.fields import CHAT, Contract
from fluid_server.api.schemas.formats import ResponseFormat, format_shape
from fluid_server.api.schemas.generate import MAX_ITEMS, GenerateBody
from fluid_server.api.schemas.strict import Metadata, Strict
from fluid_server.api.schemas.template_kwargs import SWITCHES, TemplateKwargs
from fluid_server.api.schemas.tools import (
    MAX_TOOLS,
    ChatTool,
    ChatToolChoice,
    Effort,
    Verbosity,
    chat_tool_use,
    custom_arguments,
    missing,
)
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.shapes import Shape
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


Part = Annotated[TextPart | RefusalPart | MediaPart, Field(discriminator="type")]


class FunctionCall(Strict):
    """A call that a model made: ``arguments`` is JSON as text."""

    name: str
    arguments: str


class CustomCall(Strict):
    """A call of a custom tool that a model made."""

    name: str
    input: str


class ToolCall(Strict):
    """One tool call of an earlier assistant message."""

    id: str | None = None
    type: Literal["function", "custom"] = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    index: int | None = None

    def as_call(self, where: str) -> dict[str, Any]:
        """The call as chat templates read it: a custom tool is a function with one text. Errors: what is missing."""
        given = self.function if self.type == "function" else self.custom
        if given is None:
            raise missing(f"{where}.{self.type}")
        arguments = given.arguments if isinstance(given, FunctionCall) else custom_arguments(given.input)
        call: dict[str, Any] = {"type": "function", "function": {"name": given.name, "arguments": arguments}}
        return {"id": self.id, **call} if self.id is not None else call


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
            raise missing(f"{where}.content")
        if self.role == "tool" and self.tool_call_id is None:
            raise missing(f"{where}.tool_call_id")
        return Message(role=self.role, content=self._text(where), fields=self._fields(where))

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

    def _fields(self, where: str) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.name is not None:
            fields["name"] = self.name
        if self.tool_calls:
            calls = enumerate(self.tool_calls)
            fields["tool_calls"] = [call.as_call(f"{where}.tool_calls[{number}]") for number, call in calls]
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
    tools: Annotated[list[ChatTool], Field(fail_fast=True, max_length=MAX_TOOLS)] | None = Field(
        None, description="functions and custom tools that the model may call"
    )
    tool_choice: ChatToolChoice | None = Field(
        None, description="none, auto, required, one tool, or some of them (`allowed_tools`): held to by a grammar"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call an answer")
    response_format: ResponseFormat | None = Field(None, description="text, any JSON object, or JSON of a schema")
    logprobs: bool | None = Field(None, description="each token of the answer with its log probability")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="that many of the likeliest tokens at each place, with `logprobs`"
    )
    reasoning_effort: Effort | None = Field(
        None, description="to the chat template's own switch; none and minimal turn reasoning off where it can be"
    )
    verbosity: Verbosity | None = Field(None, description="to the chat template's own switch, where it has one")
    store: bool | None = Field(None, description="keep the answer: GET /v1/chat/completions/{id}")
    metadata: Metadata | None = Field(None, description="up to 16 labels, kept with a stored answer")
    chat_template_kwargs: TemplateKwargs | None = Field(None, description=SWITCHES)
    add_generation_prompt: bool | None = Field(None, description="false: do not begin the assistant's turn")
    continue_final_message: bool | None = Field(
        None, description="go on with the last message, an assistant's, rather than answer it"
    )
    timings: bool | None = Field(None, description="say how long each part took")
    safety_identifier: str | None = Field(None, description="the same as `user`, and wins over it")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest("'top_logprobs' is only allowed when 'logprobs' is true.", param="top_logprobs")
        if self.continue_final_message:
            self._check_final_message()
        return self

    def _check_final_message(self) -> None:
        if self.add_generation_prompt:
            raise InvalidRequest(
                "'continue_final_message' and 'add_generation_prompt' cannot both be true.",
                param="continue_final_message",
            )
        last = self.messages[-1]
        if last.role != "assistant" or last.tool_calls:
            raise InvalidRequest(
                "With 'continue_final_message' the last message must be text of the assistant's.",
                param="continue_final_message",
            )

    @property
    def own_names(self) -> dict[str, str]:
        """How this request calls what runtimes refuse by another name."""
        if self.structured_outputs is not None:
            names = ("response_format",) if self.tools else ("response_format", "tools")
            return dict.fromkeys(names, "structured_outputs")
        return {"response_format": "tools"} if self.tools and self.response_format is None else {}

    @property
    def end_user(self) -> str:
        """Whom the request is for, where the client says so."""
        return self.safety_identifier or self.user or ""

    def as_request(self, max_choices: int) -> GenerateRequest:
        """The body as what flows. Errors: InvalidRequest naming the field."""
        continues = bool(self.continue_final_message)
        return GenerateRequest(
            messages=tuple(message.as_message(index) for index, message in enumerate(self.messages)),
            template_kwargs=self.chat_template_kwargs or {},
            sampling=self.sampling,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=self.stops,
            n=self.choices(max_choices),
            ignore_eos=bool(self.ignore_eos),
            tool_use=chat_tool_use(self.tools, self.tool_choice, parallel=self.parallel_tool_calls),
            shape=self._shape(),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            logit_bias=self.biases,
            effort=self.reasoning_effort,
            verbosity=self.verbosity,
            add_generation_prompt=self.add_generation_prompt is not False and not continues,
            continue_final_message=continues,
        )

    def _shape(self) -> Shape | None:
        shape = format_shape(self.response_format)
        if shape is not None and self.structured_outputs is not None:
            raise InvalidRequest(
                "'response_format' and 'structured_outputs' cannot both be given.", param="structured_outputs"
            )
        return self.wished_shape if self.structured_outputs is not None else shape
