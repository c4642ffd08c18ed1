"""What a dialect is: marks to keep, a reader for what streams, and a shape for what must be enforced.

Readers are pure: pieces of text in, what they mean out, and how the text was cut into pieces makes no difference
to what comes out when the pieces of one kind that follow each other are joined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from fluid_server.shapes import Shape
from fluid_server.types import ToolUse


@dataclass(frozen=True, slots=True)
class Said:
    """Text for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Reasoning, without the marks around it."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call begins: the ``index``-th of this answer, from 0. Its arguments follow as Argued."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Argued:
    """More of a call's arguments: all of one call joined are a JSON object as text."""

    index: int
    text: str


Heard = Said | Thought | Called | Argued


class Reader(ABC):
    """Reads one answer as it comes."""

    @abstractmethod
    def feed(self, text: str) -> list[Heard]:
        """What this further text makes clear."""

    def plain(self, text: str) -> str | None:
        """What this further text makes clear, if nothing but text for the user; None where it is to be fed instead.

        A quicker way for most of an answer, which comes to the same.
        """
        return None

    @abstractmethod
    def flush(self) -> list[Heard]:
        """What was held back, now that no more text comes. An unfinished call keeps what it has."""

    @property
    @abstractmethod
    def held(self) -> int:
        """Characters fed that are not decided upon: a mark may have begun."""

    @property
    def calls_ended(self) -> int:
        """How many tool calls are complete."""
        return 0


class Dialect(ABC):
    """One family's way to write.

    ``marks`` are the texts of all tokens that structure an answer: a decoder must leave them in, although its
    vocabulary may call them special. ``opening`` and ``closing`` enclose reasoning; empty where there is none.
    ``calls_tools``: whether it has a way to call them at all.
    """

    name: ClassVar[str]
    marks: frozenset[str] = frozenset()
    opening: str = ""
    closing: str = ""
    calls_tools: bool = True

    @abstractmethod
    def reader(self, use: ToolUse | None, *, thinking: bool) -> Reader:
        """A reader for one answer. ``thinking``: the prompt has opened the reasoning already."""

    def answer(self, shape: Shape) -> Shape:
        """What a whole answer must look like whose text for the user is to have a shape, after any reasoning."""
        return shape

    @abstractmethod
    def shape(self, use: ToolUse) -> Shape | None:
        """What enforces the tool use, for the part of the answer after the reasoning; None where nothing need be.

        Something must be where a call is required, where only some of the tools are allowed, and for strict
        functions: then every allowed tool has its tag, with the JSON schema of its parameters if it is strict.
        """
