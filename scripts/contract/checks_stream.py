"""What shows that a stream is one, and what headers and bodies say besides the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scripts.contract.case import Check, Reply
from scripts.contract.checks import adds_up, shown
from scripts.contract.reading import answer_of


def streamed(replies: Sequence[Reply]) -> str:
    """The last answer is a whole stream: one id, an end for each choice behind its last piece, then ``[DONE]``."""
    reply = replies[-1]
    if not reply.events:
        return "no stream came"
    if not reply.done:
        return "the stream does not end with [DONE]"
    if len({(event.get("id"), event.get("model")) for event in reply.events}) != 1:
        return "id and model are not the same in all chunks"
    return _ends(reply) or _roles(reply)


def _ends(reply: Reply) -> str:
    ended: set[int] = set()
    open_: set[int] = set()
    for event in reply.events:
        for choice in event.get("choices") or ():
            if choice["index"] in ended:
                return "a choice goes on behind its end"
            open_.add(choice["index"])
            if choice.get("finish_reason"):
                ended.add(choice["index"])
    return "" if ended == open_ else "a choice has no end"


def _roles(reply: Reply) -> str:
    """A chat's choices begin with the role, and say it once."""
    roles: dict[int, list[Any]] = {}
    for event in reply.events:
        for choice in event.get("choices") or ():
            if "delta" in choice:
                roles.setdefault(choice["index"], []).append(choice["delta"].get("role"))
    right = all(told[0] == "assistant" for told in roles.values())
    return "" if right else "the first chunk of a choice has no role"


def usage_last(replies: Sequence[Reply]) -> str:
    """The last chunk has the usage and no choice."""
    *others, final = replies[-1].events
    if final.get("choices") or not final.get("usage"):
        return "the last chunk is not the usage"
    if any(event.get("usage") for event in others):
        return "usage comes before the end"
    return adds_up(answer_of(replies[-1]))


def usage_null(replies: Sequence[Reply]) -> str:
    """All chunks but the last say that their usage is null."""
    said = all("usage" in event and event["usage"] is None for event in replies[-1].events[:-1])
    return "" if said else "a chunk before the last does not say that its usage is null"


def usage_absent(replies: Sequence[Reply]) -> str:
    """No chunk has a usage."""
    return "usage came unasked" if any(event.get("usage") for event in replies[-1].events) else ""


def unpadded(replies: Sequence[Reply]) -> str:
    """No chunk is padded."""
    return "chunks are padded" if any("obfuscation" in event for event in replies[-1].events) else ""


def has_header(name: str, holds: Callable[[str], bool]) -> Check:
    """The last answer has this header, with a value that will do."""

    def check(replies: Sequence[Reply]) -> str:
        value = replies[-1].headers.get(name)
        if value is None:
            return f"there is no header {name}"
        return "" if holds(value) else f"{name} is {shown(value)}"

    return check


def tells(path: str, holds: Callable[[Any], bool]) -> Check:
    """The last answer's body has a field, such as ``data.0.id``, with a value that will do."""

    def check(replies: Sequence[Reply]) -> str:
        found = replies[-1].body
        for step in path.split("."):
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (LookupError, TypeError, ValueError):
                return f"{path} is missing"
        return "" if holds(found) else f"{path} is {shown(found)}"

    return check


def says_both(first: str, second: str) -> Check:
    """A refusal's message holds two texts, such as the two numbers of a limit."""

    def check(replies: Sequence[Reply]) -> str:
        message = str(replies[-1].body["error"]["message"])
        return "" if first in message and second in message else f"the message is {shown(message)}"

    return check
