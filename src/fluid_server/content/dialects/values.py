"""Arguments that are written without JSON: what a text means as a value depends on the schema of its parameter."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from fluid_server.content.dialects.json_text import parsed, written
from fluid_server.types import Tool

_DEPTH = 16  # of references and alternatives that are followed
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_NOT_PYTHON = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def parameters(tool: Tool | None) -> Mapping[str, Any]:
    """The schemas of a tool's parameters by name."""
    if tool is None:
        return {}
    if tool.custom:
        return {"input": {"type": "string"}}
    properties = (tool.parameters or {}).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def kinds(tool: Tool | None, name: str) -> frozenset[str]:
    """JSON's names of the types that a parameter may have; empty where nothing is known of it."""
    root = (tool.parameters or {}) if tool is not None else {}
    return frozenset(_kinds(parameters(tool).get(name), root, set(), _DEPTH))


def _kinds(schema: object, root: Mapping[str, Any], followed: set[str], depth: int) -> Iterator[str]:
    """Only strict functions have had their schema checked: here anything may stand anywhere, and refer to itself."""
    if not isinstance(schema, Mapping) or not depth:
        return
    named = schema.get("type")
    yield from [named] if isinstance(named, str) else [one for one in _list(named) if isinstance(one, str)]
    if named is None:
        values = [*_list(schema.get("enum")), *([schema["const"]] if "const" in schema else ())]
        yield from (_KINDS.get(type(value), "null") for value in values)
    for key in ("anyOf", "oneOf", "allOf"):
        for option in _list(schema.get(key)):
            yield from _kinds(option, root, followed, depth - 1)
    pointer = schema.get("$ref")
    if isinstance(pointer, str) and pointer not in followed:
        followed.add(pointer)
        yield from _kinds(pointed(root, pointer), root, followed, depth - 1)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def pointed(root: Mapping[str, Any], pointer: str) -> object:
    """What a JSON pointer of the form ``#/…`` leads to; None where it leads nowhere."""
    found: object = root if pointer.startswith("#") else None
    for part in pointer[1:].strip("/").split("/") if pointer != "#" else ():
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def is_text(tool: Tool | None, name: str) -> bool:
    """Whether a parameter is a string and nothing else, so that its text is its value."""
    return kinds(tool, name) == {"string"}


def as_json(text: str, allowed: frozenset[str]) -> str:
    """A bare text as JSON: a value of an allowed type if it can be read as one, else a string.

    Where nothing is known of the type, anything that is JSON but a quoted string is taken for what it is.
    """
    plain = text.strip()
    value = parsed(plain)
    if value is None and allowed - {"string"}:
        value = literal(plain)
    if value is None and plain in ("null", "None"):
        return "null" if "null" in allowed or "string" not in allowed else written(text)
    if value is None or (isinstance(value, str) if not allowed else "string" in allowed and not _fits(value, allowed)):
        return written(text)
    return _written(value, plain)


def from_literal(text: str, allowed: frozenset[str]) -> str:
    """A value of Python's (or JSON's) syntax as JSON; what is neither is a text."""
    bare = text.strip()
    if bare in ("None", "null"):
        return "null"
    value = literal(bare)
    value = parsed(bare) if value is None else value
    if value is None or (allowed == {"string"} and not isinstance(value, str)):
        return written(bare)
    return _written(value, bare)


def literal(text: str) -> Any:
    """The value of a Python literal; None if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # models escape what needs none
            return ast.literal_eval(text)
    except _NOT_PYTHON:
        return None


def _written(value: Any, text: str) -> str:
    """A value as JSON, as it was written if it was JSON already."""
    if not isinstance(value, str) and parsed(text) is not None:
        return text
    try:
        return written(value)
    except (ValueError, TypeError, RecursionError):
        return written(text)  # a set, bytes, a number without end


def _fits(value: Any, allowed: frozenset[str]) -> bool:
    if value is None:
        return "null" in allowed
    kind = _KINDS.get(type(value), "")
    return kind in allowed or (kind == "integer" and "number" in allowed)
