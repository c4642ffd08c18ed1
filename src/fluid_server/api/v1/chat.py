"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Self

from fastapi import APIRouter, Request

from fluid_server.api import sse
from fluid_server.api.deps import Config, KeptIfAny, Manager, Visit, expect, needed, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.generation import (
    Answered,
    ChunkWriter,
    Collected,
    Stopwatch,
    collect,
    envelope,
    logprobs_body,
    merged,
    message_body,
)
from fluid_server.api.naming import named_as
from fluid_server.api.schemas.answers import ChatChoice, ChatCompletion, Timings, usage_body
from fluid_server.api.schemas.chat import ChatBody
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.store.store import Store
from fluid_server.types import (
    Ability,
    ChoiceEnd,
    Done,
    Event,
    GenerateRequest,
    ReasoningPiece,
    TextPiece,
    ToolPiece,
    Usage,
)

router = APIRouter(tags=["chat"])
OPENING = {"role": "assistant", "content": "", "refusal": None}


@router.post("/chat/completions", response_model=ChatCompletion, responses=documented() | sse.described())
async def create_chat_completion(
    request: Request, body: ChatBody, manager: Manager, config: Config, visit: Visit, kept: KeptIfAny
) -> Any:
    """Answer a conversation, whole or as a stream of server-sent events (`stream: true`)."""
    asked = body.as_request(config.max_choices)
    keeper = await Keeper(needed(kept, "store") if body.store else None, body).prepared()
    visitor = expect(visit, end_user=body.end_user, keep_alive=body.keep_alive, waits=bool(body.stream))
    if not body.stream:
        return await unless_gone(request, _whole(manager, body, asked, visitor, keeper))
    frames = _frames(manager, body, asked, visitor, keeper)
    return await sse.respond(request, frames, heartbeat=config.heartbeat, activity=visitor.says)


class Keeper:
    """Keeps an answer if the client wants it kept (then there is a store)."""

    def __init__(self, store: Store | None, body: ChatBody) -> None:
        self.store = store
        self._body = body

    async def prepared(self) -> Self:
        """Itself, once it is known that answers can be kept: nothing is generated in vain. Errors: StoreFailed."""
        if self.store is not None:
            await self.store.ready()
        return self

    async def keep(self, answer: ChatCompletion) -> ChatCompletion:
        """Store an answer with its messages and labels; it comes back with the labels. Errors: StoreFailed."""
        if self.store is None:
            return answer
        labels = self._body.metadata or {}
        kept = answer.model_copy(update={"metadata": labels})
        messages = [message.model_dump(exclude_none=True) for message in self._body.messages]
        await self.store.add_completion(kept.model_dump(exclude={"timings"}), messages, labels)
        return kept


async def _whole(
    manager: RuntimeManager, body: ChatBody, asked: GenerateRequest, visitor: Visitor, keeper: Keeper
) -> ChatCompletion:
    async with manager.lease(body.model, Ability.CHAT, asked.n, visitor) as lease:
        watch = Stopwatch(lease)
        with named_as(body.own_names):
            answer = await collect(lease.run(asked), asked.n, watch)
        timings = watch.timings(answer.usage) if body.timings else None
        head = {**envelope("chatcmpl-", lease), "timings": timings}
    return await keeper.keep(completion_body(head, answer, asked.logprobs))


def completion_body(head: dict[str, Any], answer: Collected, top: int | None) -> ChatCompletion:
    """A collected answer as OpenAI's object; ``top`` None is without log probabilities."""
    choices = [_choice(index, one, top) for index, one in enumerate(answer.choices)]
    return ChatCompletion(**head, choices=choices, usage=usage_body(answer.usage))


def _choice(index: int, answer: Answered, top: int | None) -> ChatChoice:
    logprobs = logprobs_body(answer.logprobs, top) if top is not None else None
    return ChatChoice(index=index, message=message_body(answer), logprobs=logprobs, finish_reason=answer.reason)


async def _frames(
    manager: RuntimeManager, body: ChatBody, asked: GenerateRequest, visitor: Visitor, keeper: Keeper
) -> AsyncGenerator[bytes, None]:
    answer = Collected(asked.n)
    async with manager.lease(body.model, Ability.CHAT, asked.n, visitor) as lease:
        watch, head = Stopwatch(lease), envelope("chatcmpl-", lease)
        chunks = ChatChunks(head, usage=body.wants_usage, top=asked.logprobs)
        opening = b"".join(chunks.choice(choice, None, delta=OPENING) for choice in range(asked.n))
        with named_as(body.own_names):
            async with aclosing(lease.run(asked)) as batches:
                async for events in batches:
                    watch.see()
                    if keeper.store is not None:
                        answer.take(events)
                    yield opening + b"".join(chunks.event(event) for event in merged(events))
                    opening = b""
                    if isinstance(done := events[-1], Done) and (last := chunks.last(*_counts(body, watch, done))):
                        yield last
    if keeper.store is not None:
        await keeper.keep(completion_body(head, answer, asked.logprobs))


def _counts(body: ChatBody, watch: Stopwatch, done: Done) -> tuple[Usage, Timings | None]:
    return done.usage, watch.timings(done.usage) if body.timings else None


class ChatChunks(ChunkWriter):
    """A chat's events as chunks; ``top`` None is without log probabilities."""

    def __init__(self, head: dict[str, Any], *, usage: bool, top: int | None) -> None:
        super().__init__(head, "chat.completion.chunk", usage=usage)
        self._top = top

    def event(self, event: Event) -> bytes:
        """An event as it goes over the wire; nothing for one that a client does not see."""
        match event:
            case TextPiece(choice=choice, text=text) if self._top is None:
                return self.piece(choice, text, delta={"content": sse.HOLE})
            case TextPiece(choice=choice, text=text, logprobs=tokens):
                logprobs = logprobs_body(tokens, self._top).model_dump() if self._top is not None else None
                return self.choice(choice, None, delta={"content": text}, logprobs=logprobs)
            case ReasoningPiece(choice=choice, text=text):
                return self.choice(choice, None, delta={"reasoning_content": text, "reasoning": text})
            case ToolPiece(choice=choice):
                return self.choice(choice, None, delta={"tool_calls": [_call_delta(event)]})
            case ChoiceEnd(choice=choice, reason=reason):
                return self.choice(choice, reason, delta={})
        return b""


def _call_delta(piece: ToolPiece) -> dict[str, Any]:
    kind, content = ("custom", "input") if piece.custom else ("function", "arguments")
    if piece.id is None:
        return {"index": piece.index, kind: {content: piece.arguments}}
    return {
        "index": piece.index,
        "id": piece.id,
        "type": kind,
        kind: {"name": piece.name, content: piece.arguments},
    }
