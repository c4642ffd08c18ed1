"""What the Responses API answers with: OpenAI's objects, as our own description shows them, and their beginnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from fluid_server.api.schemas.answers import Timings
from fluid_server.api.schemas.responses import ResponseBody
from fluid_server.types import ModelSpec, Usage


class ResponseFailure(BaseModel):
    """Why a response failed: server_error, rate_limit_exceeded or invalid_prompt."""

    code: str
    message: str


class IncompleteDetails(BaseModel):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens", "content_filter"]


class InputDetails(BaseModel):
    """Input tokens that were not computed again, and those that were written to a cache for a price: none."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(BaseModel):
    """Output tokens that are reasoning."""

    reasoning_tokens: int


class ResponseUsage(BaseModel):
    """Exact token counts."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ConversationRef(BaseModel):
    """The conversation that a response belongs to."""

    id: str


class ResponseObject(BaseModel):
    """A response. ``output`` holds items of the types message, reasoning, function_call and custom_tool_call.

    ``usage`` is there once the response has ended, ``user`` where the request had it, ``timings`` if asked.
    """

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    completed_at: int | None
    background: bool
    error: ResponseFailure | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    previous_response_id: str | None
    conversation: ConversationRef | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    reasoning: dict[str, Any] | None
    safety_identifier: str | None
    service_tier: Literal["default"]
    temperature: float | None
    text: dict[str, Any]
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None = None
    user: str | None = None
    timings: Timings | None = None


class ResponseDeleted(BaseModel):
    """DELETE /v1/responses/{response_id}."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class ResponseItems(BaseModel):
    """GET /v1/responses/{response_id}/input_items: messages, calls, their outputs, reasoning."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str
    last_id: str
    has_more: bool


class InputTokens(BaseModel):
    """POST /v1/responses/input_tokens."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


def opening(body: ResponseBody, id_: str, created: int) -> dict[str, Any]:
    """A response that has said nothing yet, as a ResponseObject. What its model adds is not known yet."""
    settings = body.reasoning
    head: dict[str, Any] = {
        "id": id_,
        "object": "response",
        "created_at": created,
        "status": "queued" if body.background else "in_progress",
        "completed_at": None,
        "background": bool(body.background),
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "conversation": {"id": body.conversation_id} if body.conversation_id else None,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "prompt_cache_key": body.prompt_cache_key,
        "prompt_cache_retention": body.prompt_cache_retention,
        "reasoning": {"effort": settings.effort if settings else None, "summary": None},
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "temperature": body.temperature,
        "text": _text(body),
        "tool_choice": _choice(body),
        "tools": [tool.told() for tool in body.tools or ()],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": body.top_p,
        "truncation": body.truncation or "disabled",
    }
    return head if body.user is None else {**head, "user": body.user}


def of_model(body: ResponseBody, spec: ModelSpec) -> dict[str, Any]:
    """The fields that are known once the model is: its full id, and how it draws its tokens."""
    return {
        "model": spec.id,
        "temperature": _first(body.temperature, spec.sampling.temperature),
        "top_p": _first(body.top_p, spec.sampling.top_p),
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """A request's counts as a ResponseUsage."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def listed(items: Sequence[Mapping[str, Any]], *, more: bool) -> ResponseItems:
    """Items as a list."""
    data = [dict(item) for item in items]
    first, last = (data[0]["id"], data[-1]["id"]) if data else ("", "")
    return ResponseItems(data=data, first_id=first, last_id=last, has_more=more)


def _text(body: ResponseBody) -> dict[str, Any]:
    chosen = body.text.model_dump(by_alias=True, exclude_none=True) if body.text else {}
    return {"format": {"type": "text"}, "verbosity": "medium", **chosen}


def _choice(body: ResponseBody) -> Any:
    choice = body.tool_choice
    return choice if isinstance(choice, str) else "auto" if choice is None else choice.model_dump()


def _first(*values: float | None) -> float:
    return next((value for value in values if value is not None), 1.0)
