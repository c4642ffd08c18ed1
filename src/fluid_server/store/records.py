"""What is kept, as it flows between the store and the API. Imports no database library."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
Json = Mapping[str, Any]  # what `json` can write; an item has its "id" and "type" inside


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is wanted: ``limit`` entries (1 to 100) behind the one whose id is ``after``."""

    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and whether more follows."""

    data: tuple[T, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A stored chat completion. ``body`` is the whole answer as it was sent, without ``metadata``.

    Times are epoch seconds; ``expires_at`` is none where things are kept for ever.
    """

    id: str
    created_at: int
    body: Json
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its items. It expires when nothing was added or changed for the time to live."""

    id: str
    created_at: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response. ``body`` is the whole object as clients see it, its ``output`` included.

    ``input`` are the items that this request brought itself, each with an ``id``: neither those of earlier responses
    nor those of its conversation. ``previous`` is the response that it continues.
    """

    id: str
    created_at: int
    body: Json
    input: tuple[Json, ...] = ()
    previous: str | None = None
    expires_at: int | None = None


def new_id(prefix: str) -> str:
    """A fresh id such as ``conv_…``: the prefix and 48 hexadecimal digits that cannot be guessed."""
    return prefix + secrets.token_hex(24)
