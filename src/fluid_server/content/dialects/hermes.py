"""Hermes: ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``. Qwen 2.5 and 3, Hermes 2 and 3, Granite 4, SmolLM3.

Qwen writes each mark on a line of its own, one line end between calls.
"""

from __future__ import annotations

from fluid_server.content.dialects import json_calls
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import arguments, quoted, tagged
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.shapes import Shape, Tag
from fluid_server.types import Tool, ToolUse

BEGIN = "<tool_call>"
END = "</tool_call>"


class HermesReader(MarkedReader):
    """JSON between two marks."""

    def read_call(self, mark: str) -> Steps[bool]:
        """One object, as the family writes it, or several."""
        if not (yield from json_calls.calls(self)):
            return False
        yield from json_calls.close(self, END)
        return True


class Hermes(MarkedDialect):
    """A pair of marks around each call."""

    name = "hermes"
    marks = frozenset({BEGIN, END, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return HermesReader(use, (self.opening, self.closing), (BEGIN,), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """Each call in its marks."""
        return tagged(use, _tag, BEGIN)


def _tag(tool: Tool) -> Tag:
    return Tag(f'{BEGIN}\n{{"name": {quoted(tool.name)}, "arguments": ', arguments(tool), f"}}\n{END}")
