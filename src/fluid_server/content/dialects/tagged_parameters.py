"""Calls whose parameters stand between tags, each text as it is: read so that they become JSON as they come."""

from __future__ import annotations

from fluid_server.content.dialects.incoming import Marks, Steps
from fluid_server.content.dialects.json_text import written
from fluid_server.content.dialects.reading import StepReader
from fluid_server.content.dialects.values import as_json, is_text, kinds
from fluid_server.types import Tool


class Parameters:
    """The arguments of one call, told parameter by parameter."""

    def __init__(self, to: StepReader, name: str) -> None:
        self._to = to
        self._tool: Tool | None = to.tools.get(name)
        self._count = 0

    def key(self, name: str) -> None:
        """A parameter begins."""
        self._to.argue(("{" if self._count == 0 else ", ") + written(name) + ": ")
        self._count += 1

    def value(self, name: str, json: str) -> None:
        """A whole parameter whose value is JSON already."""
        self.key(name)
        self._to.argue(json)

    def half(self, name: str, text: str) -> None:
        """A string that was cut."""
        self.key(name)
        self._to.argue('"' + written(text)[1:-1])

    def end(self) -> None:
        """All have come: the call is complete."""
        self._to.argue("}" if self._count else "{}")
        self._to.end_call()

    def read(self, name: str, ends: Marks) -> Steps[str]:
        """Take a parameter's text and the mark that ends it; the answer is that mark, empty where the text ended.

        A string is told as it comes, anything else once it is whole.
        """
        incoming = self._to.incoming
        if ends.space:
            yield from incoming.accept("\n")
        incoming.take()
        if is_text(self._tool, name):
            return (yield from self.text(name, ends))
        pieces: list[str] = []
        end = yield from incoming.until(ends, pieces.append)
        incoming.take()
        self.value(name, as_json("".join(pieces), kinds(self._tool, name)))
        return end

    def text(self, name: str, ends: Marks) -> Steps[str]:
        """The same for a parameter that is known to be a string."""
        self.key(name)
        self._to.argue('"')
        end = yield from self._to.incoming.until(ends, self._escaped)
        self._to.argue('"' if end else "")
        self._to.incoming.take()
        return end

    def _escaped(self, text: str) -> None:
        self._to.argue(written(text)[1:-1])
