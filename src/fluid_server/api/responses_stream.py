"""An answer's events become a response and the typed events that tell of it, in OpenAI's order.

The same narrator makes the response that is answered whole: what a stream tells and what it ends with cannot differ.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fluid_server.api.generation import merged, token_text
from fluid_server.api.schemas.responses_answer import usage_of
from fluid_server.api.schemas.responses_items import Item, new_item_id, sealed
from fluid_server.errors import FluidError, InvalidRequest, QueueFull
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

Wire = dict[str, Any]  # an event as it goes over the wire, its number aside
LEAST = -9999.0  # OpenAI's word for a probability of nothing, which JSON cannot say as a logarithm


class Part(ABC):
    """One item of the output as it comes."""

    kind: str

    def __init__(self, index: int) -> None:
        self.id = new_item_id(self.kind)
        self.index = index

    @abstractmethod
    def item(self, status: str) -> Item:
        """The item as it stands."""

    @abstractmethod
    def begin(self) -> list[Wire]:
        """What tells that it is there."""

    @abstractmethod
    def end(self) -> list[Wire]:
        """What tells that its text is complete."""

    def wire(self, kind: str, **fields: Any) -> Wire:
        """An event of this item."""
        return {"type": f"response.{kind}", "item_id": self.id, "output_index": self.index, **fields}

    def added(self) -> Wire:
        """It is there."""
        item = self.item("in_progress")
        return {"type": "response.output_item.added", "output_index": self.index, "item": item}

    def done(self, status: str) -> Wire:
        """It is complete, or as complete as it will be."""
        return {"type": "response.output_item.done", "output_index": self.index, "item": self.item(status)}


class MessagePart(Part):
    """Text for the user."""

    kind = "message"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._text = ""
        self._logprobs: list[Mapping[str, Any]] = []
        self._begun = False

    def item(self, status: str) -> Item:
        """A message; its text is there from the content part on."""
        content = [self._content()] if self._begun else []
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}

    def begin(self) -> list[Wire]:
        """The item, then its one content part."""
        added = self.added()
        self._begun = True
        return [added, self.wire("content_part.added", content_index=0, part=self._content())]

    def add(self, text: str, tokens: Iterable[TokenLogprob], *, top: int | None) -> Wire:
        """More text, with what is known of its tokens."""
        self._text += text
        found = [] if top is None else [_logprob(token, top) for token in tokens]
        self._logprobs += found
        return self.wire("output_text.delta", content_index=0, delta=text, logprobs=[_brief(one) for one in found])

    def end(self) -> list[Wire]:
        """The whole text, then its part."""
        logprobs = [_brief(one) for one in self._logprobs]
        return [
            self.wire("output_text.done", content_index=0, text=self._text, logprobs=logprobs),
            self.wire("content_part.done", content_index=0, part=self._content()),
        ]

    def _content(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": list(self._logprobs)}


class ReasoningPart(Part):
    """What the model thinks. ``seals``: also in a form that clients can send back without reading it."""

    kind = "reasoning"

    def __init__(self, index: int, *, seals: bool) -> None:
        super().__init__(index)
        self._text = ""
        self._seals = seals
        self._begun = False

    def item(self, status: str) -> Item:
        """A reasoning item with the text itself and no summary of it."""
        content = [self._content()] if self._begun else []
        item = {"id": self.id, "type": "reasoning", "summary": [], "content": content, "status": status}
        return {**item, "encrypted_content": sealed(self._text)} if self._seals and status != "in_progress" else item

    def begin(self) -> list[Wire]:
        """The item, then its one content part."""
        added = self.added()
        self._begun = True
        return [added, self.wire("content_part.added", content_index=0, part=self._content())]

    def add(self, text: str) -> Wire:
        """More of it."""
        self._text += text
        return self.wire("reasoning_text.delta", content_index=0, delta=text)

    def end(self) -> list[Wire]:
        """The whole text, then its part."""
        return [
            self.wire("reasoning_text.done", content_index=0, text=self._text),
            self.wire("content_part.done", content_index=0, part=self._content()),
        ]

    def _content(self) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": self._text}


class CallPart(Part):
    """A call of a function or, with its input as text, of a custom tool."""

    def __init__(self, index: int, piece: ToolPiece) -> None:
        self.kind = "custom_tool_call" if piece.custom else "function_call"
        super().__init__(index)
        self._custom = piece.custom
        self._call_id, self._name = piece.id or "", piece.name or ""
        self._arguments = ""
        self._word = "input" if piece.custom else "arguments"
        self._event = "custom_tool_call_input" if piece.custom else "function_call_arguments"

    def item(self, status: str) -> Item:
        """The call; of a custom tool OpenAI's has no status."""
        item = {"id": self.id, "type": self.kind, "call_id": self._call_id, "name": self._name}
        item[self._word] = self._arguments
        return item if self._custom else {**item, "status": status}

    def begin(self) -> list[Wire]:
        """The item with its name."""
        return [self.added()]

    def add(self, arguments: str) -> Wire:
        """More of the arguments."""
        self._arguments += arguments
        return self.wire(f"{self._event}.delta", delta=arguments)

    def end(self) -> list[Wire]:
        """The whole arguments."""
        name = {} if self._custom else {"name": self._name}
        return [self.wire(f"{self._event}.done", **{self._word: self._arguments}, **name)]


class Narrator:
    """One response as it comes together. ``head`` is its beginning; ``top`` None is without log probabilities."""

    def __init__(self, head: Mapping[str, Any], *, top: int | None = None, seals: bool = False) -> None:
        self._head = dict(head)
        self._top = top
        self._seals = seals
        self._parts: list[Part] = []
        self._open = False  # whether more of the last part may come
        self._gap: list[TextPiece] = []  # white space that may stand between two items rather than in a message
        self._reason = "stop"
        self.over = False
        self.measure: Callable[[Usage], Mapping[str, Any]] = lambda _: {}  # further fields of a response that has ended

    @property
    def response(self) -> dict[str, Any]:
        """The response as it stands."""
        last = len(self._parts) - 1
        items = [part.item("in_progress" if n == last else "completed") for n, part in enumerate(self._parts)]
        return self._head if self.over else {**self._head, "output": items}

    # --- what happens to the response ---------------------------------------------------------------------

    def created(self) -> list[Wire]:
        """The response is there; one in the background waits at first."""
        queued = [self._state("queued")] if self._head["status"] == "queued" else []
        return [self._state("created"), *queued]

    def in_progress(self, **known: Any) -> list[Wire]:
        """Its model is there; ``known`` are the fields that this makes known."""
        self._head |= {**known, "status": "in_progress"}
        return [self._state("in_progress")]

    def take(self, events: Iterable[Event]) -> list[Wire]:
        """What has come, as it is told."""
        return [wire for event in merged(events) for wire in self._event(event)]

    def failed(self, error: FluidError) -> list[Wire]:
        """The response has failed: the error itself, then what is left of the response."""
        about = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        self._finish("failed", error={"code": _code(error), "message": error.message})
        return [about, self._state("failed")]

    def cancelled(self) -> list[Wire]:
        """Nobody wants the rest. OpenAI has no event for it: it is told as incomplete, with the true status."""
        self._finish("cancelled")
        return [self._state("incomplete")]

    # --- inside -------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> list[Wire]:
        match event:
            case TextPiece():
                return self._text(event)
            case ReasoningPiece(text=text):
                if isinstance(part := self._current, ReasoningPart):
                    return [part.add(text)]
                thought = ReasoningPart(len(self._parts), seals=self._seals)
                return [*self._begin(thought), thought.add(text)]
            case ToolPiece():
                return self._call(event)
            case ChoiceEnd(reason=reason):
                self._reason = reason
            case Done(usage=usage):
                return self._end(usage)
        return []

    @property
    def _current(self) -> Part | None:
        return self._parts[-1] if self._open else None

    def _text(self, piece: TextPiece) -> list[Wire]:
        part = self._current
        if isinstance(part, MessagePart):
            return [part.add(piece.text, piece.logprobs, top=self._top)]
        self._gap.append(piece)
        return self._said() if piece.text.strip() else []

    def _said(self) -> list[Wire]:
        """A message that begins with what was held back."""
        held, self._gap = self._gap, []
        part = MessagePart(len(self._parts))
        tokens = [token for piece in held for token in piece.logprobs]
        text = "".join(piece.text for piece in held)
        return [*self._begin(part), *([part.add(text, tokens, top=self._top)] if text else [])]

    def _call(self, piece: ToolPiece) -> list[Wire]:
        part = self._current
        if piece.id is None and isinstance(part, CallPart):
            return [part.add(piece.arguments)]
        call = CallPart(len(self._parts), piece)
        return [*self._begin(call), *([call.add(piece.arguments)] if piece.arguments else [])]

    def _begin(self, part: Part) -> list[Wire]:
        ended = self._close("completed")
        self._gap = []
        self._parts.append(part)
        self._open = True
        return [*ended, *part.begin()]

    def _close(self, status: str) -> list[Wire]:
        part = self._current
        self._open = False
        return [] if part is None else [*part.end(), part.done(status)]

    def _end(self, usage: Usage) -> list[Wire]:
        cut = self._reason == "length"
        status = "incomplete" if cut else "completed"
        said = [] if self._parts else self._said()
        said += self._close(status)
        details = {"reason": "max_output_tokens"} if cut else None
        self._finish(status, usage=usage_of(usage), incomplete_details=details, **self.measure(usage))
        return [*said, self._state(status)]

    def _finish(self, status: str, **fields: Any) -> None:
        """The last word: of what was open, what there is of it."""
        cut = status != "completed"
        last = len(self._parts) - 1
        output = [
            part.item("incomplete" if cut and number == last else "completed")
            for number, part in enumerate(self._parts)
        ]
        completed = int(time.time()) if status == "completed" else None
        self._head |= {"status": status, "completed_at": completed, "output": output, **fields}
        self.over = True

    def _state(self, kind: str) -> Wire:
        return {"type": f"response.{kind}", "response": self.response}


def _logprob(token: TokenLogprob, top: int) -> Mapping[str, Any]:
    return {**_token(token), "top_logprobs": [_token(one) for one in token.top[:top]]}


def _token(token: TokenLogprob) -> dict[str, Any]:
    data = token.data or token.text.encode()
    return {"token": token_text(token), "bytes": list(data), "logprob": max(token.logprob, LEAST)}


def _brief(logprob: Mapping[str, Any]) -> dict[str, Any]:
    """As events have it: without bytes."""
    top = [{"token": one["token"], "logprob": one["logprob"]} for one in logprob["top_logprobs"]]
    return {"token": logprob["token"], "logprob": logprob["logprob"], "top_logprobs": top}


def _code(error: FluidError) -> str:
    """The nearest of the few codes that a failed response may have."""
    if isinstance(error, QueueFull):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"
