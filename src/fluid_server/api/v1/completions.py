"""POST /v1/completions."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request

from fluid_server.api import sse
from fluid_server.api.deps import Config, Manager, Visit, expect, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.generation import Answered, ChunkWriter, Collected, envelope, merged, summed, token_text
from fluid_server.api.naming import named_as
from fluid_server.api.schemas.answers import TextChoice, TextCompletion, TextLogprobs, usage_body
from fluid_server.api.schemas.completion import CompletionBody
from fluid_server.api.tasks import end
from fluid_server.managers.lease import Lease
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, ChoiceEnd, Done, Event, GenerateRequest, TextPiece, TokenLogprob, Usage

router = APIRouter(tags=["completions"])
# The only field here that can ask for a form, and how many alternatives are asked for.
OUR_NAMES = {"response_format": "structured_outputs", "tools": "structured_outputs", "top_logprobs": "logprobs"}


@router.post("/completions", response_model=TextCompletion, responses=documented() | sse.described())
async def create_completion(
    request: Request, body: CompletionBody, manager: Manager, config: Config, visit: Visit
) -> Any:
    """Continue a text, or several at once, without a chat template."""
    asked = body.as_requests(config.max_choices)
    visitor = expect(visit, end_user=body.end_user, keep_alive=body.keep_alive, waits=bool(body.stream))
    if not body.stream:
        return await unless_gone(request, _whole(manager, body, asked, visitor))
    frames = _frames(manager, body, asked, visitor)
    return await sse.respond(request, frames, heartbeat=config.heartbeat, activity=visitor.says)


async def _whole(
    manager: RuntimeManager, body: CompletionBody, asked: Sequence[GenerateRequest], visitor: Visitor
) -> TextCompletion:
    async with manager.lease(body.model, Ability.COMPLETION, sum(one.n for one in asked), visitor) as lease:
        answers = [Collected(one.n) for one in asked]
        async with aclosing(_together(lease, asked)) as batches:
            async for index, events in batches:
                answers[index].take(events)
        return _completion(envelope("cmpl-", lease), body, asked, answers)


def _completion(
    head: dict[str, Any], body: CompletionBody, asked: Sequence[GenerateRequest], answers: Sequence[Collected]
) -> TextCompletion:
    n = body.n or 1
    choices = [
        _choice(body, index * n + choice, _echo(body, one), kept)
        for index, (one, answer) in enumerate(zip(asked, answers, strict=True))
        for choice, kept in enumerate(best(answer.choices, n))
    ]
    return TextCompletion(**head, choices=choices, usage=usage_body(summed(one.usage for one in answers)))


def _choice(body: CompletionBody, index: int, echo: str, answer: Answered) -> TextChoice:
    logprobs = TextTokens(body.logprobs).body(answer.logprobs) if body.logprobs is not None else None
    return TextChoice(index=index, text=echo + answer.text, logprobs=logprobs, finish_reason=answer.reason)


def best(answers: Sequence[Answered], n: int) -> list[Answered]:
    """The ``n`` with the highest mean log probability a token, the best first; as they are where no more were drawn."""
    if len(answers) <= n:
        return list(answers)
    return sorted(answers, key=_mean_logprob, reverse=True)[:n]


def _mean_logprob(answer: Answered) -> float:
    tokens = answer.logprobs
    return sum(token.logprob for token in tokens) / len(tokens) if tokens else 0.0


class TextTokens:
    """The log probabilities of one continuation as they come, with ``top`` alternatives to each token."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._offset = 0

    def body(self, tokens: Sequence[TokenLogprob]) -> TextLogprobs:
        """These further tokens; their places in the text go on from the last ones."""
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(token.text)
        return TextLogprobs(
            tokens=[token_text(token) for token in tokens],
            token_logprobs=[token.logprob for token in tokens],
            top_logprobs=[self._likeliest(token) for token in tokens],
            text_offset=offsets,
        )

    def _likeliest(self, token: TokenLogprob) -> dict[str, float]:
        """As many as were asked for, and the token itself in any case."""
        return {token_text(one): one.logprob for one in (*token.top[: self._top], token)}


def _echo(body: CompletionBody, asked: GenerateRequest) -> str:
    return (asked.text or "") if body.echo else ""


async def _frames(
    manager: RuntimeManager, body: CompletionBody, asked: Sequence[GenerateRequest], visitor: Visitor
) -> AsyncGenerator[bytes, None]:
    async with manager.lease(body.model, Ability.COMPLETION, sum(one.n for one in asked), visitor) as lease:
        chunks = TextChunks(envelope("cmpl-", lease), usage=body.wants_usage, top=body.logprobs)
        opening = b"".join(
            chunks.choice(index * one.n + choice, None, text=one.text or "")
            for index, one in enumerate(asked)
            for choice in range(one.n)
            if body.echo
        )
        usages: list[Usage] = []
        async with aclosing(_together(lease, asked)) as batches:
            async for index, events in batches:
                usages += [event.usage for event in events if isinstance(event, Done)]
                yield opening + b"".join(chunks.event(event, index * asked[index].n) for event in merged(events))
                opening = b""
        if last := chunks.last(summed(usages)):
            yield last


async def _together(lease: Lease, asked: Sequence[GenerateRequest]) -> AsyncGenerator[tuple[int, list[Event]], None]:
    """The batches of several requests as they come, each with its request's index. Errors: the first failure."""
    arrived: asyncio.Queue[tuple[int, list[Event]] | None] = asyncio.Queue()

    async def forward(index: int, one: GenerateRequest) -> None:
        with named_as(OUR_NAMES):
            async with aclosing(lease.run(one)) as batches:
                async for events in batches:
                    arrived.put_nowait((index, events))

    tasks = [asyncio.ensure_future(forward(index, one)) for index, one in enumerate(asked)]
    for task in tasks:
        task.add_done_callback(lambda _: arrived.put_nowait(None))
    try:
        unfinished = len(tasks)
        while unfinished:
            item = await arrived.get()
            if item is not None:
                yield item
                continue
            unfinished -= 1
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        await end(tasks)


class TextChunks(ChunkWriter):
    """Continuations' events as chunks; ``top`` None is without log probabilities."""

    def __init__(self, head: dict[str, Any], *, usage: bool, top: int | None) -> None:
        super().__init__(head, "text_completion", usage=usage)
        self._tokens = None if top is None else defaultdict[int, TextTokens](lambda: TextTokens(top))

    def event(self, event: Event, offset: int) -> bytes:
        """An event as it goes over the wire; ``offset`` is the index of its prompt's first choice."""
        known = self._tokens
        match event:
            case TextPiece(choice=choice, text=text) if known is None:
                return self.piece(offset + choice, text, text=sse.HOLE)
            case TextPiece(choice=choice, text=text, logprobs=tokens):
                assert known is not None
                logprobs = known[offset + choice].body(tokens).model_dump()
                return self.choice(offset + choice, None, text=text, logprobs=logprobs)
            case ChoiceEnd(choice=choice, reason=reason):
                return self.choice(offset + choice, reason, text="")
        return b""
