"""When tool calls must be enforced, and what the shapes of all dialects are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fluid_server.content.dialects.json_text import written
from fluid_server.errors import UnsupportedField
from fluid_server.shapes import JSONSchema, Regex, Tag, Tagged
from fluid_server.types import Tool, ToolUse

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


def must_enforce(use: ToolUse) -> bool:
    """Whether hope is not enough: a call is required, a tool is forbidden, or one is strict about what it takes."""
    if not use.allowed:
        return False
    strict = any(tool.strict or tool.input is not None for tool in use.allowed)
    return use.mode == "required" or strict or len(use.allowed) < len(use.tools)


def is_bound(tool: Tool) -> bool:
    """Whether its arguments must follow a schema."""
    return tool.strict or tool.custom


def arguments_schema(tool: Tool) -> Mapping[str, Any]:
    """What the JSON of a call's arguments must be. Errors: UnsupportedField for a grammar, which JSON would escape."""
    if not tool.custom:
        return (tool.parameters or ANY_OBJECT) if tool.strict else ANY_OBJECT
    text: dict[str, Any] = {"type": "string"}
    if isinstance(tool.input, Regex):
        text["pattern"] = f"^(?:{tool.input.pattern})$"
    elif tool.input is not None:
        raise UnsupportedField(
            f"The grammar of the custom tool '{tool.name}' cannot be enforced on this model, which writes a tool's "
            "input inside JSON. Use a grammar of syntax 'regex', or the format 'text'.",
            param="tools",
        )
    return {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}


def arguments(tool: Tool) -> JSONSchema:
    """A call's arguments as JSON."""
    return JSONSchema(arguments_schema(tool))


def tagged(use: ToolUse, tag: Callable[[Tool], Tag], *triggers: str) -> Tagged | None:
    """Text with calls in it, each of the form that ``tag`` gives for a tool; None where nothing need be enforced."""
    if not must_enforce(use):
        return None
    return Tagged(
        tags=tuple(tag(tool) for tool in use.allowed),
        triggers=triggers,
        at_least_one=use.mode == "required",
        stop_after_first=not use.parallel,
    )


def quoted(name: str) -> str:
    """A name as templates write it into JSON."""
    return written(name)


def list_schema(use: ToolUse, key: str) -> JSONSchema:
    """A JSON list of calls ``{"name": …, key: {…}}``: of any number, or of one where they must not be parallel."""
    options: list[Any] = []
    definitions: dict[str, Any] = {}
    for number, tool in enumerate(use.allowed):
        schema = arguments_schema(tool)
        if refers(schema):
            place = f"tool{number}"
            definitions[place] = moved(schema, f"#/$defs/{place}")
            schema = {"$ref": f"#/$defs/{place}"}
        options.append(_call_schema(tool.name, key, schema))
    calls: dict[str, Any] = {"type": "array", "items": options[0] if len(options) == 1 else {"anyOf": options}}
    calls["minItems"] = 1
    if not use.parallel:
        calls["maxItems"] = 1
    return JSONSchema(calls | ({"$defs": definitions} if definitions else {}))


def _call_schema(name: str, key: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, key: schema},
        "required": ["name", key],
        "additionalProperties": False,
    }


def property_schema(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The schema of one property, on its own: what it refers to comes along."""
    own = schema.get("properties", {}).get(name)
    if not isinstance(own, Mapping):
        return {}
    if not refers(own):
        return own
    pointer = name.replace("~", "~0").replace("/", "~1")
    whole = moved(schema, "#/$defs/arguments")
    return {"$ref": f"#/$defs/arguments/properties/{pointer}", "$defs": {"arguments": whole}}


def refers(schema: object) -> bool:
    """Whether a schema has references."""
    if isinstance(schema, Mapping):
        return isinstance(schema.get("$ref"), str) or any(refers(value) for value in schema.values())
    return isinstance(schema, list) and any(refers(value) for value in schema)


def moved(schema: Any, place: str) -> Any:
    """A schema as part of another, at ``place`` (a JSON pointer): what it refers to in itself is found there."""
    if isinstance(schema, Mapping):
        return {
            key: _reference(value, place) if key == "$ref" else moved(value, place) for key, value in schema.items()
        }
    return [moved(value, place) for value in schema] if isinstance(schema, list) else schema


def _reference(value: Any, place: str) -> Any:
    return place + value[1:] if isinstance(value, str) and value.startswith("#") else moved(value, place)
