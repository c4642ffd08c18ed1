"""Calls written as Python: ``f(a=1, b="x")``, told argument by argument as JSON."""

from __future__ import annotations

import re

from fluid_server.content.dialects.incoming import Incoming, Steps
from fluid_server.content.dialects.reading import StepReader
from fluid_server.content.dialects.tagged_parameters import Parameters
from fluid_server.content.dialects.values import from_literal, kinds, parameters

_PLAIN = re.compile(r"[^\"'()\[\]{},]*")
_QUOTED = {quote: re.compile(rf"[^{quote}\\]*(?:\\.[^{quote}\\]*)*", re.DOTALL) for quote in "\"'"}
_KEY = re.compile(r"[^\W\d]\w*\s*=(?!=)")


class LiteralExtent:
    """How far a Python value reaches: to the comma or bracket that ends it, outside of its own strings and brackets."""

    def __init__(self) -> None:
        self.ended = False
        self._depth = 0
        self._quote = ""

    def look(self, text: str, at: int, *, whole: bool) -> int:
        """Go on from ``at`` as far as can be told; ``whole``: no more text comes."""
        while at < len(text) and not self.ended:
            further = (self._in_string if self._quote else self._outside)(text, at, whole=whole)
            if further == at:
                return at
            at = further
        return at

    def _in_string(self, text: str, at: int, *, whole: bool) -> int:
        found = _QUOTED[self._quote[0]].match(text, at)
        assert found is not None
        end = found.end()
        if end == len(text) or text[end] == "\\":
            return len(text) if whole else end
        if text.startswith(self._quote, end):
            end += len(self._quote)
            self._quote = ""
            return end
        return end if len(text) - end < len(self._quote) and not whole else end + 1

    def _outside(self, text: str, at: int, *, whole: bool) -> int:
        found = _PLAIN.match(text, at)
        assert found is not None
        at = found.end()
        if at == len(text):
            return at
        mark = text[at]
        if mark in "\"'":
            return self._open(text, at, whole=whole)
        if self._depth == 0 and mark in ",)]}":
            self.ended = True
            return at
        self._depth += {"(": 1, "[": 1, "{": 1, ",": 0}.get(mark, -1)
        return at + 1

    def _open(self, text: str, at: int, *, whole: bool) -> int:
        quote = text[at]
        if text.startswith(quote * 3, at):
            self._quote = quote * 3
            return at + 3
        if text.startswith(quote * 2, at):
            return at + 2 if len(text) > at + 2 or whole else at
        if len(text) == at + 1 and not whole:
            return at
        self._quote = quote
        return at + 1


def call(to: StepReader, *, sure: bool) -> Steps[bool]:
    """Read one call. False where there is none, and nothing was taken: ``sure`` or not, a name and a bracket make one.

    If not ``sure``, the name must be that of a tool.
    """
    incoming = to.incoming
    yield from incoming.space()
    name = (yield from incoming.word()).removesuffix(".call")
    if not name or not (yield from incoming.accept("(")) or not (sure or name in to.tools):
        return False
    to.call(name)
    arguments = Parameters(to, name)
    names = iter(parameters(to.tools.get(name)))
    while True:
        yield from incoming.space()
        if (yield from incoming.peek()) in ("", ")", "]", "}"):
            break
        text = yield from _argument(incoming)
        whole = incoming.at < len(incoming.text)
        _tell(to, arguments, name, text, next(names, "value"), whole=whole)
        incoming.take()
        if not (yield from incoming.accept(",")):
            break
    yield from incoming.space()
    if (yield from incoming.accept(")")) or not to.is_cut():
        arguments.end()
    return True


def _tell(to: StepReader, arguments: Parameters, name: str, text: str, place: str, *, whole: bool) -> None:
    """Tell an argument; ``place`` is what it is called if it has no key. Half a string is told as half a string."""
    if not text.strip():
        return
    found = _KEY.match(text)
    key = found[0].rstrip("=").strip() if found else place
    value = (text[found.end() :] if found else text).strip()
    if not whole and value[:1] in ('"', "'"):
        arguments.half(key, value.lstrip(value[0]))
    else:
        arguments.value(key, from_literal(value, kinds(to.tools.get(name), key)))


def _argument(incoming: Incoming) -> Steps[str]:
    """Read up to the comma or bracket behind an argument."""
    start = incoming.at
    extent = LiteralExtent()
    while True:
        incoming.at = extent.look(incoming.text, incoming.at, whole=incoming.ended)
        if extent.ended or not (yield from incoming.more()):
            break
    if not extent.ended:
        incoming.at = extent.look(incoming.text, incoming.at, whole=True)
    return incoming.text[start : incoming.at]


def calls(to: StepReader, *, sure: bool) -> Steps[bool]:
    """Read calls with commas between, and a bracket behind them. False where there is none, and nothing was taken."""
    found = False
    while (yield from call(to, sure=sure)):
        found = True
        yield from to.incoming.space()
        if not (yield from to.incoming.accept(",", ";")):
            break
    if found:
        to.incoming.back()
    return found
