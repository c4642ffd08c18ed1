"""What is read out of a stream of events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fluid_server.cli.bench_stream import Reading, Usage, message_of


def event(told: Any, *, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(told, separators=(",", ":")).encode() + end


def delta(**fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields}]}


def read(*pieces: bytes) -> Reading:
    """The pieces, the first of them at second 0, the next at second 1."""
    reading = Reading()
    for when, piece in enumerate(pieces):
        reading.feed(float(when), piece)
    return reading


@pytest.mark.parametrize("field", ["content", "reasoning_content", "reasoning"])
def test_text_of_each_kind_counts_and_an_empty_one_does_not(field: str) -> None:
    reading = read(event(delta(role="assistant", content="")), event(delta(**{field: "a"})), event(delta(content=None)))
    assert list(reading.chunks) == [1.0]
    assert reading.events == 3


def test_text_completions_count_too() -> None:
    assert list(read(event({"choices": [{"text": "a"}]}), event({"choices": [{"text": ""}]})).chunks) == [0.0]


def test_spaces_in_the_json_and_other_line_ends_are_the_same() -> None:
    spaced = b'data: {"choices": [{"delta": {"content": "a"}}]}\r\n\r\n'
    assert list(read(spaced, spaced + spaced).chunks) == [0.0, 1.0, 1.0]


def test_a_text_that_looks_like_the_wire_is_one_text() -> None:
    reading = read(event(delta(content='"content":"x","usage":{"completion_tokens":9}')))
    assert (len(reading.chunks), reading.usage, reading.error) == (1, None, None)


def test_an_event_is_there_when_its_last_byte_is() -> None:
    whole = event(delta(content="é")) + event({"usage": {"prompt_tokens": 3, "completion_tokens": 1}}, end=b"\r\n\r\n")
    reading = read(*(bytes([byte]) for byte in whole + b"data: [DONE]\n\n"))
    assert list(reading.chunks) == [len(event(delta(content="\u00e9"))) - 1]
    assert (reading.usage, reading.ended, reading.error) == (Usage(3, 1), True, None)


def test_usage_may_stand_in_a_chunk_with_text() -> None:
    both = delta(content="a") | {
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}
    }
    reading = read(event(both))
    assert (len(reading.chunks), reading.events, reading.usage) == (1, 1, Usage(3, 1, 2))


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": None}, {"total_tokens": 3}, "many", [1]])
def test_usage_that_tells_nothing_is_none(usage: object) -> None:
    assert read(event({"choices": [], "usage": usage})).usage is None


def test_comments_keep_the_line_open_and_count_for_nothing() -> None:
    reading = read(b": loading 42%\n\n", b"event: ping\n\n", event(delta(content="a")))
    assert (list(reading.chunks), reading.events) == ([2.0], 1)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"error": {"message": "It broke.", "code": "x"}}, "It broke."),
        ({"error": "It broke."}, "It broke."),
        ({"error": {"code": "broken"}}, "broken"),
    ],
)
def test_an_error_in_the_middle_is_seen(told: object, message: str) -> None:
    assert read(event(delta(content="a")), event(told)).error == message


def test_what_is_no_json_is_an_error() -> None:
    assert read(b"data: {oops\n\n").error == "an event that is no JSON"
    assert read(event([1])).error is None


def test_failures_are_told_however_they_are_shaped() -> None:
    assert message_of({"detail": "Not Found"}) == "Not Found"
    assert message_of({"object": "error"}) == "no reason given"
    assert message_of(["x"]) == "['x']"
