"""One response from its request to its end: what it goes on from, what fits, what is said, what is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any

from fluid_server.api import sse
from fluid_server.api.deps import needed
from fluid_server.api.generation import Stopwatch
from fluid_server.api.naming import named_as
from fluid_server.api.response_context import (
    check_calls,
    check_ids,
    droppable,
    messages_of,
    without,
    without_old_reasoning,
)
from fluid_server.api.responses_stream import Narrator, Wire
from fluid_server.api.schemas.responses import PromptBody, ResponseBody
from fluid_server.api.schemas.responses_answer import of_model, opening
from fluid_server.api.schemas.responses_items import Item
from fluid_server.api.stored_items import resolved
from fluid_server.errors import ContextTooLong, FluidError, InvalidRequest, StoreFailed
from fluid_server.managers.lease import Lease
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.store.records import StoredResponse, new_id
from fluid_server.store.store import Store
from fluid_server.types import Ability, GenerateRequest, Message, Tokenized, TokenizeRequest

logger = logging.getLogger(__name__)
UNFINISHED = ("queued", "in_progress")
RESERVED_SHARE = 4  # of the context, one part in so many is left for an answer whose length nobody limited
OUR_NAMES = {
    "messages": "input",
    "prompt": "input",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "response_format": "text.format",
    "logprobs": "include",
    "max_tokens": "max_output_tokens",
}
"""How this API calls what runtimes refuse by the names of chat requests."""


def in_our_names() -> AbstractContextManager[None]:
    """Failures that name a field of chat requests name the one of this API instead."""
    return named_as(OUR_NAMES)


@dataclass(frozen=True, slots=True)
class Context:
    """What the model is to read: ``items`` are what the request brought itself, ``messages`` all of it."""

    items: tuple[Item, ...]
    messages: tuple[Message, ...]


async def context_of(body: PromptBody, store: Store | None) -> Context:
    """What a request says and what it goes on from. Errors: what is not there, or does not go together."""
    before = await _before(body, store)
    brought = await resolved(body.input, "input", store)
    items = [*before, *brought]
    check_ids(items)
    check_calls(items)
    if body.drops_old_reasoning:
        items = without_old_reasoning(items)
    messages = messages_of(items, body.instructions)
    if not messages:
        raise InvalidRequest("There is nothing to answer: send at least one item.", param="input")
    return Context(tuple(brought), messages)


async def _before(body: PromptBody, store: Store | None) -> Sequence[Any]:
    """The items of earlier responses, or of the conversation."""
    if body.conversation_id is not None:
        return await needed(store, "conversation").all_items(body.conversation_id)
    if body.previous_response_id is None:
        return ()
    kept = needed(store, "previous_response_id")
    items = await kept.history(body.previous_response_id)
    previous = (await kept.get_response(body.previous_response_id)).body
    if previous["status"] in UNFINISHED:
        raise InvalidRequest(
            f"The response '{body.previous_response_id}' has not ended yet. Wait until it has.",
            param="previous_response_id",
        )
    if conversation := previous.get("conversation"):
        raise InvalidRequest(
            f"The response '{body.previous_response_id}' is part of a conversation. Go on with 'conversation': "
            f"'{conversation['id']}'.",
            param="previous_response_id",
        )
    return items


async def fitted(lease: Lease, request: GenerateRequest) -> GenerateRequest:
    """The request without as many of its oldest turns as must go. Errors: ContextTooLong where even that is too much.

    What must fit is the prompt and the answer's limit, or a quarter of the context where there is no limit or a
    larger one.
    """
    context, messages = lease.info.context_length, request.messages or ()
    if context is None:
        return request
    share = context // RESERVED_SHARE
    most = context - min(request.max_tokens or share, share)
    if await _fits(lease, request, most):
        return request
    parts = droppable(messages)
    low, high = min(1, len(parts)), len(parts)  # less than ``low`` is too much still; more than ``high`` cannot go
    while low < high:
        middle = (low + high) // 2
        if await _fits(lease, replace(request, messages=without(messages, parts[:middle])), most):
            high = middle
        else:
            low = middle + 1
    return replace(request, messages=without(messages, parts[:low]))


async def _fits(lease: Lease, request: GenerateRequest, most: int) -> bool:
    try:
        return await count_tokens(lease, request) <= most
    except ContextTooLong:  # by its mere characters
        return False


async def count_tokens(lease: Lease, request: GenerateRequest) -> int:
    """How many tokens a request's prompt has, by the model's own template. Errors: those of the prompt."""
    count = 0
    async with aclosing(lease.run(TokenizeRequest(prompt=request))) as batches:
        async for events in batches:
            count += sum(len(event.ids) for event in events if isinstance(event, Tokenized))
    return count


class Run:
    """One response on its way. ``response`` is the object as it stands."""

    def __init__(
        self, body: ResponseBody, context: Context, manager: RuntimeManager, visitor: Visitor, store: Store | None
    ) -> None:
        self.id = new_id("resp_")
        self.visitor = visitor
        self._body = body
        self._context = context
        self._manager = manager
        self._request = body.as_request(context.messages)
        if body.store or body.background:
            needed(store, "store" if body.store else "background")
        self._keeps = store if body.store is not False else None
        self._conversations = store
        head = opening(body, self.id, int(time.time()))
        self._narrator = Narrator(head, top=body.logprobs, seals=body.seals)
        self._told = 0

    @property
    def response(self) -> dict[str, Any]:
        """The response as it stands."""
        return self._narrator.response

    async def prepared(self) -> Run:
        """Itself, once it is known that it can be kept where it is to be. Errors: StoreFailed."""
        if self._keeps is not None:
            await self._keeps.ready()
        return self

    async def events(self) -> AsyncGenerator[list[Wire], None]:
        """What is told of it, in batches; the last one once it is kept. Errors: why there is no answer."""
        told = self._narrator.created()
        if self._body.background:
            yield self._numbered(told)
            told = []
        with in_our_names():
            async with self._manager.lease(self._body.model, Ability.CHAT, 1, self.visitor) as lease:
                told += self._narrator.in_progress(**of_model(self._body, lease.spec))
                request = await fitted(lease, self._request) if self._body.truncation == "auto" else self._request
                watch = self._watch(lease)
                async with aclosing(lease.run(request)) as batches:
                    async for events in batches:
                        watch.see()
                        told += self._narrator.take(events)
                        if told and not self._narrator.over:
                            yield self._numbered(told)
                            told = []
        await self._end()
        yield self._numbered(told)

    def _watch(self, lease: Lease) -> Stopwatch:
        watch = Stopwatch(lease)
        if self._body.timings:
            self._narrator.measure = lambda usage: {"timings": watch.timings(usage).model_dump()}
        return watch

    def _numbered(self, events: Iterable[Wire]) -> list[Wire]:
        """Events get their numbers when they are told: what is never told leaves no gap."""
        first = self._told
        numbered = [{**event, "sequence_number": first + place} for place, event in enumerate(events)]
        self._told += len(numbered)
        return numbered

    async def whole(self) -> dict[str, Any]:
        """The response once it has ended. Errors: why there is no answer."""
        async with aclosing(self.events()) as batches:
            async for _ in batches:
                pass
        return self.response

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """The events as they go over the wire."""
        async with aclosing(self.events()) as batches:
            async for events in batches:
                yield frames_of(events)

    async def failed(self, error: FluidError) -> list[Wire]:
        """What is told of its failure, which is kept too."""
        began = [] if self._told else self._narrator.created()
        events = self._numbered([*began, *self._narrator.failed(error)])
        await self._keep_what_is_left()
        return events

    async def failed_frames(self, error: FluidError) -> bytes:
        """The same as it goes over the wire."""
        return frames_of(await self.failed(error))

    async def cancelled(self) -> list[Wire]:
        """What is told of its end before its time, which is kept too."""
        events = self._numbered(self._narrator.cancelled())
        await self._keep_what_is_left()
        return events

    async def keep(self) -> None:
        """Keep the response as it stands, where it is to be kept. Errors: StoreFailed."""
        if self._keeps is not None:
            stored = StoredResponse(
                self.id,
                self.response["created_at"],
                self.response,
                self._context.items,
                self._body.previous_response_id,
            )
            await self._keeps.put_response(stored)

    async def _end(self) -> None:
        """What was said becomes part of the conversation, and the response is kept."""
        if self._conversations is not None and (conversation := self._body.conversation_id):
            output = self.response["output"]
            await self._conversations.add_items(conversation, [*self._context.items, *output])
        await self.keep()

    async def _keep_what_is_left(self) -> None:
        try:
            await self.keep()
        except StoreFailed as error:  # what the client is told of already matters more
            logger.warning("response %s could not be kept: %s", self.id, error.message)


def frames_of(events: Iterable[Wire]) -> bytes:
    """Events as they go over the wire, each under its name."""
    return b"".join(sse.frame(event, event["type"]) for event in events)
