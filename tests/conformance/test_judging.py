"""The instrument itself: what it makes of answers that are right, wrong, deaf and broken. No server runs here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from scripts.contract.asking import chat
from scripts.contract.case import Ask, Case, Outcome, Refusal, Reply
from scripts.contract.checks import cut_at
from scripts.contract.judging import judge
from scripts.contract.sending import read
from scripts.contract.table import CASES
from scripts.contract.typed import look_at

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
ANSWER = "The capital of France is Paris."
STOP = Case(
    name="stop", group="g", api="chat", proves="p", asks=(chat(), chat(stop="France")), fields=("stop",),
    check=cut_at("France"),
)  # fmt: skip
WRONG = Case(
    name="wrong", group="g", api="chat", proves="p", asks=(chat(n=0),), fields=("n",), refusal=Refusal(status=400),
)  # fmt: skip
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def said(text: str, **more: Any) -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, **more}
    return {"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}


def ok(body: Any) -> Reply:
    return Reply(status=200, body=body)


def refused(status: int = 400, **error: Any) -> Reply:
    return Reply(status=status, body={"error": {"message": "no", "type": "t", "param": None, "code": "c", **error}})


def outcome(case: Case, *replies: Reply) -> Outcome:
    return judge(case, case.asks, replies, None).outcome


@pytest.mark.parametrize(
    ("second", "wanted"),
    [
        (ok(said("The capital of ")), Outcome.HONOURED),
        (ok(said(ANSWER)), Outcome.IGNORED),
        (ok(said("The capital of F")), Outcome.IGNORED),
        (ok(said("The capital of ", finish_reason="length")), Outcome.IGNORED),
        (refused(param="stop"), Outcome.BY_NAME),
        (refused(param="stop[0]"), Outcome.BY_NAME),
        (refused(param="stopped"), Outcome.OTHERWISE),
        (refused(param="n"), Outcome.OTHERWISE),
        (refused(param="stop", code=400), Outcome.OTHERWISE),
        (refused(422, param="stop"), Outcome.OTHERWISE),
        (Reply(status=400, body={"detail": "stop"}), Outcome.OTHERWISE),
        (Reply(status=404, body="not found"), Outcome.OTHERWISE),
        (Reply(status=500, body={"error": {"message": "oops"}}), Outcome.BROKEN),
        (Reply(problem="it hangs"), Outcome.BROKEN),
        (ok(said(ANSWER, finish_reason="tired")), Outcome.BROKEN),
        (ok({"object": "nothing", "choices": 5}), Outcome.BROKEN),
    ],
)
def test_a_case_ends_in_its_class(second: Reply, wanted: Outcome) -> None:
    assert outcome(STOP, ok(said(ANSWER)), second) == wanted


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (refused(param="n"), Outcome.BY_NAME),
        (refused(param=None), Outcome.OTHERWISE),
        (refused(404, param="n"), Outcome.OTHERWISE),
        (ok(said(ANSWER)), Outcome.IGNORED),
        (Reply(status=503, body=None), Outcome.BROKEN),
    ],
)
def test_a_wrong_request_must_be_refused(reply: Reply, wanted: Outcome) -> None:
    assert outcome(WRONG, reply) == wanted


def test_what_is_taken_and_then_not_found_was_ignored() -> None:
    case = next(case for case in CASES if case.name == "store")
    assert outcome(case, ok(said(ANSWER)), Reply(status=404, body="no")) == Outcome.IGNORED


def test_fields_that_are_missing_or_too_many_are_told() -> None:
    body = said(ANSWER) | {"mood": "good"}
    del body["created"]
    found = look_at(chat(), ok(body), None)
    assert (found.malformed, found.invalid) == ("", ("created: Field required",))
    assert look_at(chat(), ok(said(ANSWER) | {"mood": "good"}), None).extras == {"mood"}


def deaf(ask: Ask) -> Reply:
    """A server that hears nothing but the question, and whether to stream."""
    if not ask.stream:
        return ok(said(ANSWER))
    head: Mapping[str, Any] = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [{"role": "assistant", "content": ""}, {"content": ANSWER}, {}]
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    return Reply(status=200, events=tuple(chunks), names=("",) * 3, done=True)


def test_a_deaf_server_is_seen_to_be_deaf() -> None:
    cases = [case for case in CASES if case.api == "chat completions"]
    verdicts = {case.name: outcome(case, *(deaf(ask) for ask in case.asks)) for case in cases}
    heard = [case for case in cases if verdicts[case.name] == Outcome.HONOURED]
    caught = {field for case in cases if verdicts[case.name] == Outcome.IGNORED for field in case.fields}
    assert {field for case in heard for field in case.fields} - caught == {  # they change no answer
        "user", "safety_identifier", "store", "prediction",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    }  # fmt: skip
    assert len(heard) < len(cases) / 4


# --- reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('data: {"a": 1}\n\ndata: [DONE]\n\n', ""),
        (': queued\n\ndata: {"a": 1}\n\n', ""),
        ('data: {"a": 1}\r\n\r\ndata: [DONE]\r\n\r\n', ""),
        ('{"a": 1}\n\n', "malformed: a stream has the line"),
        ('data: [DONE]\n\ndata: {"a": 1}\n\n', "malformed: events come behind [DONE]"),
        ("data: {\n\n", "malformed:"),
        ('data: {"error": {"message": "oops"}}\n\n', "an error in the stream"),
        ("", "an empty stream"),
    ],
)
def test_a_stream_is_read_or_its_fault_is_told(text: str, problem: str) -> None:
    reply = read(chat(stream=True), 200, EVENTS, text.encode(), 0.1)
    assert reply.problem.startswith(problem)
    assert bool(reply.problem) is bool(problem)


def test_an_object_in_place_of_a_stream_is_told() -> None:
    body = json.dumps(said(ANSWER)).encode()
    assert read(chat(), 200, JSON, body, 0.1).problem == ""
    assert "an object came" in read(chat(stream=True), 200, JSON, body, 0.1).problem


def test_a_refusal_in_plain_text_is_read() -> None:
    assert read(chat(), 404, {}, b"404 page not found", 0.1).body == "404 page not found"


def test_a_request_is_filled_from_earlier_answers() -> None:
    ask = Ask(path="/things/$0.id", body={"after": "$1.data.0.id", "of": "it is $0.id"}, named=False)
    filled = ask.filled("m", [ok({"id": "x"}), ok({"data": [{"id": 5}]})])
    assert (filled.path, filled.body) == ("/things/x", {"after": 5, "of": "it is x"})
    with pytest.raises(LookupError, match="no id"):
        ask.filled("m", [ok({}), ok({})])
