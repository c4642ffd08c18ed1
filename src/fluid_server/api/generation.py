"""What the routes that generate text share: collecting events, merging them, and an answer's envelope."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fluid_server import __version__
from fluid_server.managers.runtime_manager import Lease
from fluid_server.types import ChoiceEnd, Done, Event, TextPiece, Usage


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields that all chunks of an answer share: id, created, model, system_fingerprint."""

    fields: dict[str, Any]


def envelope(prefix: str, lease: Lease) -> Envelope:
    """A fresh id, the time, the model's full id, and the engine that answered."""
    return Envelope(
        {
            "id": prefix + uuid.uuid4().hex,
            "created": int(time.time()),
            "model": lease.spec.id,
            "system_fingerprint": f"fluid-{__version__}-{lease.info.runtime}",
        }
    )


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
