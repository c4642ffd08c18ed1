"""What the routes that generate text share: an answer's envelope and chunks, collecting and merging events."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from fluid_server import __version__
from fluid_server.api import sse
from fluid_server.api.schemas.answers import usage_body
from fluid_server.managers.lease import Lease
from fluid_server.types import ChoiceEnd, Done, Event, TextPiece, Usage


def envelope(prefix: str, lease: Lease) -> dict[str, Any]:
    """What all parts of an answer share: a fresh id, the time, the model's full id, the engine that answered."""
    return {
        "id": prefix + uuid.uuid4().hex,
        "created": int(time.time()),
        "model": lease.spec.id,
        "system_fingerprint": f"fluid-{__version__}-{lease.info.runtime}",
    }


class ChunkWriter:
    """A stream's chunks in their envelope: one choice each, then the usage if it was asked for."""

    def __init__(self, head: dict[str, Any], kind: str, *, usage: bool) -> None:
        self._head = {**head, "object": kind}
        self._wants_usage = usage

    def choice(self, index: int, reason: str | None, **content: Any) -> bytes:
        """One chunk of one choice; ``content`` is what a chunk of this kind carries (delta, text)."""
        choice = {"index": index, **content, "logprobs": None, "finish_reason": reason}
        chunk: dict[str, Any] = {**self._head, "choices": [choice]}
        if self._wants_usage:
            chunk["usage"] = None
        return sse.frame(chunk)

    def usage(self, usage: Usage) -> bytes:
        """The last chunk; nothing where it was not asked for."""
        if not self._wants_usage:
            return b""
        return sse.frame({**self._head, "choices": [], "usage": usage_body(usage).model_dump()})


class Collected:
    """A whole answer as it comes together: the text and finish reason of each choice, and the counts."""

    def __init__(self, n: int) -> None:
        self._pieces: list[list[str]] = [[] for _ in range(n)]
        self.reasons: list[Any] = [None] * n
        self.usage = Usage()

    @property
    def texts(self) -> list[str]:
        """The text of each choice."""
        return ["".join(pieces) for pieces in self._pieces]

    def take(self, events: Iterable[Event]) -> None:
        """Add what has come."""
        for event in events:
            match event:
                case TextPiece(choice=choice, text=text):
                    self._pieces[choice].append(text)
                case ChoiceEnd(choice=choice, reason=reason):
                    self.reasons[choice] = reason
                case Done(usage=usage):
                    self.usage = usage


async def collect(batches: AsyncGenerator[list[Event], None], n: int) -> Collected:
    """Wait for all of an answer. Errors: the request's failure."""
    answer = Collected(n)
    async with aclosing(batches):
        async for events in batches:
            answer.take(events)
    return answer


def merged(events: Iterable[Event]) -> list[Event]:
    """Neighbouring pieces of one choice as one: a client that is behind catches up in fewer chunks."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, TextPiece) and isinstance(last, TextPiece) and last.choice == event.choice:
            result[-1] = TextPiece(event.choice, last.text + event.text)
        else:
            result.append(event)
    return result


def summed(usages: Iterable[Usage]) -> Usage:
    """The counts of several requests together."""
    counts = list(usages)
    return Usage(
        sum(one.prompt_tokens for one in counts),
        sum(one.completion_tokens for one in counts),
        sum(one.cached_tokens for one in counts),
    )
