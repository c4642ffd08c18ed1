"""Reasoning between two marks, and no tools: for templates that know nothing else."""

from __future__ import annotations

from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.shapes import Shape
from fluid_server.types import ToolUse


class ThinkingReader(MarkedReader):
    """There are no calls."""

    def read_call(self, mark: str) -> Steps[bool]:
        """Never asked for."""
        yield from ()
        return False


class Thinking(MarkedDialect):
    """``<think>`` and the like."""

    name = "thinking"
    calls_tools = False
    marks = frozenset({"<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return ThinkingReader(None, (self.opening, self.closing), (), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """Nothing can be enforced."""
        return None
