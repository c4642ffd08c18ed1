"""Calls in a section of their own, each between marks: DeepSeek from V3 on, Kimi K2."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fluid_server.content.dialects import json_text
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import arguments, must_enforce
from fluid_server.content.dialects.fields import in_a_row, one_of
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.shapes import Const, Regex, Shape, Tag, Tagged
from fluid_server.shapes import Sequence as InOrder
from fluid_server.types import Tool, ToolUse

_HEAD = re.compile(r"[^<\n{]*")
_NAME = re.compile(r"[^<\n{`]*")
_KIMI_NAME = re.compile(r"^functions\.|:\d+$")


@dataclass(frozen=True, slots=True)
class Section:
    """The marks: around all calls, around each, and between a call's name and its arguments."""

    begin: str
    end: str
    call: str
    separator: str
    end_call: str

    @property
    def marks(self) -> frozenset[str]:
        """All of them."""
        return frozenset({self.begin, self.end, self.call, self.separator, self.end_call})


DEEPSEEK = Section(
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
)
KIMI = Section(
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
)
FENCE = "```"


class SectionReader(MarkedReader):
    """Calls with or without the marks around all of them."""

    def __init__(self, use: ToolUse | None, reasoning: tuple[str, str], section: Section, *, thinking: bool) -> None:
        super().__init__(use, reasoning, (section.begin, section.call), thinking=thinking)
        self._section = section

    def read_call(self, mark: str) -> Steps[bool]:
        """All calls of the section."""
        found, more = False, mark
        while more:
            if more == self._section.begin:
                yield from self.incoming.space()
                more = yield from self.incoming.accept(self._section.call)
            if not more or not (yield from self._call()):
                break
            found = True
            yield from self.incoming.space()
            more = yield from self.incoming.mark(self._section.call, self._section.end)
            if more == self._section.end:
                self.incoming.take()
                break
        if found:
            self.is_cut()
        return found

    def _call(self) -> Steps[bool]:
        name = (yield from self.incoming.run(_HEAD)).strip()
        if not (yield from self.incoming.accept(self._section.separator)):
            return False
        yield from self.incoming.space()
        if (yield from self.incoming.peek()) != "{":  # V3 writes "function" first, and fences around the JSON
            name = (yield from self.incoming.run(_NAME)).strip() or name
            yield from self.incoming.space()
            yield from self.incoming.accept(FENCE + "json")
            yield from self.incoming.space()
        name = _KIMI_NAME.sub("", name)
        if not name:
            return False
        self.call(name)
        yield from self._arguments()
        return True

    def _arguments(self) -> Steps[None]:
        first = yield from self.incoming.peek()
        if first == "{":
            if not (yield from json_text.handed_on(self.incoming, self.argue)):
                return
        elif first:
            self.argue("{}")
        else:
            return
        self.end_call()
        yield from self.incoming.space()
        yield from self.incoming.mark(FENCE)
        yield from self.incoming.space()
        if (yield from self.incoming.mark(self._section.end_call)):
            self.incoming.take()
        self.is_cut()


class DeepSeekV31(MarkedDialect):
    """V3.1: the name, then the arguments."""

    name = "deepseek-v3.1"
    section = DEEPSEEK
    between = ""
    marks = frozenset({*DEEPSEEK.marks, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return SectionReader(use, (self.opening, self.closing), self.section, thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """One section, which ends the answer."""
        if not must_enforce(use):
            return None
        calls = in_a_row(one_of([self.call(tool) for tool in use.allowed]), self.between, parallel=use.parallel)
        tag = Tag(self.section.begin, calls, self.section.end)
        return Tagged((tag,), (self.section.begin,), use.mode == "required", stop_after_first=True)

    def call(self, tool: Tool) -> Shape:
        """One call of the section."""
        return Tag(f"{self.section.call}{tool.name}{self.section.separator}", arguments(tool), self.section.end_call)


class DeepSeek(DeepSeekV31):
    """V3 and R1: the type, the name, and fenced JSON, one line end between calls."""

    name = "deepseek"
    between = "\n"

    def call(self, tool: Tool) -> Shape:
        """One call of the section."""
        begin = f"{self.section.call}function{self.section.separator}{tool.name}\n{FENCE}json\n"
        return Tag(begin, arguments(tool), f"\n{FENCE}{self.section.end_call}")


class Kimi(DeepSeekV31):
    """Kimi K2: names are ids, such as ``functions.name:0``."""

    name = "kimi"
    section = KIMI
    marks = frozenset({*KIMI.marks, "<think>", "</think>"})

    def call(self, tool: Tool) -> Shape:
        """One call of the section."""
        inside = InOrder((Regex("[0-9]{1,3}"), Const(self.section.separator), arguments(tool)))
        return Tag(f"{self.section.call}functions.{tool.name}:", inside, self.section.end_call)
