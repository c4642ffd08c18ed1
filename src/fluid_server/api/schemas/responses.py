"""Requests of the Responses API, made into one GenerateRequest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fluid_server.api.schemas.drawn import Drawn
from fluid_server.api.schemas.fields import Contract
from fluid_server.api.schemas.generate import check_text
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.api.schemas.responses_fields import (
    FOREIGN_INCLUDES,
    INPUT_TOKENS,
    LOGPROBS,
    REPEATED,
    RESPONSES,
    SEALED,
)
from fluid_server.api.schemas.responses_items import Input, refuse_foreign_items
from fluid_server.api.schemas.responses_tools import (
    TextConfig,
    ToolChoice,
    Tools,
    refuse_hosted_tools,
    response_tool_use,
)
from fluid_server.api.schemas.strict import Metadata, Strict
from fluid_server.api.schemas.template_kwargs import SWITCHES, TemplateKwargs
from fluid_server.api.schemas.tools import Effort
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.types import GenerateRequest, Message

MAX_ID = 128
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class ConversationId(Strict):
    """A conversation by its id."""

    id: Id


class EventOptions(Strict):
    """What a stream says besides the events."""

    include_obfuscation: bool | None = Field(None, description="accepted; nothing is padded on a local connection")


class Reasoning(Strict):
    """How much a model thinks. What it thinks is always given whole, so there are no summaries of it."""

    effort: Effort | None = Field(None, description="to the chat template's own switch")
    summary: Literal["auto", "concise", "detailed"] | None = Field(
        None, description="only auto: models here give what they think itself, and no summary"
    )
    generate_summary: Literal["auto", "concise", "detailed"] | None = Field(None, description="the old name of summary")
    context: Literal["auto", "current_turn", "all_turns"] | None = Field(
        None, description="auto: the chat template decides; current_turn: earlier reasoning is left out"
    )
    mode: Literal["standard", "pro"] | None = Field(None, description="only standard")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        wishes = {
            "summary": (self.summary, "auto", "models here give their reasoning itself, and no summary"),
            "generate_summary": (
                self.generate_summary, "auto", "models here give their reasoning itself, and no summary"
            ),
            "mode": (self.mode, "standard", "there is one mode"),
        }  # fmt: skip
        for name, (value, harmless, reason) in wishes.items():
            if value not in (None, harmless):
                _refuse(f"reasoning.{name}", value, reason)
        if self.context == "all_turns":
            _refuse("reasoning.context", "all_turns", "the chat template decides which earlier reasoning it writes")
        return self


def _refuse(name: str, value: str, reason: str) -> None:
    raise UnsupportedField(f"'{name}' '{value}' is not supported by this server: {reason}. Leave it out.", param=name)


class PromptBody(Strict):
    """What a prompt is made of."""

    contract: ClassVar[Contract]

    model: str = Field(min_length=1, max_length=256, description="a model's id, as GET /v1/models lists it")
    input: str | Input | None = Field(None, description="a text, or messages, calls, their outputs and references")
    instructions: str | None = Field(
        None, description="a system message before everything else, for this response alone"
    )
    previous_response_id: Id | None = Field(None, description="go on after this stored response")
    conversation: Id | ConversationId | None = Field(
        None, description="go on with this stored conversation, and add to it what is said"
    )
    tools: Tools | None = Field(None, description="functions and custom tools that the model may call")
    tool_choice: ToolChoice | None = Field(
        None, description="none, auto, required, one tool, or some of them (`allowed_tools`): held to by a grammar"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call a response")
    text: TextConfig | None = Field(None, description="`format`: text, json_object, json_schema; `verbosity`")
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: the oldest turns are left out until the prompt fits into the context"
    )
    chat_template_kwargs: TemplateKwargs | None = Field(None, description=SWITCHES)
    keep_alive: KeepAlive = None

    @model_validator(mode="before")
    @classmethod
    def _by_contract(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        check_text(body)
        kept = cls.contract.check(body)
        refuse_foreign_items(kept.get("input"), "input")
        refuse_hosted_tools(kept.get("tools"), kept.get("tool_choice"))
        return kept | {name: body[name] for name in REPEATED if name in body and name in cls.contract.accepted}

    @model_validator(mode="after")
    def _one_past(self) -> Self:
        if self.previous_response_id is not None and self.conversation is not None:
            raise InvalidRequest(
                "'previous_response_id' and 'conversation' cannot both be given.", param="previous_response_id"
            )
        if self.input is None and self.previous_response_id is None and self.conversation is None:
            raise InvalidRequest(
                "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
            )
        return self

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id, however it was given."""
        return self.conversation.id if isinstance(self.conversation, ConversationId) else self.conversation

    @property
    def drops_old_reasoning(self) -> bool:
        """Whether what the model thought in earlier turns is left out."""
        return self.reasoning is not None and self.reasoning.context == "current_turn"

    def as_prompt(self, messages: Sequence[Message]) -> GenerateRequest:
        """The body as a prompt, no more said of its answer than that depends on. Errors: InvalidRequest."""
        return GenerateRequest(
            messages=tuple(messages),
            template_kwargs=self.chat_template_kwargs or {},
            tool_use=response_tool_use(self.tools, self.tool_choice, parallel=self.parallel_tool_calls),
            shape=self.text.as_shape() if self.text else None,
            effort=self.reasoning.effort if self.reasoning else None,
            verbosity=self.text.verbosity if self.text else None,
        )


class InputTokensBody(PromptBody):
    """POST /v1/responses/input_tokens."""

    contract: ClassVar[Contract] = INPUT_TOKENS


class ResponseBody(Drawn, PromptBody):
    """POST /v1/responses."""

    contract: ClassVar[Contract] = RESPONSES

    max_output_tokens: int | None = Field(None, ge=1, description="limit of the answer, its reasoning included")
    ignore_eos: bool | None = Field(None, description="go on after the model's end token, up to max_output_tokens")
    include: list[str] | None = Field(None, max_length=100, description=f"{LOGPROBS}, {SEALED}")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="that many of the likeliest tokens at each place; above 0 it includes logprobs"
    )
    background: bool | None = Field(None, description="answer at once, and go on whether the client stays or not")
    store: bool | None = Field(None, description="keep the response; default: true where the server has a store")
    stream: bool | None = Field(None, description="answer as typed server-sent events")
    stream_options: EventOptions | None = Field(None, description="only with `stream`")
    metadata: Metadata | None = Field(None, description="up to 16 labels, kept with the response")
    timings: bool | None = Field(None, description="say how long each part took")
    user: str | None = Field(None, description="requests of different users take turns where they have to wait")
    safety_identifier: str | None = Field(None, description="the same as `user`, and wins over it")
    max_tool_calls: int | None = Field(None, ge=1, description="of hosted tools, and there are none")
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
        if self.background and self.store is False:
            raise InvalidRequest("'background' needs 'store': the response is fetched later.", param="background")
        check_includes(self.include or ())
        return self

    @property
    def end_user(self) -> str:
        """Whom the request is for, where the client says so."""
        return self.safety_identifier or self.user or ""

    @property
    def logprobs(self) -> int | None:
        """How many alternatives to each token are wanted; None where no log probabilities are."""
        return self.top_logprobs or 0 if self.top_logprobs or LOGPROBS in (self.include or ()) else None

    @property
    def seals(self) -> bool:
        """Whether reasoning is also given as ``encrypted_content``."""
        return SEALED in (self.include or ())

    def as_request(self, messages: Sequence[Message]) -> GenerateRequest:
        """The body as what flows. Errors: InvalidRequest naming the field."""
        return replace(
            self.as_prompt(messages),
            sampling=self.sampling,
            max_tokens=self.max_output_tokens,
            stop=self.stops,
            ignore_eos=bool(self.ignore_eos),
            logprobs=self.logprobs,
        )


def check_includes(names: Sequence[str]) -> None:
    """Errors: UnsupportedField for what cannot be added to an answer here."""
    for index, name in enumerate(names):
        if name in FOREIGN_INCLUDES:
            raise UnsupportedField(
                f"'{name}' is not supported by this server: {FOREIGN_INCLUDES[name]}. Leave it out.",
                param=f"include[{index}]",
            )
        if name not in (LOGPROBS, SEALED):
            raise InvalidRequest(
                f"Invalid 'include[{index}]': there is '{LOGPROBS}' and '{SEALED}'.", param=f"include[{index}]"
            )
