"""An answer that is nothing but one tool's input: no marks, no JSON around it."""

from __future__ import annotations

from fluid_server.content.dialects import Argued, Called, Heard, Reader


class RawCall(Reader):
    """All text is the input of one custom tool, to which the answer is held by its grammar."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begun = False

    def feed(self, text: str) -> list[Heard]:
        """The call, then its input."""
        heard: list[Heard] = [Called(0, self._name)] if not self._begun and text else []
        self._begun = self._begun or bool(text)
        return [*heard, Argued(0, text)] if text else []

    def flush(self) -> list[Heard]:
        """A call without input, where nothing came."""
        return [] if self._begun else [Called(0, self._name)]

    @property
    def held(self) -> int:
        """Nothing is ever held."""
        return 0
