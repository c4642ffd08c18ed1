"""What answers look like: OpenAI's objects, with what a local server knows besides in further fields."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from fluid_server.api.schemas.sparse import Sparse
from fluid_server.types import Usage


class ErrorDetail(BaseModel):
    """What went wrong; ``message`` says what to do next, ``param`` names the field."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """Every failure, whatever its path and status."""

    error: ErrorDetail


class TokenDetails(BaseModel):
    """Prompt tokens that did not have to be computed again."""

    cached_tokens: int = 0


class CompletionDetails(BaseModel):
    """What the tokens of an answer were for. Nothing is predicted here, so no prediction is taken or left."""

    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class UsageBody(BaseModel):
    """Exact token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: TokenDetails = TokenDetails()
    completion_tokens_details: CompletionDetails = CompletionDetails()


class Timings(BaseModel):
    """How long the parts of an answer took, in milliseconds, and how fast it was, in tokens a second.

    ``queue_ms`` is the time before the model took the request, without ``load_ms``, the part of it in which the model
    was loaded. ``ttft_ms`` is from the request's arrival to the first token. The prompt's speed counts the tokens
    that were computed, none from the cache.
    """

    queue_ms: float
    load_ms: float
    ttft_ms: float | None
    total_ms: float
    prompt_per_second: float | None
    completion_per_second: float | None


class TokenLogprobBody(BaseModel):
    """A token and its natural-log probability; ``bytes`` are those of its UTF-8 text, or null if unknown."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChosenLogprobBody(TokenLogprobBody):
    """A token of the answer, and the likeliest ones at its place."""

    top_logprobs: list[TokenLogprobBody]


class ChoiceLogprobs(BaseModel):
    """The tokens of an answer's text."""

    content: list[ChosenLogprobBody] | None
    refusal: None = None


class FunctionCallBody(BaseModel):
    """The function that is called; ``arguments`` is JSON as text."""

    name: str
    arguments: str


class CustomCallBody(BaseModel):
    """The custom tool that is called, and its text."""

    name: str
    input: str


class ToolCallBody(Sparse):
    """A call that the model makes: of a function, or of a custom tool."""

    _sparse = frozenset({"function", "custom"})

    id: str
    type: Literal["function", "custom"]
    function: FunctionCallBody | None = None
    custom: CustomCallBody | None = None


class AnswerMessage(Sparse):
    """The assistant's message. Its reasoning stands in both fields that clients look for it in."""

    _sparse = frozenset({"tool_calls", "reasoning_content", "reasoning"})

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[ToolCallBody] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class ChatChoice(BaseModel):
    """One of n answers."""

    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: Literal["stop", "length", "tool_calls"]


class ChatCompletion(Sparse):
    """POST /v1/chat/completions, not streamed. ``metadata`` is there if the answer is stored, ``timings`` if asked."""

    _sparse = frozenset({"metadata", "timings"})

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageBody
    service_tier: Literal["default"] = "default"
    system_fingerprint: str
    metadata: dict[str, str] | None = None
    timings: Timings | None = None


class TextLogprobs(BaseModel):
    """The tokens of a continuation: their texts, log probabilities, likeliest others, and places in the text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(BaseModel):
    """One of n continuations of one of the prompts."""

    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: Literal["stop", "length"]


class TextCompletion(BaseModel):
    """POST /v1/completions, not streamed."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageBody
    system_fingerprint: str


class Tokens(Sparse):
    """POST /v1/tokenize. ``pieces`` are the texts of the single tokens, if they were asked for."""

    _sparse = frozenset({"pieces"})

    object: Literal["tokens"] = "tokens"
    model: str
    tokens: list[int]
    count: int
    context_length: int | None
    pieces: list[str] | None = None


class Detokenized(BaseModel):
    """POST /v1/detokenize."""

    object: Literal["text"] = "text"
    model: str
    text: str


def usage_body(usage: Usage) -> UsageBody:
    """A request's counts in OpenAI's words."""
    return UsageBody(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=TokenDetails(cached_tokens=usage.cached_tokens),
        completion_tokens_details=CompletionDetails(reasoning_tokens=usage.reasoning_tokens),
    )
