"""GLM 4.5 and later: ``<tool_call>name``, then ``<arg_key>key</arg_key><arg_value>value</arg_value>`` for each."""

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

BEGIN = "<tool_call>"
END = "</tool_call>"
KEY, END_KEY = "<arg_key>", "</arg_key>"
VALUE, END_VALUE = "<arg_value>", "</arg_value>"

_NAME = re.compile(r"[^<>\n{]*")
_ENDS = Marks(END_VALUE, END)


class GLMReader(MarkedReader):
    """A call is sure once its name is followed by a line end, a key or the closing mark."""

    def read_call(self, mark: str) -> Steps[bool]:
        """One call; JSON as Hermes writes it is understood too."""
        yield from self.incoming.space()
        if (yield from self.incoming.peek()) == "{":
            found = yield from json_calls.calls(self)
            if found:
                yield from json_calls.close(self, END)
            return found
        name = (yield from self.incoming.run(_NAME)).strip()
        if not name or (yield from self.incoming.peek()) not in ("\n", "<"):
            return False
        yield from self._arguments(name)
        return True

    def _arguments(self, name: str) -> Steps[None]:
        self.call(name)
        arguments = Parameters(self, name)
        mark = END_VALUE
        while mark == END_VALUE:
            yield from self.incoming.space()
            mark = yield from self.incoming.mark(KEY, END)
            if mark == KEY:
                mark = yield from self._parameter(arguments)
        if mark or not self.is_cut():
            arguments.end()

    def _parameter(self, arguments: Parameters) -> Steps[str]:
        key = (yield from self.incoming.run(_NAME)).strip()
        if not key or not (yield from self.incoming.accept(END_KEY)):
            return ""
        yield from self.incoming.space()
        if not (yield from self.incoming.accept(VALUE)):
            return ""
        return (yield from arguments.read(key, _ENDS))


class GLM(MarkedDialect):
    """GLM 4.5 and 4.6: one line for each key and value."""

    name = "glm"
    gap = "\n"
    marks = frozenset({BEGIN, END, KEY, END_KEY, VALUE, END_VALUE, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return GLMReader(use, (self.opening, self.closing), (BEGIN,), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """Each call in its tags, its parameters in the order of the schema."""
        return tagged(use, self._tag, BEGIN)

    def _tag(self, tool: Tool) -> Tag:
        content = (fields(tool, self._field) if is_bound(tool) else None) or AnyText()
        return Tag(f"{BEGIN}{tool.name}{self.gap}", content, END)

    def _field(self, name: str, text: Shape | None, schema: JSONSchema) -> Shape:
        return Tag(f"{KEY}{name}{END_KEY}{self.gap}{VALUE}", text or schema, f"{END_VALUE}{self.gap}")


class CompactGLM(GLM):
    """GLM 4.7: without line ends."""

    name = "glm-4.7"
    gap = ""
