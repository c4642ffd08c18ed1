"""A custom tool's input, read out of the JSON arguments ``{"input": "…"}`` in which a model writes it."""

from __future__ import annotations

import json
import re

_BEFORE = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_ESCAPE = 2  # characters of a short escape; \uXXXX has six, a surrogate pair twelve


class CustomInput:
    """Pieces of JSON in, pieces of the text in, as soon as each is complete.

    Arguments that are no such object are passed on as they are: a model that is not held to them may write what
    it likes, and a client can still see it.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "before"

    def feed(self, text: str) -> str:
        """What of the input this completes."""
        if self._state == "raw":
            return text
        if self._state == "ended":
            return ""
        self._held += text
        return self._inside() if self._state == "inside" else self._before()

    def _before(self) -> str:
        if found := _BEFORE.match(self._held):
            self._state, self._held = "inside", self._held[found.end() :]
            return self._inside()
        if _could_begin(self._held):
            return ""
        self._state = "raw"
        return self._held

    def _inside(self) -> str:
        end = _safe_end(self._held)
        closing = _closing(self._held)
        if closing is not None:
            self._state = "ended"
            end = closing
        ready, self._held = self._held[:end], self._held[end:]
        return _decoded(ready)


def _could_begin(text: str) -> bool:
    """Whether more text can still make this the beginning of the expected object."""
    squeezed = re.sub(r"\s+", "", text)
    return '{"input":"'.startswith(squeezed)


def _closing(text: str) -> int | None:
    """Where the string ends: its first quote that is not escaped."""
    position = 0
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == '"':
            return position
        else:
            position += 1
    return None


def _safe_end(text: str) -> int:
    """Up to where no escape is cut in two, and no surrogate pair."""
    position = end = 0
    while position < len(text):
        length = _unit(text, position)
        if length is None:
            return end
        position += length
        end = position
    return end


def _unit(text: str, position: int) -> int | None:
    """The length of what stands at ``position``; None where its end has not come yet."""
    if text[position] != "\\":
        return 1
    if len(text) < position + _ESCAPE:
        return None
    if text[position + 1] != "u":
        return _ESCAPE
    if len(text) < position + 6:
        return None
    if not re.match(r"\\u[dD][89abAB]", text[position : position + 4]):
        return 6
    return 12 if len(text) >= position + 12 else None


def _decoded(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
