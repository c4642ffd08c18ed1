"""Llama 3 and 4: ``{"name": …, "parameters": {…}}``, and calls written as Python, ``[f(a=1), g()]``.

Both may come without any mark: then the name must be that of a tool, else it is text that looks like a call. Each
reader reads both; the shapes differ. Between two JSON calls stands a semicolon, although Llama 3's templates know
only one call an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from fluid_server.content.dialects import json_calls, literals
from fluid_server.content.dialects.base import Reader
from fluid_server.content.dialects.enforcing import arguments, is_bound, must_enforce, quoted
from fluid_server.content.dialects.fields import fields, in_a_row, one_of
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.marked import MarkedDialect
from fluid_server.content.dialects.reading import MarkedReader
from fluid_server.shapes import Choice, Const, JSONSchema, Regex, Shape, Tag, Tagged
from fluid_server.shapes import Sequence as InOrder
from fluid_server.types import Tool, ToolUse

BEGINS = ("<|python_tag|>", "<|python_start|>")
END = "<|python_end|>"
SIMPLE = r'("[^"\\\n]*"|-?[0-9]+(\.[0-9]+)?|True|False|None)'  # arguments of which nothing is known
KEYWORD = rf"[a-zA-Z_][a-zA-Z0-9_]*={SIMPLE}"


class BareReader(MarkedReader):
    """Calls in JSON or Python, behind a mark or at the beginning of a line."""

    def __init__(
        self,
        use: ToolUse | None,
        reasoning: tuple[str, str],
        marks: Sequence[str],
        ends: Sequence[str],
        *,
        thinking: bool,
    ) -> None:
        super().__init__(use, reasoning, (*marks, "{", "["), thinking=thinking)
        self.line_marks |= {"{", "["}
        self._ends = tuple(ends)
        self._certain = BEGINS[0] not in marks  # behind <|python_tag|> there may be any program

    def read_call(self, mark: str) -> Steps[bool]:
        """What comes behind a mark, or what may be a call by itself."""
        sure = mark not in ("{", "[")
        if mark == "{":
            self.incoming.at -= 1
            found = yield from json_calls.calls(self, sure=False)
        else:
            found = yield from self._either(listed=not sure, sure=sure)
        if found and self._ends:
            yield from json_calls.close(self, *self._ends)
        return found

    def _either(self, *, listed: bool, sure: bool) -> Steps[bool]:
        start = self.incoming.at
        yield from self.incoming.space()
        listed = listed or bool((yield from self.incoming.accept("[")))
        yield from self.incoming.space()
        if (yield from self.incoming.peek()) == "{":
            found = yield from json_calls.calls(self, sure=sure)
        else:
            found = yield from literals.calls(self, sure=sure and self._certain)
        if not found:
            self.incoming.at = start
            return False
        yield from self.incoming.space()
        if listed and (yield from self.incoming.accept("]")):
            self.incoming.take()
        self.incoming.back()
        return True


class Llama(MarkedDialect):
    """JSON, one call an answer."""

    name = "llama"
    marks = frozenset({*BEGINS, END, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return BareReader(use, (self.opening, self.closing), BEGINS, (END,), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """One object, which ends the answer."""
        tags = tuple(_tag(tool) for tool in use.allowed)
        forced = use.mode == "required"
        return Tagged(tags, ('{"name": "',), forced, stop_after_first=True) if must_enforce(use) else None


def _tag(tool: Tool) -> Tag:
    return Tag(f'{{"name": {quoted(tool.name)}, "parameters": ', arguments(tool), "}")


class Pythonic(MarkedDialect):
    """A list of calls in Python: Llama 3.2 and 4 where their template teaches it."""

    name = "pythonic"
    begin, end = "", ""
    marks = frozenset({*BEGINS, END, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return BareReader(use, (self.opening, self.closing), BEGINS, (END,), thinking=thinking)

    def shape(self, use: ToolUse) -> Shape | None:
        """A list, which ends the answer."""
        if not must_enforce(use):
            return None
        any_call = one_of([InOrder((Const(f"{tool.name}("), keywords(tool), Const(")"))) for tool in use.allowed])
        more = Choice((InOrder((Const(", "), in_a_row(any_call, ", ", parallel=True))), Const("")))
        after = (Const(")"), more) if use.parallel else (Const(")"),)
        tags = tuple(
            Tag(f"{self.begin}[{tool.name}(", InOrder((keywords(tool), *after)), f"]{self.end}") for tool in use.allowed
        )
        triggers = (self.begin,) if self.begin else tuple(f"[{tool.name}(" for tool in use.allowed)
        return Tagged(tags, triggers, use.mode == "required", stop_after_first=True)


class LFM2(Pythonic):
    """The same between marks."""

    name = "lfm2"
    begin, end = "<|tool_call_start|>", "<|tool_call_end|>"
    marks = frozenset({begin, end, "<think>", "</think>"})

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader of one answer."""
        return BareReader(use, (self.opening, self.closing), (self.begin,), (self.end,), thinking=thinking)


def keywords(tool: Tool) -> Shape:
    """A tool's arguments between its brackets."""
    known = fields(tool, _keyword, separator=", ") if is_bound(tool) else None
    return known or Regex(rf"({KEYWORD}(, {KEYWORD})*)?")


def _keyword(name: str, _text: Shape | None, schema: JSONSchema) -> Shape:
    value: Shape = schema
    if schema.schema.get("type") == "boolean":
        value = Choice((Const("True"), Const("False")))
    return InOrder((Const(f"{name}="), value))
