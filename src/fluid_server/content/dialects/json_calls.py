"""Calls that are JSON objects, ``{"name": …, "arguments": {…}}``, alone or in a list: most families write these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fluid_server.content.dialects import json_text
from fluid_server.content.dialects.incoming import Steps
from fluid_server.content.dialects.reading import StepReader

NAMES = ("name", "function", "tool_name")
ARGUMENTS = ("arguments", "parameters", "args")
EXPECTED = {*NAMES, *ARGUMENTS, "type", "id"}  # what else may stand in an object that nothing marks as a call
_LEFT_OVER = re.compile(r"[\s}\]]*")


@dataclass(slots=True)
class _Found:
    """What is known of a call: ``begun`` once it has been told, ``argued`` once its arguments have."""

    name: str | None = None
    arguments: str | None = None
    begun: bool = False
    argued: bool = False


def calls(to: StepReader, *, sure: bool = True) -> Steps[bool]:
    """Read one or more call objects. False where there is none, and nothing was taken.

    ``sure``: a mark has said that a call comes, so that a name alone makes one. If not, the name must be that of
    a tool, and arguments must follow it.
    """
    incoming = to.incoming
    yield from incoming.space()
    listed = yield from incoming.accept("[")
    yield from incoming.space()
    found = False
    while (yield from _call(to, sure=sure)):
        found = True
        yield from incoming.space()
        yield from incoming.accept(",", ";")
        yield from incoming.space()
    if found:
        incoming.back()
    if found and listed:
        yield from incoming.space()
        if (yield from incoming.accept("]")):
            incoming.take()
        incoming.back()
    return found


def _call(to: StepReader, *, sure: bool) -> Steps[bool]:
    found = _Found()
    if not (yield from to.incoming.accept("{")):
        return False
    while (yield from _member(to, found, sure=sure)):
        yield from to.incoming.space()
        if not (yield from to.incoming.accept(",")):
            break
    yield from to.incoming.space()
    closed = yield from to.incoming.accept("}")
    if not found.begun and found.arguments is not None:
        _begin(to, found, sure=sure)
    if not found.begun:
        return False
    if closed or not to.is_cut():
        to.argue("" if found.argued else "{}")
        to.end_call()
    return True


def _member(to: StepReader, found: _Found, *, sure: bool) -> Steps[bool]:
    """Read ``"key": value``; False where none comes."""
    incoming = to.incoming
    yield from incoming.space()
    key = yield from json_text.string(incoming)
    yield from incoming.space()
    if key is None or not (sure or key in EXPECTED) or not (yield from incoming.accept(":")):
        return False
    yield from incoming.space()
    if key in ARGUMENTS and not found.argued:
        _begin(to, found, sure=sure)
        yield from _arguments(to, found)
        return True
    text = yield from json_text.value(incoming)
    if key in NAMES and found.name is None:
        _name(found, json_text.parsed(text))
        if sure:
            _begin(to, found, sure=True)
    return sure or found.name is None or found.name in to.tools


def _name(found: _Found, named: Any) -> None:
    """Take over a name, or OpenAI's own ``{"name": …, "arguments": …}`` in its place."""
    if isinstance(named, str):
        found.name = named.strip() or None
    elif isinstance(named, dict) and isinstance(named.get("name"), str):
        found.name = named["name"].strip() or None
        inner = next((named[key] for key in ARGUMENTS if key in named), None)
        found.arguments = normalised(json_text.written(inner)) if inner is not None else None


def _begin(to: StepReader, found: _Found, *, sure: bool) -> None:
    """Tell the call, if it may be one, and the arguments that came before its name."""
    if found.begun or found.name is None or not (sure or found.name in to.tools):
        return
    found.begun = True
    to.call(found.name)
    if found.arguments is not None:
        found.argued = True
        to.argue(found.arguments)


def _arguments(to: StepReader, found: _Found) -> Steps[None]:
    first = yield from to.incoming.peek()
    if found.begun and first == "{":
        found.argued = True
        yield from json_text.handed_on(to.incoming, to.argue)
        return
    found.arguments = normalised((yield from json_text.value(to.incoming)))
    if found.begun:
        found.argued = True
        to.incoming.take()
        to.argue(found.arguments)


def normalised(arguments: str) -> str:
    """Arguments as the text of an object: some models write them as a string, or null for none."""
    content = json_text.parsed(arguments)
    if isinstance(content, str) and isinstance(json_text.parsed(content), dict):
        return content
    return "{}" if arguments in ("", "null") else arguments


def close(to: StepReader, *marks: str) -> Steps[None]:
    """Read the mark behind calls, and brackets too many before it. Where it does not come, nothing is read."""
    yield from to.incoming.run(_LEFT_OVER)
    if (yield from to.incoming.mark(*marks)):
        to.incoming.take()
    to.is_cut()
