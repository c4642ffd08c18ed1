"""What an answer must look like: a small tree that every engine's own grammar machinery can be told.

Made by the API from `response_format` and by `content.dialects` from tools; a runtime writes it down for its engine
(xgrammar's structural tags, llguidance's Lark). Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Const:
    """This text, to the letter."""

    text: str


@dataclass(frozen=True, slots=True)
class AnyText:
    """Any text, empty included. Inside a Tag it ends where the tag's ``end`` begins."""


@dataclass(frozen=True, slots=True)
class JSONSchema:
    """A JSON value that a schema describes; ``{}`` is any value, ``{"type": "object"}`` any object."""

    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Regex:
    """Text that a regular expression matches as a whole."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """Text that a context-free grammar derives.

    ``ebnf`` is the form that xgrammar and llama.cpp (GBNF) share, beginning at ``root``; ``lark`` begins at ``start``.
    """

    definition: str
    syntax: Literal["ebnf", "lark"] = "ebnf"


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other, with nothing between."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these."""

    options: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Tag:
    """``begin``, then the content, then ``end``; either text may be that of a special token."""

    begin: str
    content: Shape
    end: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """Free text in which tags may stand: a trigger, wherever it appears, must become one of the tags.

    Each tag's ``begin`` starts with one of the triggers. ``at_least_one``: the text ends only after a tag, and
    nothing precedes the first. ``stop_after_first``: it ends right after the first tag.
    """

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...]
    at_least_one: bool = False
    stop_after_first: bool = False


Shape = Const | AnyText | JSONSchema | Regex | Grammar | Sequence | Choice | Tag | Tagged
