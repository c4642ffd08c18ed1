"""No dialect: all is text. For models whose template knows neither reasoning nor tools."""

from __future__ import annotations

from fluid_server.content.dialects.base import Dialect, Heard, Reader, Said
from fluid_server.shapes import Shape
from fluid_server.types import ToolUse


class PlainReader(Reader):
    """Everything is said."""

    def feed(self, text: str) -> list[Heard]:
        """The text itself."""
        return [Said(text)] if text else []

    def plain(self, text: str) -> str:
        """The text itself."""
        return text

    def flush(self) -> list[Heard]:
        """Nothing is ever held."""
        return []

    @property
    def held(self) -> int:
        """Nothing."""
        return 0


class Plain(Dialect):
    """No marks, no calls."""

    name = "plain"
    calls_tools = False

    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """One that passes all on."""
        return PlainReader()

    def shape(self, use: ToolUse) -> Shape | None:
        """Nothing can be enforced."""
        return None
