"""What the routes that generate text share: an answer's envelope, collecting and merging events, how long it took."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from typing import Any

from fluid_server import __version__
from fluid_server.api import sse
from fluid_server.api.schemas.answers import (
    AnswerMessage,
    ChoiceLogprobs,
    ChosenLogprobBody,
    CustomCallBody,
    FunctionCallBody,
    Timings,
    TokenLogprobBody,
    ToolCallBody,
    usage_body,
)
from fluid_server.managers.lease import Lease
from fluid_server.types import (
    ChoiceEnd,
    Done,
    Event,
    ReasoningPiece,
    TextPiece,
    TokenLogprob,
    ToolPiece,
    Usage,
)


def envelope(prefix: str, lease: Lease) -> dict[str, Any]:
    """What all parts of an answer share: a fresh id, the time, the model's full id, the engine that answered."""
    return {
        "id": prefix + uuid.uuid4().hex,
        "created": int(time.time()),
        "model": lease.spec.id,
        "system_fingerprint": f"fluid-{__version__}-{lease.info.runtime}",
    }


class ChunkWriter:
    """A stream's chunks in their envelope: one choice each, then the usage and the timings if they were asked for."""

    def __init__(self, head: dict[str, Any], kind: str, *, usage: bool) -> None:
        self._head = {**head, "object": kind}
        self._wants_usage = usage
        self._moulds: dict[int, sse.Mould] = {}

    def choice(self, index: int, reason: str | None, *, logprobs: Any = None, **content: Any) -> bytes:
        """One chunk of one choice; ``content`` is what a chunk of this kind carries (delta, text)."""
        return sse.frame(self._chunk(index, reason, logprobs, content))

    def piece(self, index: int, said: str, **content: Any) -> bytes:
        """One chunk of one choice's text, of which there are many; ``content`` has sse.HOLE in its place."""
        if index not in self._moulds:
            self._moulds[index] = sse.Mould(self._chunk(index, None, None, content))
        return self._moulds[index].filled(said)

    def _chunk(self, index: int, reason: str | None, logprobs: Any, content: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": index, **content, "logprobs": logprobs, "finish_reason": reason}
        chunk: dict[str, Any] = {**self._head, "choices": [choice]}
        if self._wants_usage:
            chunk["usage"] = None
        return chunk

    def last(self, usage: Usage, timings: Timings | None = None) -> bytes:
        """The last chunk; nothing where neither usage nor timings were asked for."""
        if not self._wants_usage and timings is None:
            return b""
        chunk = {**self._head, "choices": []}
        if self._wants_usage:
            chunk["usage"] = usage_body(usage).model_dump()
        if timings is not None:
            chunk["timings"] = timings.model_dump()
        return sse.frame(chunk)


@dataclass(slots=True)
class Call:
    """A tool call as it comes together."""

    id: str
    name: str
    custom: bool
    arguments: str = ""


@dataclass(slots=True)
class Answered:
    """One choice as it comes together."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    reason: Any = None

    def take(self, event: Event) -> None:
        """Add what has come."""
        match event:
            case TextPiece(text=text, logprobs=logprobs):
                self.text += text
                self.logprobs += logprobs
            case ReasoningPiece(text=text):
                self.reasoning += text
            case ToolPiece(id=str() as call, name=str() as name, custom=custom, arguments=arguments):
                self.calls.append(Call(call, name, custom, arguments))
            case ToolPiece(index=index, arguments=arguments):
                self.calls[index].arguments += arguments
            case ChoiceEnd(reason=reason):
                self.reason = reason


class Collected:
    """A whole answer as it comes together: its choices, and the counts."""

    def __init__(self, n: int) -> None:
        self.choices = [Answered() for _ in range(n)]
        self.usage = Usage()

    def take(self, events: Iterable[Event]) -> None:
        """Add what has come."""
        for event in events:
            if isinstance(event, Done):
                self.usage = event.usage
            elif isinstance(event, TextPiece | ReasoningPiece | ToolPiece | ChoiceEnd):
                self.choices[event.choice].take(event)


async def collect(batches: AsyncGenerator[list[Event], None], n: int, watch: Stopwatch | None = None) -> Collected:
    """Wait for all of an answer. Errors: the request's failure."""
    answer = Collected(n)
    async with aclosing(batches):
        async for events in batches:
            if watch is not None:
                watch.see()
            answer.take(events)
    return answer


def message_body(answer: Answered) -> AnswerMessage:
    """The assistant's message: no content where there are only calls."""
    return AnswerMessage(
        content=answer.text if answer.text or not answer.calls else None,
        tool_calls=[_call_body(call) for call in answer.calls] or None,
        reasoning_content=answer.reasoning or None,
        reasoning=answer.reasoning or None,
    )


def _call_body(call: Call) -> ToolCallBody:
    if call.custom:
        return ToolCallBody(id=call.id, type="custom", custom=CustomCallBody(name=call.name, input=call.arguments))
    function = FunctionCallBody(name=call.name, arguments=call.arguments)
    return ToolCallBody(id=call.id, type="function", function=function)


def logprobs_body(tokens: Iterable[TokenLogprob], top: int) -> ChoiceLogprobs:
    """Tokens as chat answers list them, with ``top`` alternatives each."""
    content = [
        ChosenLogprobBody(**_token(token), top_logprobs=[TokenLogprobBody(**_token(one)) for one in token.top[:top]])
        for token in tokens
    ]
    return ChoiceLogprobs(content=content)


def _token(token: TokenLogprob) -> Mapping[str, Any]:
    return {"token": token_text(token), "logprob": token.logprob, "bytes": list(token.data) or None}


def token_text(token: TokenLogprob) -> str:
    """A token on its own: bytes that are no whole character are written as OpenAI writes them, ``bytes:\\xe2``."""
    if not token.data:
        return token.text
    try:
        return token.data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.data)


def merged(events: Iterable[Event]) -> list[Event]:
    """Neighbouring pieces of one choice as one: a client that is behind catches up in fewer chunks."""
    result: list[Event] = []
    for choice, some in groupby(events, _choice_of_text):
        if choice is not None:
            result.append(_one_text(choice, [event for event in some if isinstance(event, TextPiece)]))
            continue
        for event in some:
            joined = _joined(result[-1], event) if result else None
            if joined is None:
                result.append(event)
            else:
                result[-1] = joined
    return result


def _choice_of_text(event: Event) -> int | None:
    return event.choice if isinstance(event, TextPiece) else None


def _one_text(choice: int, pieces: list[TextPiece]) -> TextPiece:
    if len(pieces) == 1:
        return pieces[0]
    logprobs = tuple(chain.from_iterable([piece.logprobs for piece in pieces]))
    return TextPiece(choice, "".join([piece.text for piece in pieces]), logprobs)


def _joined(last: Event, event: Event) -> Event | None:
    """The two as one; None where they are not of one kind, choice and call."""
    match last, event:
        case ReasoningPiece() as first, ReasoningPiece() as then if first.choice == then.choice:
            return ReasoningPiece(first.choice, first.text + then.text)
        case ToolPiece() as first, ToolPiece(id=None) as then if _same_call(first, then):
            return replace(first, arguments=first.arguments + then.arguments)
    return None


def _same_call(one: ToolPiece, other: ToolPiece) -> bool:
    return (one.choice, one.index) == (other.choice, other.index)


def summed(usages: Iterable[Usage]) -> Usage:
    """The counts of several requests together."""
    counts = list(usages)
    return Usage(
        prompt_tokens=sum(one.prompt_tokens for one in counts),
        completion_tokens=sum(one.completion_tokens for one in counts),
        cached_tokens=sum(one.cached_tokens for one in counts),
        reasoning_tokens=sum(one.reasoning_tokens for one in counts),
    )


class Stopwatch:
    """How long the parts of an answer took, from the request's arrival on."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._first: float | None = None

    def see(self) -> None:
        """A batch of events has come."""
        self._first = self._first or time.monotonic()

    def timings(self, usage: Usage) -> Timings:
        """The times until now, and the speeds that follow from them."""
        now, lease = time.monotonic(), self._lease
        first = self._first
        computed = usage.prompt_tokens - usage.cached_tokens
        return Timings(
            queue_ms=_milliseconds(lease.granted - lease.arrived - lease.load_seconds),
            load_ms=_milliseconds(lease.load_seconds),
            ttft_ms=_milliseconds(first - lease.arrived) if first is not None else None,
            total_ms=_milliseconds(now - lease.arrived),
            prompt_per_second=_rate(computed, first - lease.granted) if first is not None else None,
            completion_per_second=_rate(usage.completion_tokens - 1, now - first) if first is not None else None,
        )


def _milliseconds(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)


def _rate(tokens: int, seconds: float) -> float | None:
    return round(tokens / seconds, 2) if seconds > 0 and tokens > 0 else None
