"""What a stream of server-sent events says to somebody who measures it: when text came, and the counts in the end.

Text is found in the bytes; only the few events without text are parsed. So a client in Python keeps up with a server
that writes tens of thousands of chunks a second, and what is measured is the server.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Some text, of a chat or of a completion, thought aloud or not. In a text itself these quotes would be escaped.
TEXT = re.compile(rb'"(?:content|text|reasoning_content|reasoning)"\s*:\s*"(?!")')
USAGE = re.compile(rb'"usage"\s*:\s*\{')
DATA = re.compile(rb"^data:\s?(.*)$", re.MULTILINE)
END = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counts them."""

    prompt: int
    answer: int
    cached: int = 0


@dataclass(slots=True)
class Reading:
    """One stream as it comes. ``chunks`` are the times at which text came, in seconds; ``events`` counts all events."""

    chunks: array[float] = field(default_factory=lambda: array("d"))
    events: int = 0
    usage: Usage | None = None
    error: str | None = None
    ended: bool = False
    _rest: bytes = b""

    def feed(self, when: float, data: bytes) -> None:
        """Take what has come at that time; an event may come in several parts."""
        text = self._rest + data
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        *events, self._rest = text.split(b"\n\n")
        for event in events:
            self._take(when, event)

    def _take(self, when: float, event: bytes) -> None:
        if TEXT.search(event):
            self.chunks.append(when)
            if not USAGE.search(event):
                self.events += 1
                return
        said = b"\n".join(DATA.findall(event)).strip()
        if said == END:
            self.ended = True
        elif said:  # else a comment, which keeps the line open
            self.events += 1
            self._parse(said)

    def _parse(self, said: bytes) -> None:
        try:
            told = json.loads(said)
        except ValueError:
            self.error = self.error or "an event that is no JSON"
            return
        if not isinstance(told, dict):
            return
        if told.get("error"):
            self.error = self.error or message_of(told)
        self.usage = _usage(told.get("usage")) or self.usage


def message_of(told: object) -> str:
    """What a failure's body says, however it is shaped."""
    error = told.get("error", told) if isinstance(told, dict) else told
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or error.get("detail") or "no reason given")
    return str(error)


def _usage(told: Mapping[str, Any] | None) -> Usage | None:
    if not isinstance(told, dict) or not isinstance(told.get("completion_tokens"), int):
        return None
    prompt, details = told.get("prompt_tokens"), told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(prompt if isinstance(prompt, int) else 0, told["completion_tokens"], cached or 0)
