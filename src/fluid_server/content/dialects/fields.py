"""The shapes of parameters that are written one by one, each with its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fluid_server.content.dialects.enforcing import arguments_schema, property_schema
from fluid_server.content.dialects.json_text import written
from fluid_server.content.dialects.values import kinds, pointed
from fluid_server.errors import UnsupportedField
from fluid_server.shapes import AnyText, Choice, Const, JSONSchema, Regex, Shape
from fluid_server.shapes import Sequence as InOrder
from fluid_server.types import Tool

ANYTHING = r"(.|\n)*"
MOST = 4  # calls in a row, where a grammar has to spell them out

Field = Callable[[str, Shape | None, JSONSchema], Shape]
"""Makes a parameter's shape of its name, of what its bare text must be (None: it is no text), and of its JSON."""


def fields(tool: Tool, field: Field, *, separator: str = "", ordered: bool = False) -> Shape | None:
    """A tool's parameters in the order of its schema (``ordered``: of the alphabet), those not required optional.

    None where nothing is said about them. Errors: UnsupportedField for a schema that is more than properties.
    """
    if tool.custom:
        text = tool.input or AnyText()
        schema = JSONSchema({"type": "string", **_pattern(tool.input)})
        return field("input", text, schema)
    root = _object(tool)
    properties = root.get("properties") or {}
    if not properties:
        return None if root.get("additionalProperties") is not False else Const("")
    required = root.get("required") or ()
    names = sorted(properties) if ordered else list(properties)
    members = [(_member(tool, root, name, field), name in required) for name in names]
    return joined(members, separator)


def _pattern(shape: Shape | None) -> dict[str, Any]:
    return {"pattern": f"^(?:{shape.pattern})$"} if isinstance(shape, Regex) else {}


def _object(tool: Tool) -> Mapping[str, Any]:
    root: Any = arguments_schema(tool)
    if isinstance(root.get("$ref"), str):
        found = pointed(root, root["$ref"])
        root = {**root, **found} if isinstance(found, Mapping) else root
    odd = sorted({"anyOf", "oneOf", "allOf", "patternProperties", "if", "not"} & set(root))
    if odd:
        raise UnsupportedField(
            f"The parameters of the strict function '{tool.name}' use '{odd[0]}' at their top, which cannot be "
            "enforced on this model: it writes parameters one by one. Describe them by 'properties'.",
            param="tools",
        )
    return dict(root)


def _member(tool: Tool, root: Mapping[str, Any], name: str, field: Field) -> Shape:
    schema = property_schema(root, name)
    text = bare(root["properties"][name]) if "string" in kinds(tool, name) else None
    return field(name, text, JSONSchema(schema))


def bare(schema: Any) -> Shape:
    """What the text of a string without quotes must be: one of an enum, of a pattern, or anything."""
    if not isinstance(schema, Mapping):
        return AnyText()
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return one_of([Const(value if isinstance(value, str) else written(value)) for value in values])
    if isinstance(pattern := schema.get("pattern"), str):
        return Regex(_whole(pattern))
    return AnyText()


def _whole(pattern: str) -> str:
    """A pattern that matches all of a text, of one that JSON schema only searches for."""
    begins, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    middle = pattern[1 if begins else 0 : -1 if ends else None]
    return f"{'' if begins else ANYTHING}({middle}){'' if ends else ANYTHING}"


def joined(members: Sequence[tuple[Shape, bool]], separator: str) -> Shape:
    """Members one after the other, those not required optional, with a separator between any two."""
    return _joined(list(members), separator, started=False)


def _joined(members: list[tuple[Shape, bool]], separator: str, *, started: bool) -> Shape:
    if not members:
        return Const("")
    (first, required), rest = members[0], members[1:]
    before = (Const(separator),) if started and separator else ()
    after = (_joined(rest, separator, started=True),) if rest else ()
    present = InOrder((*before, first, *after)) if before or after else first
    if required:
        return present
    if separator:
        return Choice((present, _joined(rest, separator, started=started)))
    here = Choice((first, Const("")))
    return InOrder((here, *after)) if after else here


def in_a_row(call: Shape, separator: str, *, parallel: bool) -> Shape:
    """One call, or as many as MOST."""
    shape = call
    for _ in range(MOST - 1 if parallel else 0):
        shape = InOrder((call, Choice((InOrder((Const(separator), shape)), Const("")))))
    return shape


def one_of(options: Sequence[Shape]) -> Shape:
    """A choice, or the only option."""
    return Choice(tuple(options)) if len(options) != 1 else options[0]
