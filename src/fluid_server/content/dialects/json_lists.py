"""Families that write all calls as one JSON list behind a mark: Phi-4, Granite 3, Nemotron Nano 2, Apriel."""

from __future__ import annotations

from fluid_server.content.dialects import json_calls
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import list_schema, must_enforce
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.shapes import Shape, Tag, Tagged
from fluid_server.types import ToolUse

WRAPS = frozenset({"<response>", "</response>"})


class ListReader(MarkedReader):
    """A list, or a single object, and the mark behind it where the family has one."""

    def __init__(
        self, use: ToolUse | None, reasoning: tuple[str, str], begins: tuple[str, ...], end: str, *, thinking: bool
    ) -> None:
        super().__init__(use, reasoning, begins, thinking=thinking)
        self._end = end

    def read_call(self, mark: str) -> Steps[bool]:
        """The list, then its end."""
        found = yield from json_calls.calls(self)
        if found and self._end:
            yield from json_calls.close(self, self._end)
        return found


class JSONList(MarkedDialect):
    """``begins`` are the marks that are understood, the first of which the family's template writes."""

    begins: tuple[str, ...]
    end = ""

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return ListReader(use, (self.opening, self.closing), self.begins, self.end, thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """One list, which ends the answer."""
        if not must_enforce(use):
            return None
        tag = Tag(self.begins[0], list_schema(use, "arguments"), self.end)
        return Tagged((tag,), (self.begins[0],), use.mode == "required", stop_after_first=True)


class Phi4(JSONList):
    """Phi-4-mini."""

    name = "phi4"
    begins = ("<|tool_call|>", "functools")
    end = "<|/tool_call|>"
    marks = frozenset({"<|tool_call|>", "<|/tool_call|>", "<think>", "</think>"})


class Functools(Phi4):
    """Phi-4-mini and Functionary-like templates that teach ``functools[…]``."""

    name = "functools"
    begins = ("functools", "<|tool_call|>")

    def shape(self, use: ToolUse) -> Shape | None:
        """The same list, with nothing behind it."""
        if not must_enforce(use):
            return None
        tag = Tag("functools", list_schema(use, "arguments"), "")
        return Tagged((tag,), ("functools",), use.mode == "required", stop_after_first=True)


class Granite(JSONList):
    """Granite 3; Granite 4 writes as Hermes does. Its answer may stand between marks of its own behind a thought."""

    name = "granite"
    begins = ("<|tool_call|>", "<tool_call>")
    marks = frozenset({"<|tool_call|>", "<think>", "</think>", *WRAPS})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        reader = ListReader(use, (self.opening, self.closing), self.begins, self.end, thinking=thinking)
        reader.wraps = WRAPS
        return reader


class Nemotron(JSONList):
    """Nemotron Nano 2 and Llama-Nemotron."""

    name = "nemotron"
    begins = ("<TOOLCALL>",)
    end = "</TOOLCALL>"
    marks = frozenset({"<TOOLCALL>", "</TOOLCALL>", "<think>", "</think>"})


class Apriel(JSONList):
    """Apriel 1.5 and 1.6."""

    name = "apriel"
    begins = ("<tool_calls>",)
    end = "</tool_calls>"
    opening = "<thinking>"
    closing = "</thinking>"
    marks = frozenset({"<tool_calls>", "</tool_calls>", "<thinking>", "</thinking>"})
