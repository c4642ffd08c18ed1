"""gpt-oss: messages in channels. analysis is reasoning, final and commentary are said, and a recipient is called.

An answer begins inside the header of its first message: the prompt ends with ``<|start|>assistant``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fluid_server.content.dialects import json_text
from fluid_server.content.dialects.base import Dialect, Reader
from fluid_server.content.dialects.enforcing import arguments, must_enforce
from fluid_server.content.dialects.fields import one_of
from fluid_server.content.dialects.incoming import Marks, Steps
from fluid_server.content.dialects.reading import StepReader
from fluid_server.shapes import AnyText, Choice, Const, Shape, Tag, Tagged
from fluid_server.shapes import Sequence as InOrder
from fluid_server.types import Tool, ToolUse

START, END, MESSAGE = "<|start|>", "<|end|>", "<|message|>"
CHANNEL, CONSTRAIN = "<|channel|>", "<|constrain|>"
CALL, RETURN = "<|call|>", "<|return|>"
FUNCTIONS = "functions."
COMMENTARY = f"{CHANNEL}commentary to={FUNCTIONS}"

_ALL = Marks(START, END, MESSAGE, CHANNEL, CONSTRAIN, CALL, RETURN)
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_TO = re.compile(r"\s*to=")


class HarmonyReader(StepReader):
    """Header, message, header, message. Text outside of both is said."""

    def read(self) -> Steps[None]:
        """All messages of the answer."""
        yield from self.incoming.space()
        header = "to=" if (yield from self.incoming.accept("to=")) else ""
        if header:
            self.incoming.take()
        else:
            self.incoming.back()
            header = yield from self._between()
        while header:
            header = yield from self._message(header)

    def _between(self) -> Steps[str]:
        """Text outside of a message, up to the mark with which a header begins."""
        return (yield from self._content(self.say))

    def _content(self, sink: Callable[[str], None]) -> Steps[str]:
        """Hand on the text up to a mark that begins the next header, dropping those that end a message."""
        while mark := (yield from self.incoming.until(_ALL, sink)):
            self.incoming.take()
            if mark in (START, CHANNEL, MESSAGE, CONSTRAIN):
                return mark
            sink = self.say
        return ""

    def _message(self, header: str) -> Steps[str]:
        """Read on from the beginning of a header to the beginning of the next."""
        pieces = [header]
        while not pieces[-1].endswith(MESSAGE):
            mark = yield from self.incoming.until(_ALL, pieces.append)
            self.incoming.take()
            if not mark:
                return ""
            if mark in (END, CALL, RETURN):
                return (yield from self._between())
            pieces.append(mark)
        return (yield from self._body("".join(pieces)))

    def _body(self, header: str) -> Steps[str]:
        recipient = _RECIPIENT.search(header)
        channel = _CHANNEL.search(header)
        name = recipient[1] if recipient else ""
        if self.use is not None and (name.startswith(FUNCTIONS) or name in self.tools):
            return (yield from self._called(name.removeprefix(FUNCTIONS)))
        hidden = (channel is not None and channel[1] == "analysis") or (name and not name.startswith(FUNCTIONS))
        return (yield from self._content(self.think if hidden else self.say))

    def _called(self, name: str) -> Steps[str]:
        self.call(name)
        yield from self.incoming.space()
        self.incoming.take()
        if (yield from self.incoming.peek()) != "{":
            mark = yield from self.incoming.until(_ALL, self.argue)
            if mark:
                self.end_call()
            return (yield from self._next(mark))
        if (yield from json_text.handed_on(self.incoming, self.argue)):
            self.end_call()
        yield from self.incoming.space()
        self.incoming.take()
        return (yield from self._between())

    def _next(self, mark: str) -> Steps[str]:
        return mark if mark in (START, CHANNEL, MESSAGE, CONSTRAIN) else (yield from self._between())


class Harmony(Dialect):
    """gpt-oss. Reasoning is in a channel of its own, and enforced shapes leave room for it."""

    name = "harmony"
    marks = frozenset(_ALL.marks)

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return HarmonyReader(use)

    def shape(self, use: ToolUse) -> Shape | None:
        """One call, which ends the answer; where it is required, only reasoning may precede it."""
        if not must_enforce(use):
            return None
        tags = tuple(_tag(tool) for tool in use.allowed)
        if use.mode == "required":
            return InOrder((_THOUGHT, one_of(tags)))
        return Tagged(tags, (f"{CHANNEL}commentary to=",), stop_after_first=True)

    def answer(self, shape: Shape) -> Shape:
        """The final channel, behind reasoning or not."""
        return InOrder((_THOUGHT, Const(f"{CHANNEL}final{MESSAGE}"), shape))


_THOUGHT = Choice((Tag(f"{CHANNEL}analysis{MESSAGE}", AnyText(), f"{END}{START}assistant"), Const("")))


def _tag(tool: Tool) -> Tag:
    return Tag(f"{COMMENTARY}{tool.name} {CONSTRAIN}json{MESSAGE}", arguments(tool), "")
