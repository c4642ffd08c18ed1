"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request

from fluid_server.api import sse
from fluid_server.api.deps import Config, Manager, Visit, expect, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.generation import ChunkWriter, Collected, collect, envelope, merged
from fluid_server.api.schemas.answers import (
    AnswerMessage,
    ChatChoice,
    ChatCompletion,
    usage_body,
)
from fluid_server.api.schemas.chat import ChatBody
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, ChoiceEnd, Done, Event, GenerateRequest, TextPiece

router = APIRouter(tags=["chat"])
OPENING = {"role": "assistant", "content": "", "refusal": None}


@router.post("/chat/completions", response_model=ChatCompletion, responses=documented())
async def create_chat_completion(
    request: Request, body: ChatBody, manager: Manager, config: Config, visit: Visit
) -> Any:
    """Answer a conversation, whole or as a stream of server-sent events (`stream: true`)."""
    asked = body.as_request(config.max_choices)
    visitor = expect(visit, end_user=body.end_user, keep_alive=body.keep_alive, waits=bool(body.stream))
    if not body.stream:
        return await unless_gone(request, _whole(manager, body.model, asked, visitor))
    frames = _frames(manager, body, asked, visitor)
    return await sse.respond(request, frames, heartbeat=config.heartbeat, activity=visitor.says)


async def _whole(manager: RuntimeManager, model: str, asked: GenerateRequest, visitor: Visitor) -> ChatCompletion:
    async with manager.lease(model, Ability.CHAT, asked.n, visitor) as lease:
        answer = await collect(lease.run(asked), asked.n)
        return _completion(envelope("chatcmpl-", lease), answer)


def _completion(head: dict[str, Any], answer: Collected) -> ChatCompletion:
    choices = [
        ChatChoice(index=index, message=AnswerMessage(content=text), finish_reason=reason)
        for index, (text, reason) in enumerate(zip(answer.texts, answer.reasons, strict=True))
    ]
    return ChatCompletion(**head, choices=choices, usage=usage_body(answer.usage))


async def _frames(
    manager: RuntimeManager, body: ChatBody, asked: GenerateRequest, visitor: Visitor
) -> AsyncGenerator[bytes, None]:
    async with manager.lease(body.model, Ability.CHAT, asked.n, visitor) as lease:
        chunks = ChunkWriter(envelope("chatcmpl-", lease), "chat.completion.chunk", usage=body.wants_usage)
        async with aclosing(lease.run(asked)) as batches:
            opening = b"".join(chunks.choice(choice, None, delta=OPENING) for choice in range(asked.n))
            async for events in batches:
                yield opening + b"".join(_frame(chunks, event) for event in merged(events))
                opening = b""


def _frame(chunks: ChunkWriter, event: Event) -> bytes:
    """An event as it goes over the wire; nothing for one that a client does not see."""
    match event:
        case TextPiece(choice=choice, text=text):
            return chunks.choice(choice, None, delta={"content": text})
        case ChoiceEnd(choice=choice, reason=reason):
            return chunks.choice(choice, reason, delta={})
        case Done(usage=usage):
            return chunks.usage(usage)
    return b""
