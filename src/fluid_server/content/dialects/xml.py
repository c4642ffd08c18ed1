"""Qwen3-Coder's tags: ``<tool_call><function=name><parameter=key>value</parameter></function></tool_call>``.

Qwen3-Coder, Qwen 3.5, Nemotron 3, Step 3.5; Seed-OSS with other marks around it and no line ends around values.
"""

from __future__ import annotations

import re

from fluid_server.content.dialects import json_calls
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import is_bound, tagged
from fluid_server.content.dialects.fields import fields
from fluid_server.content.dialects.incoming import Marks, Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.content.dialects.tagged_parameters import Parameters
from fluid_server.shapes import AnyText, JSONSchema, Shape, Tag
from fluid_server.types import Tool, ToolUse

FUNCTION = "<function="
END_FUNCTION = "</function>"
PARAMETER = "<parameter="
END_PARAMETER = "</parameter>"

_NAME = re.compile(r"[^<>\n]*")
_ENDS = Marks(END_PARAMETER, END_FUNCTION, space="line")


class XMLReader(MarkedReader):
    """A call is sure once its function has a name; without the outer mark, that must be the name of a tool."""

    def __init__(
        self, use: ToolUse | None, reasoning: tuple[str, str], marks: tuple[str, str], *, thinking: bool
    ) -> None:
        super().__init__(use, reasoning, (marks[0], FUNCTION), thinking=thinking)
        self._end = marks[1]

    def read_call(self, mark: str) -> Steps[bool]:
        """One function, as the family writes it, or several; JSON as Hermes writes it is understood too."""
        if mark == FUNCTION:
            return (yield from self._function(sure=False))
        yield from self.incoming.space()
        if (yield from self.incoming.peek()) in ("{", "["):
            found = yield from json_calls.calls(self)
        else:
            found = yield from self._functions()
        if found:
            yield from json_calls.close(self, self._end)
        return found

    def _functions(self) -> Steps[bool]:
        found = False
        while (yield from self.incoming.accept(FUNCTION)) and (yield from self._function(sure=True)):
            found = True
            yield from self.incoming.space()
        if found:
            self.incoming.back()
        return found

    def _function(self, *, sure: bool) -> Steps[bool]:
        name = (yield from self.incoming.run(_NAME)).strip().strip("\"'")
        if not (yield from self.incoming.accept(">")) or not name or not (sure or name in self.tools):
            return False
        self.call(name)
        arguments = Parameters(self, name)
        while True:
            yield from self.incoming.space()
            mark = yield from self.incoming.mark(PARAMETER, END_FUNCTION)
            if mark == PARAMETER:
                mark = yield from self._parameter(arguments)
            if mark != END_PARAMETER:
                break
        if mark or not self.is_cut():
            arguments.end()
        return True

    def _parameter(self, arguments: Parameters) -> Steps[str]:
        key = (yield from self.incoming.run(_NAME)).strip().strip("\"'")
        if not key or not (yield from self.incoming.accept(">")):
            return ""
        return (yield from arguments.read(key, _ENDS))


class XML(MarkedDialect):
    """Qwen3-Coder's."""

    name = "qwen3-coder"
    begin = "<tool_call>"
    end = "</tool_call>"
    gap = "\n"  # around values
    marks = frozenset({begin, end, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return XMLReader(use, (self.opening, self.closing), (self.begin, self.end), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """Each call in its tags, its parameters in the order of the schema."""
        return tagged(use, self._tag, self.begin)

    def _tag(self, tool: Tool) -> Tag:
        content = (fields(tool, self._field) if is_bound(tool) else None) or AnyText()
        return Tag(f"{self.begin}\n{FUNCTION}{tool.name}>\n", content, f"{END_FUNCTION}\n{self.end}")

    def _field(self, name: str, text: Shape | None, schema: JSONSchema) -> Shape:
        return Tag(f"{PARAMETER}{name}>{self.gap}", text or schema, f"{self.gap}{END_PARAMETER}\n")


class Seed(XML):
    """Seed-OSS."""

    name = "seed"
    begin = "<seed:tool_call>"
    end = "</seed:tool_call>"
    gap = ""
    opening = "<seed:think>"
    closing = "</seed:think>"
    marks = frozenset({begin, end, opening, closing})
