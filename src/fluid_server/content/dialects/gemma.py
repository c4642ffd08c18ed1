"""Gemma. 4: ``<|tool_call>call:name{key:<|"|>text<|"|>,key:1}<tool_call|>``; FunctionGemma the same with other marks.

Gemma 3 has no form of its own: templates that know tools teach Python or JSON in a fence.
"""

from __future__ import annotations

import re

from fluid_server.content.dialects import json_calls, json_text, literals
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import is_bound, must_enforce, tagged
from fluid_server.content.dialects.fields import fields, in_a_row, one_of
from fluid_server.content.dialects.incoming import Marks, Steps
from fluid_server.content.dialects.json_text import written
from fluid_server.content.dialects.llama import keywords
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.content.dialects.tagged_parameters import Parameters
from fluid_server.content.dialects.values import from_literal, kinds
from fluid_server.shapes import AnyText, Const, JSONSchema, Shape, Tag, Tagged
from fluid_server.shapes import Sequence as InOrder
from fluid_server.types import Tool, ToolUse

CALL = "call:"
DEEPEST = 32  # objects in objects; what is deeper is taken for text

_NAME = re.compile(r"[^{<\s]*")
_KEY = re.compile(r"[^:{}<,\[\]]*")
_BARE = re.compile(r"[^,{}\[\]<]*")


class GemmaReader(MarkedReader):
    """Gemma's own notation: names and numbers are bare, strings between marks, without escapes."""

    def __init__(
        self, use: ToolUse | None, reasoning: tuple[str, str], marks: tuple[str, str, str], *, thinking: bool
    ) -> None:
        super().__init__(use, reasoning, marks[:1], thinking=thinking)
        self._end, self._quote = marks[1:]
        self._quotes = Marks(self._quote)

    def read_call(self, mark: str) -> Steps[bool]:
        """One call; JSON as Hermes writes it is understood too."""
        yield from self.incoming.space()
        if (yield from self.incoming.peek()) in ("{", "["):
            found = yield from json_calls.calls(self)
        else:
            found = yield from self._call()
        if found:
            yield from json_calls.close(self, self._end)
        return found

    def _call(self) -> Steps[bool]:
        yield from self.incoming.accept(CALL)
        name = yield from self.incoming.run(_NAME)
        if not name or not (yield from self.incoming.accept("{")):
            return False
        self.call(name)
        arguments = Parameters(self, name)
        while (yield from self._member(arguments, name)):
            if not (yield from self.incoming.accept(",")):
                break
        if (yield from self.incoming.accept("}")) or not self.is_cut():
            arguments.end()
        return True

    def _member(self, arguments: Parameters, name: str) -> Steps[bool]:
        yield from self.incoming.space()
        key = yield from self._key()
        if not key:
            return False
        yield from self.incoming.space()
        self.incoming.take()
        if (yield from self.incoming.accept(self._quote)):
            self.incoming.take()
            yield from arguments.text(key, self._quotes)
        else:
            value = yield from self._value(kinds(self.tools.get(name), key), DEEPEST)
            self.incoming.take()
            arguments.value(key, value)
        yield from self.incoming.space()
        return True

    def _key(self) -> Steps[str]:
        """Read a name and the colon behind it; empty where there is none."""
        if (yield from self.incoming.accept(self._quote)):
            key = yield from self._quoted()
        elif (yield from self.incoming.peek()) == '"':
            key = (yield from json_text.string(self.incoming)) or ""
        else:
            key = (yield from self.incoming.run(_KEY)).strip()
        yield from self.incoming.space()
        return key if (yield from self.incoming.accept(":")) else ""

    def _quoted(self) -> Steps[str]:
        pieces: list[str] = []
        self.incoming.take()
        yield from self.incoming.until(self._quotes, pieces.append)
        self.incoming.take()
        return "".join(pieces)

    def _value(self, allowed: frozenset[str], depth: int) -> Steps[str]:
        """Read a value as JSON."""
        yield from self.incoming.space()
        first = yield from self.incoming.peek()
        if (yield from self.incoming.accept(self._quote)):
            return written((yield from self._quoted()))
        if first == '"':
            return (yield from json_text.value(self.incoming))
        if first == "{" and depth:
            return (yield from self._object(depth))
        if first == "[" and depth:
            return (yield from self._list(depth))
        if first in ("{", "["):
            return written((yield from json_text.value(self.incoming)))
        return from_literal((yield from self.incoming.run(_BARE)), allowed)

    def _object(self, depth: int) -> Steps[str]:
        yield from self.incoming.accept("{")
        members: list[str] = []
        while True:
            yield from self.incoming.space()
            key = yield from self._key()
            if not key:
                break
            members.append(f"{written(key)}: {(yield from self._value(frozenset(), depth - 1))}")
            yield from self.incoming.space()
            if not (yield from self.incoming.accept(",")):
                break
        yield from self.incoming.accept("}")
        return "{" + ", ".join(members) + "}"

    def _list(self, depth: int) -> Steps[str]:
        yield from self.incoming.accept("[")
        items: list[str] = []
        while True:
            yield from self.incoming.space()
            if (yield from self.incoming.peek()) in ("]", "}", ""):
                break
            items.append((yield from self._value(frozenset(), depth - 1)))
            yield from self.incoming.space()
            if not (yield from self.incoming.accept(",")):
                break
        yield from self.incoming.accept("]")
        return "[" + ", ".join(items) + "]"


class Gemma4(MarkedDialect):
    """Gemma 4."""

    name = "gemma4"
    begin = "<|tool_call>"
    end = "<tool_call|>"
    quote = '<|"|>'
    opening = "<|channel>thought"
    closing = "<channel|>"
    marks = frozenset({begin, end, quote, "<|channel>", closing})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        marks = (self.begin, self.end, self.quote)
        return GemmaReader(use, (self.opening, self.closing), marks, thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """Each call in its marks, its parameters in the order of the alphabet; what is nested is JSON."""
        return tagged(use, self._tag, self.begin)

    def _tag(self, tool: Tool) -> Tag:
        known = fields(tool, self._field, separator=",", ordered=True) if is_bound(tool) else None
        return Tag(f"{self.begin}{CALL}{tool.name}{{", known or AnyText(), f"}}{self.end}")

    def _field(self, name: str, text: Shape | None, schema: JSONSchema) -> Shape:
        if text is not None:
            return Tag(f"{name}:{self.quote}", text, self.quote)
        return InOrder((Const(f"{name}:"), schema))


class FunctionGemma(Gemma4):
    """FunctionGemma, of Gemma 3."""

    name = "functiongemma"
    begin = "<start_function_call>"
    end = "<end_function_call>"
    quote = "<escape>"
    opening = ""
    closing = ""
    marks = frozenset({begin, end, quote})


class FenceReader(MarkedReader):
    """Python or JSON in a fence, or JSON at the beginning of a line: only the tools' own names make a call of it."""

    def __init__(self, use: ToolUse | None, reasoning: tuple[str, str], *, thinking: bool) -> None:
        super().__init__(use, reasoning, ("```tool_code", "```tool_call", "```json", "{", "["), thinking=thinking)
        self.line_marks |= {"{", "["}

    def read_call(self, mark: str) -> Steps[bool]:
        """What is in the fence."""
        if mark in ("{", "["):
            self.incoming.back()
            yield from self.incoming.space()
        start = self.incoming.at
        found = yield from json_calls.calls(self, sure=False)
        if not found and mark == "```tool_code":
            self.incoming.at = start
            found = yield from self._program()
        if found and mark not in ("{", "["):
            yield from json_calls.close(self, "```")
        return found

    def _program(self) -> Steps[bool]:
        found = False
        while True:
            yield from self.incoming.space()
            yield from self.incoming.accept("[", "print(")
            if not (yield from literals.call(self, sure=False)):
                break
            found = True
            yield from self.incoming.space()
            yield from self.incoming.accept(")", "]", ",")
            self.incoming.take()
        if found:
            self.incoming.back()
        return found


class Gemma3(MarkedDialect):
    """Templates for Gemma 3 that teach calls as Python."""

    name = "gemma3"
    opening = ""
    closing = ""

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return FenceReader(use, (self.opening, self.closing), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """One fence, which ends the answer."""
        if not must_enforce(use):
            return None
        options = [InOrder((Const(f"{tool.name}("), keywords(tool), Const(")"))) for tool in use.allowed]
        tag = Tag("```tool_code\n", in_a_row(one_of(options), "\n", parallel=use.parallel), "\n```")
        return Tagged((tag,), ("```tool_code",), use.mode == "required", stop_after_first=True)
