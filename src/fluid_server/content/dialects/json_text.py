"""JSON as it comes: where a value ends is found in one pass, and what was read of it can be handed on at once.

Models write JSON that is not quite JSON. Nothing here checks it: a value ends where its brackets and quotes are
closed, or before a character that no JSON has outside of its strings and that marks begin with.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from fluid_server.content.dialects.incoming import Incoming, Steps

_IN_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BETWEEN = re.compile(r'[^"{}\[\]<`]*')
_SCALAR = re.compile(r"[^\s,\]}<`]*")


class Extent:
    """How far a JSON object, list or string reaches: shown its text piece by piece, it says how far it has looked."""

    def __init__(self) -> None:
        self.ended = False
        self._depth = 0
        self._string = False

    def look(self, text: str, at: int) -> int:
        """Go on from ``at``: to the end of the value (then it has ``ended``) or of what can be told yet."""
        while at < len(text) and not self.ended:
            pattern = _IN_STRING if self._string else _BETWEEN
            found = pattern.match(text, at)
            assert found is not None
            at = found.end()
            if at == len(text) or (self._string and text[at] == "\\"):
                return at  # half an escape
            if text[at] in "<`":
                self.ended = not self._string
                return at
            self._pass(text[at])
            at += 1
        return at

    def _pass(self, bracket: str) -> None:
        if bracket == '"':
            self._string = not self._string
        else:
            self._depth += 1 if bracket in "{[" else -1
        self.ended = self._depth <= 0 and not self._string


def value(incoming: Incoming) -> Steps[str]:
    """Read a JSON value of any kind; empty where there is none."""
    start = incoming.at
    first = yield from incoming.peek()
    if first and first in '{["':
        yield from _enclosed(incoming, lambda: None)
        return incoming.text[start : incoming.at]
    return (yield from incoming.run(_SCALAR))


def handed_on(incoming: Incoming, sink: Callable[[str], None]) -> Steps[bool]:
    """Take a JSON object or list, handing it on as it comes; True if it was complete."""
    incoming.take()

    def hand() -> None:
        if taken := incoming.take():
            sink(taken)

    return (yield from _enclosed(incoming, hand))


def _enclosed(incoming: Incoming, seen: Callable[[], None]) -> Steps[bool]:
    extent = Extent()
    while True:
        incoming.at = extent.look(incoming.text, incoming.at)
        seen()
        if extent.ended:
            return True
        if not (yield from incoming.more()):
            incoming.at = len(incoming.text)
            seen()
            return False


def string(incoming: Incoming) -> Steps[str | None]:
    """Read a JSON string; None where none comes next, or it is broken."""
    if (yield from incoming.peek()) != '"':
        return None
    text = parsed((yield from value(incoming)))
    return text if isinstance(text, str) else None


def parsed(text: str) -> Any:
    """The value that JSON text describes; None if it is none, or has numbers that no double holds."""
    try:
        return json.loads(text, strict=False, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def written(content: object) -> str:
    """A value as JSON text. Errors: ValueError or TypeError for what JSON cannot say."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return text if encodable(text) else json.dumps(content, allow_nan=False)


def encodable(text: str) -> bool:
    """Whether it can be sent: half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
