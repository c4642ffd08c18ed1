"""How settings are spelt where all is text: lists, pairs, times, keys, addresses of databases. Pure.

What is no text is given back as it is: the settings' own types judge it. Errors: ValueError, in words for people.
"""

from __future__ import annotations

import json
import re
from typing import Any

DATABASES = ("sqlite://", "postgresql://", "postgres://", "postgresql+psycopg://")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parts(value: Any) -> Any:
    """A list, written with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def pairs(value: Any) -> Any:
    """Pairs, written as KEY=VALUE,KEY=VALUE, or as a JSON object."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return json.loads(value)
    found = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(key.strip() and equals for key, equals, _ in found):
        raise ValueError("write it as KEY=VALUE,KEY=VALUE")
    return {key.strip(): text.strip() for key, _, text in found}


def written(value: object) -> str:
    """A setting as text from which it is read again."""
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def seconds(value: Any) -> Any:
    """A time, which may be written with its unit: 90m, 12h, 30d."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    return float(match[1]) * UNITS[match[2]] if match else value


def key(text: str) -> str | None:
    """An API key. An empty one lets everybody in: it is none."""
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        raise ValueError("a key must be printable ASCII, since it travels in an HTTP header")
    return text or None


def database(text: str) -> str | None:
    """A database's address; an empty one is none."""
    text = text.strip()
    if text and not text.startswith(DATABASES):
        raise ValueError(
            "it must begin with sqlite:/// or postgresql:// (if DATABASE_URL is another program's, set "
            "FLUID_DATABASE_URL too)"
        )
    return text or None
