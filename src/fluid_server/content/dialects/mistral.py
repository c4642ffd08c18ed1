"""Mistral: ``[TOOL_CALLS][{…}, {…}]``, and since tokenizer version 11 ``[TOOL_CALLS]name[ARGS]{…}`` for each call."""

from __future__ import annotations

import re

from fluid_server.content.dialects import json_calls, json_text
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import arguments, list_schema, must_enforce, tagged
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.shapes import Shape, Tag, Tagged
from fluid_server.types import Tool, ToolUse

BEGIN = "[TOOL_CALLS]"
ID = "[CALL_ID]"
ARGUMENTS = "[ARGS]"

_NAME = re.compile(r"[^\[\]{}\s]*")


class MistralReader(MarkedReader):
    """Both forms, whatever the model's version."""

    def read_call(self, mark: str) -> Steps[bool]:
        """What follows the mark: a list of objects, or or one name and its arguments; several follow without a mark."""
        yield from self.incoming.space()
        if (yield from self.incoming.peek()) in ("[", "{"):
            return (yield from json_calls.calls(self))
        found = False
        while (yield from self._named(first=not found)):
            found = True
        if found:
            self.incoming.back()
        return found

    def _named(self, *, first: bool) -> Steps[bool]:
        yield from self.incoming.space()
        name = yield from self.incoming.run(_NAME)
        if (yield from self.incoming.accept(ID)):
            yield from self.incoming.run(_NAME)
        marked = yield from self.incoming.accept(ARGUMENTS)
        yield from self.incoming.space()
        start = yield from self.incoming.peek()
        if not name or not (marked or first) or start not in (("{", "") if marked else ("{",)):
            return False
        self.call(name)
        if start and (yield from json_text.handed_on(self.incoming, self.argue)):
            self.end_call()
        return True


class Mistral(MarkedDialect):
    """A mark for each call."""

    name = "mistral"
    opening = "[THINK]"
    closing = "[/THINK]"
    marks = frozenset({BEGIN, ID, ARGUMENTS, opening, closing})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return MistralReader(use, (self.opening, self.closing), (BEGIN,), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """A mark, a name, and the arguments."""
        return tagged(use, _tag, BEGIN)


def _tag(tool: Tool) -> Tag:
    return Tag(f"{BEGIN}{tool.name}{ARGUMENTS}", arguments(tool), "")


class MistralList(Mistral):
    """One list for all calls: Mistral 7B v0.3, Nemo, Mixtral, Mistral Small up to 3.1."""

    name = "mistral-list"

    def shape(self, use: ToolUse) -> Shape | None:
        """One list, which ends the answer."""
        if not must_enforce(use):
            return None
        tag = Tag(BEGIN, list_schema(use, "arguments"), "")
        return Tagged((tag,), (BEGIN,), use.mode == "required", stop_after_first=True)
