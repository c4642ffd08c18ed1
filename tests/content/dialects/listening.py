"""Feeding readers, and joining what they tell, so that answers can be compared however they were cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fluid_server.content.dialects import DIALECTS, Argued, Called, Dialect, Heard, Reader, Said, Thought
from fluid_server.types import Tool, ToolUse

TOOLS = (
    Tool(
        name="get_weather",
        parameters={
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "exact": {"type": "boolean"},
                "wind": {"type": "object"},
                "hours": {"type": "array", "items": {"type": "integer"}},
                "unit": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["city"],
        },
    ),
    Tool(name="get_time"),
)
USE = ToolUse(tools=TOOLS)


@dataclass
class Heeded:
    """All that a reader told of one answer: ``calls`` are names and joined arguments."""

    said: str = ""
    thought: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    order: str = ""  # what came: S, T, C and A, each once for a run
    ended: int = 0


def heed(heard: Iterable[Heard]) -> Heeded:
    """Join what was told; a name must come before its arguments, and calls must be numbered."""
    all_of_it = Heeded()
    for one in heard:
        match one:
            case Said(text=text):
                assert text
                all_of_it.said += text
            case Thought(text=text):
                assert text
                all_of_it.thought += text
            case Called(index=index, name=name):
                assert index == len(all_of_it.calls)
                all_of_it.calls.append((name, ""))
            case Argued(index=index, text=text):
                assert text
                assert index == len(all_of_it.calls) - 1
                name, known = all_of_it.calls[index]
                all_of_it.calls[index] = (name, known + text)
        kind = type(one).__name__[0]
        if isinstance(one, Called) or not all_of_it.order.endswith(kind):
            all_of_it.order += kind
    return all_of_it


def listen(
    dialect: str | Dialect, pieces: Sequence[str], use: ToolUse | None = USE, *, thinking: bool = False
) -> Heeded:
    """What the reader of a dialect makes of an answer that comes in these pieces, and its quick way does too."""
    one = DIALECTS[dialect] if isinstance(dialect, str) else dialect
    reader, quick = one.reader(use, thinking=thinking), one.reader(use, thinking=thinking)
    heard: list[Heard] = []
    glanced: list[Heard] = []
    fed = 0
    for piece in pieces:
        fed += len(piece)
        heard += reader.feed(piece)
        assert 0 <= reader.held <= fed
        glanced += glance(quick, piece)
        assert quick.held == reader.held
    heard += reader.flush()
    assert reader.held == 0
    assert reader.flush() == []
    result = heed(heard)
    assert heed([*glanced, *quick.flush()]) == result
    result.ended = reader.calls_ended
    assert result.ended <= len(result.calls)
    return result


def glance(reader: Reader, piece: str) -> list[Heard]:
    """What a reader tells of a piece that it may take for plain text at a glance."""
    said = reader.plain(piece)
    if said is None:
        return reader.feed(piece)
    return [Said(said)] if said else []


def cuts(text: str) -> Iterable[list[str]]:
    """The text whole, character by character, and cut in two at every position."""
    yield [text]
    yield list(text)
    for position in range(1, len(text)):
        yield [text[:position], text[position:]]
