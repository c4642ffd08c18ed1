"""Checks find the fault that they look for. Answers here are made by hand, each with one fault."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.contract.case import Reply
from scripts.contract.checks import adds_up, changed, logprobs, pieces, repeated, times_first
from scripts.contract.checks_responses import told
from scripts.contract.checks_speech import is_a, longer, said_in_events
from scripts.contract.checks_stream import streamed, usage_last, usage_null
from scripts.contract.checks_tools import called, deltas
from scripts.contract.reading import answer_of

HEAD = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
ROLE = {"role": "assistant", "content": ""}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
MORE = {"index": 0, "function": {"arguments": '{"a": 1}'}}


def chunk(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def stream(*events: Any, done: bool = True) -> list[Reply]:
    return [Reply(status=200, events=events, names=("",) * len(events), done=done)]


def whole(text: str, tokens: list[Any] | None = None, usage: Any = USAGE, **message: Any) -> Reply:
    logs = None if tokens is None else {"content": tokens}
    choice = {"index": 0, "message": {"content": text, **message}, "finish_reason": "stop", "logprobs": logs}
    return Reply(status=200, body={"choices": [choice], "usage": usage})


def token(text: str, logprob: float, *top: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "top_logprobs": [{"token": "x", "logprob": one} for one in top]}


GOOD = (chunk(ROLE), chunk({"content": "Hi"}), chunk({}, "stop"))


def test_a_good_stream_is_good() -> None:
    assert streamed(stream(*GOOD)) == ""


@pytest.mark.parametrize(
    ("replies", "fault"),
    [
        ([whole("Hi")], "no stream"),
        (stream(*GOOD, done=False), "[DONE]"),
        (stream(*GOOD[:2]), "no end"),
        (stream(*GOOD[1:]), "no role"),
        (stream(*GOOD, chunk({"content": "!"})), "behind its end"),
        (stream(GOOD[0], {**GOOD[1], "id": "b"}, GOOD[2]), "not the same"),
    ],
)
def test_a_stream_with_a_fault_is_found(replies: list[Reply], fault: str) -> None:
    assert fault in streamed(replies)


def test_usage_comes_last_and_is_null_before() -> None:
    final = {**HEAD, "choices": [], "usage": USAGE}
    assert usage_last(stream(*GOOD, final)) == ""
    assert "not the usage" in usage_last(stream(*GOOD))
    assert usage_null(stream(*({**one, "usage": None} for one in GOOD), final)) == ""
    assert "null" in usage_null(stream(*GOOD, final))


@pytest.mark.parametrize(
    ("calls", "fault"),
    [
        ([CALL, MORE], ""),
        ([], "no call"),
        ([MORE], "begin with"),
        ([CALL, {**MORE, "function": {"name": "f", "arguments": ""}}], "names the call again"),
        ([{**CALL, "index": None} | {"index": -1}], "without an index"),
    ],
)
def test_a_streamed_call_begins_with_its_name(calls: list[Any], fault: str) -> None:
    found = deltas(stream(*(chunk({"tool_calls": [call]}) for call in calls)))
    assert (fault in found) if fault else not found


@pytest.mark.parametrize(
    ("arguments", "fault"), [('{"a": 1}', ""), ('{"a": ', "no JSON"), ("[]", "not of type"), ('{"b": 1}', "required")]
)
def test_arguments_must_fit(arguments: str, fault: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    found = called(["f"], {"type": "object", "required": ["a"]})([whole("", tool_calls=[call])])
    assert (fault in found) if fault else not found
    assert "not g" in called(["g"])([whole("", tool_calls=[call])])


@pytest.mark.parametrize(
    ("tokens", "top", "fault"),
    [
        ([token("Hi", -0.1, -0.1, -2.5)], 2, ""),
        ([token("Hi", -0.1)], None, ""),
        (None, None, "missing"),
        ([token("H", -0.1)], None, "the tokens are"),
        ([token("Hi", 0.5)], None, "no log probability"),
        ([token("Hi", -0.1, -0.1)], 2, "1 alternatives"),
        ([token("Hi", -0.1, -2.5, -0.1)], 2, "not in order"),
        ([token("Hi", -0.1, -0.1, -0.1)], 2, "likelier"),
        ([token("Hi", -0.1, -0.1, -2.5)], 0, "none was asked for"),
    ],
)
def test_log_probabilities_must_be_some(tokens: list[Any] | None, top: int | None, fault: str) -> None:
    found = logprobs(top)([whole("Hi", tokens)])
    assert (fault in found) if fault else not found


def test_answers_are_compared() -> None:
    one, other = whole("a"), whole("b")
    assert changed([one, one]) != ""
    assert changed([one, other]) == ""
    assert repeated([one, other, other]) == ""
    assert "the same seed" in repeated([one, other, one])
    assert "two seeds" in repeated([one, one, one])
    assert pieces(3)([whole(" no no no")]) == ""
    assert pieces(3)([whole(" no no yes")]) != ""


def test_counts_must_be_true_to_each_other() -> None:
    assert adds_up(answer_of(whole("a"))) == ""
    assert "all three" in adds_up(answer_of(whole("a", usage=None)))
    assert "is not 9" in adds_up(answer_of(whole("a", usage={**USAGE, "total_tokens": 9})))
    assert "not 2 times" in times_first(2)([whole("a"), whole("a")])


def story(*kinds: str, text: str = "Hi") -> Reply:
    """A response's events, its message in the last."""
    part = {"type": "output_text", "text": text}
    response = {"object": "response", "status": "completed", "output": [{"type": "message", "content": [part]}]}
    events: list[dict[str, Any]] = [
        {"type": kind, "sequence_number": number, "delta": "Hi"} for number, kind in enumerate(kinds)
    ]
    events[-1]["response"] = response
    return Reply(status=200, events=tuple(events), names=kinds)


BEGIN, DELTA, END = "response.created", "response.output_text.delta", "response.completed"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (story(BEGIN, DELTA, END), ""),
        (story(DELTA, END), "not response.created"),
        (story(BEGIN, DELTA), "the last event"),
        (story(BEGIN, END), "the pieces are"),
        (story(BEGIN, DELTA, END, text="Ho"), "the pieces are"),
        (story(BEGIN, "response.output_item.added", DELTA, END), "1 times"),
    ],
)
def test_a_story_is_told_from_its_beginning_to_its_end(reply: Reply, fault: str) -> None:
    assert (fault in told([reply])) if fault else not told([reply])


@pytest.mark.parametrize(
    ("form", "sound", "fits"),
    [("wav", b"RIFF", True), ("wav", b"OggS", False), ("mp3", b"\xff\xf3", True), ("pcm", b"\0\0", True)],
)
def test_a_sound_file_is_known_by_its_beginning(form: str, sound: bytes, fits: bool) -> None:
    assert (is_a(form)([Reply(status=200, sound=sound + bytes(2000))]) == "") is fits
    assert is_a(form)([Reply(status=200, sound=sound)]) != ""


def test_sounds_are_compared_by_their_length() -> None:
    replies = [Reply(status=200, sound=bytes(size)) for size in (1000, 2000)]
    assert longer(1.5, 2.5)(replies) == ""
    assert longer(0.4, 0.6)(replies) == "it is 2.00 times as long"


def test_speech_in_events_ends_with_its_usage() -> None:
    delta = {"type": "speech.audio.delta", "audio": "AAAA" * 500}
    done = {"type": "speech.audio.done", "usage": {}}
    assert said_in_events([Reply(status=200, events=(delta, done))]) == ""
    assert said_in_events([Reply(status=200, events=(delta,))]) != ""
    assert said_in_events([Reply(status=200, events=(done,))]) == "0 bytes came"
