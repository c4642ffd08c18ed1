"""How a JSON schema is read: which words count, what a reference means, which types a schema speaks of.

What stands here is what the grammars of every runtime enforce; `content.json_schema` refuses all else by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
ANNOTATIONS = frozenset(
    {"title", "description", "default", "example", "examples", "$schema", "$id", "$comment", "$defs", "definitions"}
    | {"deprecated", "readOnly", "writeOnly", "discriminator", "externalDocs", "contentEncoding", "contentMediaType"}
)
COMBINING = ("$ref", "anyOf", "oneOf", "allOf")  # each stands for the whole schema
LISTED = ("const", "enum")
BY_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
CONSTRAINTS = frozenset().union(*BY_TYPE.values())
KNOWN = ANNOTATIONS | CONSTRAINTS | {"type", *COMBINING, *LISTED}

# The formats that are enforced, as expressions for the whole text. Each is narrower than its standard allows where
# that keeps an answer short, or readers differ: years have four digits and begin with 1 or 2, hosts are plain.
_DATE = r"[12]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+\-]([01]\d|2[0-3]):[0-5]\d)"
_CLOCK = r"T(\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?|\d{1,4}M(\d{1,4}S)?|\d{1,4}S)"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,30}[A-Za-z0-9])?"
_BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_GROUP = "[0-9a-fA-F]{1,4}"
FORMATS: Mapping[str, str] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": rf"P(\d{{1,4}}W|(\d{{1,4}}Y(\d{{1,4}}M(\d{{1,4}}D)?)?|\d{{1,4}}M(\d{{1,4}}D)?|\d{{1,4}}D)({_CLOCK})?"
    rf"|{_CLOCK})",
    "email": rf"[A-Za-z0-9_]{{1,32}}([.+\-][A-Za-z0-9_]{{1,16}}){{0,3}}@({_LABEL}\.){{1,4}}[A-Za-z]{{2,12}}",
    "hostname": rf"{_LABEL}(\.{_LABEL}){{0,5}}",
    "ipv4": rf"({_BYTE}\.){{3}}{_BYTE}",
    "ipv6": "|".join(
        [f"({_GROUP}:){{7}}{_GROUP}", f"::({_GROUP}(:{_GROUP}){{0,5}})?"]
        + [f"({_GROUP}:){{{n}}}:({_GROUP}(:{_GROUP}){{0,{5 - n}}})?" for n in range(1, 6)]
    ),
    "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
}


def resolve(root: Any, reference: str) -> Any:
    """What a local reference means. Errors: KeyError where it is remote or leads nowhere."""
    if reference != "#" and not reference.startswith("#/"):
        raise KeyError(reference)
    found = root
    for step in reference[2:].split("/") if reference != "#" else ():
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, Sequence) and not isinstance(found, str) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise KeyError(reference)
    return found


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a schema speaks of; all of them where it says nothing.

    A schema without ``type`` that has words for a type is read as one for that type: such a value fits it.
    """
    named = schema.get("type")
    if named is not None:
        return (named,) if isinstance(named, str) else tuple(named)
    spoken = [kind for kind, words in BY_TYPE.items() if words & schema.keys() and kind != "integer"]
    return tuple(spoken) or TYPES


def listed(schema: Schema) -> tuple[Any, ...] | None:
    """The values that ``const`` or ``enum`` leave, of the types that the schema names; None where it lists none."""
    if "const" in schema:
        values: Sequence[Any] = (schema["const"],)
    elif "enum" in schema:
        values = schema["enum"]
    else:
        return None
    kinds = types_of({"type": schema["type"]}) if "type" in schema else TYPES
    return tuple(value for value in values if any(is_a(value, kind) for kind in kinds))


def is_a(value: Any, kind: str) -> bool:
    """Whether a value is of a type by JSON schema's rules."""
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float):
        return kind == "number" or (kind == "integer" and value.is_integer())
    python: Mapping[str, Any] = {"null": type(None), "string": str, "object": Mapping, "array": list}
    return isinstance(value, int if kind in ("integer", "number") else python.get(kind, bool))


def options_of(schema: Schema) -> tuple[Any, ...] | None:
    """The schemas that one of COMBINING offers, each with what stands beside it; None where none is there.

    Only ``type`` may stand beside them: it is handed down to each option that names none itself.
    """
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            options = schema[word]
            if "type" not in schema:
                return tuple(options)
            return tuple(_typed(option, schema["type"]) for option in options)
    return None


def _typed(option: Any, kind: Any) -> Any:
    has_own = not isinstance(option, Mapping) or any(word in option for word in ("type", *COMBINING, *LISTED))
    return option if has_own else {**option, "type": kind}


def children(schema: Schema) -> Iterator[tuple[str, Any]]:
    """The schemas within a schema, with their paths from it; those in $defs are not among them."""
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for index, one in enumerate(schema.get(word, ())):
            yield f"{word}/{index}", one
    for name, one in schema.get("properties", {}).items():
        yield f"properties/{name}", one
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield word, schema[word]
