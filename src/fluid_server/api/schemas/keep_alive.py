"""How long a model stays after its last request, as Ollama's clients write it."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
LONGEST_TEXT = 40  # characters: nothing that means a duration is longer
LONGEST = 10 * 365 * 86400.0  # what is longer is for ever


def seconds(value: Any) -> float | None:
    """Seconds out of ``300``, ``"300"``, ``"5m"`` or ``"1h30m"``; negative is for ever (infinity).

    Errors: ValueError for anything else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = _parsed(value.strip().lower())
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - not a number
        raise ValueError('write it as seconds, or as text such as "5m" or "1h30m"; -1 is for ever')
    return math.inf if value < 0 or value > LONGEST else float(value)


def _parsed(text: str) -> float | str:
    if len(text) > LONGEST_TEXT:
        return text
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.removeprefix("-")
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return sign * float(text)
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return text
    return sign * sum(float(number) * SECONDS[unit] for number, unit in parts) - (sign < 0)


KeepAlive = Annotated[
    float | None,
    BeforeValidator(seconds),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}),
    Field(description='how long the model stays loaded after this: seconds, or "5m"; 0: unload at once; -1: for ever'),
]
