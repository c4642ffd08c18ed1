"""What shows that tools were called as the request says."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from scripts.contract.case import Check, Reply
from scripts.contract.checks import each_choice, misfit, shown
from scripts.contract.reading import Call, Choice


def called(
    names: Collection[str], schema: dict[str, Any] | None = None, *, most: int = 128, text: bool = False
) -> Check:
    """Each choice calls, and only tools of these names; the arguments are an object, as the schema has it.

    ``text``: beside the call the model may say something. OpenAI ends an answer whose call was demanded with ``stop``.
    """
    validator = Draft202012Validator(schema or {"type": "object"})

    def look(choice: Choice) -> str:
        if not choice.calls:
            return f"no tool is called: {shown(choice.text)}"
        if len(choice.calls) > most:
            return f"{len(choice.calls)} calls, not {most}"
        if choice.text.strip() and not text:
            return f"text beside the call: {shown(choice.text)}"
        if choice.finish not in ("tool_calls", "stop"):
            return f"finish_reason is {choice.finish}, not tool_calls"
        return next((found for call in choice.calls if (found := _wrong(call, names, validator))), "")

    return each_choice(look)


def _wrong(call: Call, names: Collection[str], validator: Draft202012Validator) -> str:
    if call.name not in names:
        return f"'{call.name}' is called, not {' or '.join(sorted(names))}"
    if not call.id or call.kind != "function":
        return f"a call without an id or of type '{call.kind}'"
    return misfit(call.arguments, validator)


def custom(name: str, pattern: str = "[\\s\\S]*") -> Check:
    """Each choice calls this custom tool, with an input that the regular expression matches as a whole."""

    def look(choice: Choice) -> str:
        if not choice.calls:
            return f"no tool is called: {shown(choice.text)}"
        call = choice.calls[0]
        if (call.name, call.kind) != (name, "custom"):
            return f"a call of type '{call.kind}' of '{call.name}'"
        return "" if re.fullmatch(pattern, call.arguments) else f"the input is {shown(call.arguments)}"

    return each_choice(look)


uncalled = each_choice(lambda one: f"'{one.calls[0].name}' is called" if one.calls else "")


def deltas(replies: Sequence[Reply]) -> str:
    """A streamed call begins with its id, type and name; what follows has its index and more of the arguments."""
    seen: set[tuple[int, int]] = set()
    for event in replies[-1].events:
        for choice in event.get("choices") or ():
            for call in choice["delta"].get("tool_calls") or ():
                if found := _delta(call, (choice["index"], call.get("index", -1)), seen):
                    return found
    return "" if seen else "no call is streamed"


def _delta(call: Any, place: tuple[int, int], seen: set[tuple[int, int]]) -> str:
    inside = call.get("function") or call.get("custom") or {}
    if place[1] < 0:
        return "a call without an index"
    if place not in seen:
        seen.add(place)
        whole = call.get("id") and call.get("type") and inside.get("name")
        return "" if whole else "a call does not begin with its id, type and name"
    return "a later piece names the call again" if inside.get("name") else ""
