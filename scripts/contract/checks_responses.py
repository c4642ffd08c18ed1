"""What shows that the Responses API tells its story as OpenAI does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.contract.case import Check, Reply
from scripts.contract.checks import shown
from scripts.contract.reading import answer_of, response_of

ENDS = ("response.completed", "response.incomplete", "response.failed")


def told(replies: Sequence[Reply]) -> str:
    """The last answer is a whole story: numbered, from created to its end, with nothing told twice."""
    reply = replies[-1]
    kinds = [event.get("type") for event in reply.events]
    if not kinds or kinds[0] != "response.created":
        return "the first event is not response.created"
    if kinds[-1] not in ENDS:
        return f"the last event is {kinds[-1]}"
    if [event.get("sequence_number") for event in reply.events] != list(range(len(kinds))):
        return "the events are not numbered from 0 on"
    if list(reply.names) != kinds:
        return "the events are not called by their types"
    return _pairs(reply) or _joined(reply)


def _pairs(reply: Reply) -> str:
    """What is begun is ended."""
    for begun, done in (("output_item.added", "output_item.done"), ("content_part.added", "content_part.done")):
        counts = [sum(event["type"] == f"response.{kind}" for event in reply.events) for kind in (begun, done)]
        if counts[0] != counts[1]:
            return f"{counts[0]} times {begun}, {counts[1]} times {done}"
    return ""


def _joined(reply: Reply) -> str:
    """The pieces are the whole, of text and of arguments."""
    whole = answer_of(reply).choices[0]
    text = _pieces(reply, "response.output_text.delta")
    arguments = _pieces(reply, "response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
    if text != whole.text:
        return f"the pieces are {shown(text)}, the text is {shown(whole.text)}"
    called = "".join(call.arguments for call in whole.calls)
    return "" if arguments == called else f"the pieces are {shown(arguments)}, the arguments are {shown(called)}"


def _pieces(reply: Reply, *kinds: str) -> str:
    return "".join(event["delta"] for event in reply.events if event["type"] in kinds)


def status(wanted: str, why: str = "") -> Check:
    """The response stands so; ``why`` it is incomplete."""

    def check(replies: Sequence[Reply]) -> str:
        response = response_of(replies[-1]) or {}
        if response.get("status") != wanted:
            return f"status is {response.get('status')}, not {wanted}"
        reason = (response.get("incomplete_details") or {}).get("reason", "")
        return "" if reason == why else f"it is incomplete because of '{reason}', not '{why}'"

    return check


def repeats(**fields: Any) -> Check:
    """The response says again what was asked."""

    def check(replies: Sequence[Reply]) -> str:
        response = response_of(replies[-1]) or {}
        wrong = [name for name, value in fields.items() if response.get(name) != value]
        return f"{wrong[0]} is {shown(response.get(wrong[0]))}" if wrong else ""

    return check


def kinds(*wanted: str) -> Check:
    """The output has items of these types, in this order."""

    def check(replies: Sequence[Reply]) -> str:
        found = [item.get("type") for item in (response_of(replies[-1]) or {}).get("output") or ()]
        return "" if found == list(wanted) else f"the output is {shown(found)}"

    return check


def replayed(after: int) -> Check:
    """A stream that is fetched again begins behind this number and has the same end as the first."""

    def check(replies: Sequence[Reply]) -> str:
        numbers = [event.get("sequence_number") for event in replies[-1].events]
        if not numbers or numbers[0] != after + 1:
            return f"it begins with {numbers[:1]}"
        return "" if replies[-1].events[-1]["type"] in ENDS else "it has no end"

    return check
