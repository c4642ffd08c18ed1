"""What an engine brings becomes what a client reads: text, reasoning and tool calls, with their log probabilities."""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from fluid_server.content.custom_input import CustomInput
from fluid_server.content.dialects import Argued, Called, Heard, Said, Thought
from fluid_server.content.stream import StopScanner
from fluid_server.runtimes.text_plan import Piece
from fluid_server.runtimes.text_prompt import Prompt
from fluid_server.types import Event, ReasoningPiece, TextPiece, TokenLogprob, ToolPiece, ToolUse


class Answer:
    """One choice as it comes: fed with an engine's pieces, it says what they are to the client."""

    def __init__(self, choice: int, prompt: Prompt, use: ToolUse | None) -> None:
        self.choice = choice
        self.reasoning_tokens = 0
        self._stops = StopScanner(prompt.stops)
        self._reader = prompt.read()
        self._thinking = prompt.thinking
        self._thought = False  # somewhere in this piece
        self._raw = prompt.raw
        self._json: list[str] | None = [] if prompt.json else None
        self._custom = {tool.name for tool in use.tools if tool.custom} if use is not None else set()
        self._one_call = use is not None and not use.parallel
        self._may_be_plain = not (prompt.stops or prompt.json or self._one_call)
        self._inputs: dict[int, CustomInput] = {}
        self._calls = 0
        self._fed = 0  # characters, of which so many are free of stop strings:
        self._safe = 0
        self._unsettled: deque[tuple[int, TokenLogprob]] = deque()  # where in the text each ends

    def take(self, piece: Piece) -> tuple[list[Event], str | None]:
        """What a piece means, and OpenAI's finish_reason where it is the last."""
        if (said := self._plain(piece)) is not None:
            return [TextPiece(self.choice, said)] if said else [], None
        self._thought = False
        events: list[Event] = []
        if piece.logprobs:
            events = self._feed_tokens(piece)
        elif piece.text:
            events = self._feed(piece.text)
        finish = self._finish(piece, events)
        if self._thinking or self._thought:
            self.reasoning_tokens += piece.tokens
        return events, finish

    def _plain(self, piece: Piece) -> str | None:
        """What a piece says where that is nothing but text for the user, as in most of an answer; None elsewhere.

        The same would come of the long way, at several times the cost.
        """
        if not self._may_be_plain or piece.finish is not None or piece.logprobs or self._thinking or self._unsettled:
            return None
        said = self._reader.plain(piece.text)
        if said is not None:
            self._fed += len(piece.text)
            self._safe += len(piece.text)
        return said

    @property
    def is_broken(self) -> bool:
        """Whether an answer that ended by itself is not the JSON that its engine was to keep to.

        llama.cpp goes on freely where its grammar engine gives up, and says nothing.
        """
        if self._json is None or self._stops.stopped:
            return False
        try:
            json.loads("".join(self._json))
        except RecursionError:
            return False  # it nests deeper than we can follow
        except ValueError:
            return True
        return False

    def _finish(self, piece: Piece, events: list[Event]) -> str | None:
        if self._called_enough:
            return "tool_calls"
        finish = "stop" if self._stops.stopped else piece.finish
        if finish is None:
            return None
        rest = "" if self._stops.stopped else self._stops.flush()
        self._safe += len(rest)
        events += self._told([*self._reader.feed(rest), *self._reader.flush()])
        if self._stops.stopped and self._reader.calls_ended < self._calls:
            return finish  # the stop string stood within a call: what there is of it is no call
        return "tool_calls" if self._calls and finish == "stop" else finish

    @property
    def _called_enough(self) -> bool:
        return self._one_call and self._reader.calls_ended > 0

    def _feed_tokens(self, piece: Piece) -> list[Event]:
        events: list[Event] = []
        for text, logprob in _units(piece):
            events += self._feed(text, logprob)
            if self._stops.stopped or self._called_enough:
                break
        return events

    def _feed(self, text: str, logprob: TokenLogprob | None = None) -> list[Event]:
        self._fed += len(text)
        if logprob is not None:
            self._unsettled.append((self._fed + (not text), logprob))  # part of a character goes with the rest of it
        safe = self._stops.feed(text)
        self._safe += len(safe)
        return self._told(self._reader.feed(safe))

    def _told(self, heard: Iterable[Heard]) -> list[Event]:
        told = [self._event(one) for one in (self._wanted(heard) if self._one_call else heard)]
        events = [event for event in told if event is not None]
        if not self._unsettled:
            return events
        settled = self._settled()
        for index, event in enumerate(events):
            if settled and isinstance(event, TextPiece):
                events[index] = TextPiece(self.choice, event.text, _last(settled, len(event.text)))
                settled = []
        return events

    def _wanted(self, heard: Iterable[Heard]) -> Iterator[Heard]:
        """Of an answer with one call at most, nothing behind it: a piece may hold its end and more."""
        for one in heard:
            if self._calls and not (isinstance(one, Argued) and one.index == 0):
                return
            yield one

    def _settled(self) -> list[TokenLogprob]:
        """Tokens whose text is decided upon; it is text for the user if some is told now, else a mark or a thought."""
        end = self._safe - self._reader.held
        found = []
        while self._unsettled and self._unsettled[0][0] <= end:
            found.append(self._unsettled.popleft()[1])
        return found

    def _event(self, heard: Heard) -> Event | None:
        match heard:
            case Said(text=text):
                self._thinking = False
                if self._json is not None:
                    self._json.append(text)
                return TextPiece(self.choice, text)
            case Thought(text=text):
                self._thinking = self._thought = True
                return ReasoningPiece(self.choice, text)
            case Called(index=index, name=name):
                self._thinking = False
                return self._call(index, name)
            case Argued(index=index, text=text):
                if (custom := self._inputs.get(index)) is not None and not self._raw:
                    text = custom.feed(text)
                return ToolPiece(self.choice, index, text, custom=custom is not None) if text else None

    def _call(self, index: int, name: str) -> ToolPiece:
        self._calls += 1
        custom = name in self._custom
        if custom:
            self._inputs[index] = CustomInput()
        return ToolPiece(self.choice, index, id=f"call_{uuid.uuid4().hex[:24]}", name=name, custom=custom)


def _last(tokens: list[TokenLogprob], length: int) -> tuple[TokenLogprob, ...]:
    """Those at the end whose texts make up ``length`` characters: what stands before them is a mark."""
    first = len(tokens)
    while first and length > 0:
        first -= 1
        length -= len(tokens[first].text)
    while first and not tokens[first - 1].text:
        first -= 1
    return tuple(tokens[first:])


def _units(piece: Piece) -> Sequence[tuple[str, TokenLogprob | None]]:
    """A piece token by token, and what its text has beyond them."""
    units: list[tuple[str, TokenLogprob | None]] = [(logprob.text, logprob) for logprob in piece.logprobs]
    known = sum(len(text) for text, _ in units)
    return [*units, (piece.text[known:], None)] if len(piece.text) > known else units
