"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response

from fluid_server.api import sse
from fluid_server.api.deps import Config, Manager, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.generation import Collected, Envelope, collect, envelope, merged
from fluid_server.api.schemas.answers import (
    AnswerMessage,
    ChatChoice,
    ChatCompletion,
    usage_body,
)
from fluid_server.api.schemas.chat import ChatBody
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.types import Ability, ChoiceEnd, Done, Event, GenerateRequest, TextPiece

router = APIRouter(tags=["chat"])


@router.post("/chat/completions", response_model=ChatCompletion, responses=documented())
async def create_chat_completion(request: Request, body: ChatBody, manager: Manager, config: Config) -> Any:
    """Answer a conversation, whole or as a stream of server-sent events (`stream: true`)."""
    asked = body.as_request(config.max_choices)
    if not body.stream:
        return await unless_gone(request, _whole(manager, body.model, asked))
    return await _stream(request, manager, body, asked, config.heartbeat)


async def _whole(manager: RuntimeManager, model: str, asked: GenerateRequest) -> ChatCompletion:
    async with manager.lease(model, Ability.CHAT, asked.n) as lease:
        answer = await collect(lease.run(asked), asked.n)
        return _completion(envelope("chatcmpl-", lease), answer)


def _completion(head: Envelope, answer: Collected) -> ChatCompletion:
    choices = [
        ChatChoice(index=index, message=AnswerMessage(content=text), finish_reason=reason)
        for index, (text, reason) in enumerate(zip(answer.texts, answer.reasons, strict=True))
    ]
    return ChatCompletion(**head.fields, choices=choices, usage=usage_body(answer.usage))


async def _stream(
    request: Request, manager: RuntimeManager, body: ChatBody, asked: GenerateRequest, heartbeat: float
) -> Response:
    frames = _frames(manager, body.model, asked, usage=body.wants_usage)
    return await sse.respond(request, frames, heartbeat=heartbeat, activity=lambda: manager.activity(body.model))


async def _frames(
    manager: RuntimeManager, model: str, asked: GenerateRequest, *, usage: bool
) -> AsyncGenerator[bytes, None]:
    async with manager.lease(model, Ability.CHAT, asked.n) as lease:
        chunks = Chunks(envelope("chatcmpl-", lease), usage=usage)
        async with aclosing(lease.run(asked)) as batches:
            opening = b"".join(chunks.opening(choice) for choice in range(asked.n))
            async for events in batches:
                yield opening + b"".join(chunks.frame(event) for event in merged(events))
                opening = b""


class Chunks:
    """A stream's chunks: the role first, then text, then each choice's end, then usage if it was asked for."""

    def __init__(self, head: Envelope, *, usage: bool) -> None:
        self._head = {**head.fields, "object": "chat.completion.chunk"}
        self._usage = usage

    def opening(self, choice: int) -> bytes:
        """The first chunk of a choice."""
        return self._chunk(choice, {"role": "assistant", "content": "", "refusal": None})

    def frame(self, event: Event) -> bytes:
        """An event as it goes over the wire; nothing for one that a client does not see."""
        match event:
            case TextPiece(choice=choice, text=text):
                return self._chunk(choice, {"content": text})
            case ChoiceEnd(choice=choice, reason=reason):
                return self._chunk(choice, {}, reason)
            case Done(usage=usage) if self._usage:
                return sse.frame({**self._head, "choices": [], "usage": usage_body(usage).model_dump()})
        return b""

    def _chunk(self, choice: int, delta: dict[str, Any], reason: str | None = None) -> bytes:
        chunk = {
            **self._head,
            "choices": [{"index": choice, "delta": delta, "logprobs": None, "finish_reason": reason}],
        }
        if self._usage:
            chunk["usage"] = None
        return sse.frame(chunk)
