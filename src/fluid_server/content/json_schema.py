"""JSON schemas are checked before an engine sees them: what no grammar enforces is refused by name, with its place.

Engines ignore such words silently, or hang, or fail in the middle of everybody's step; here it is a 400 that says
what to leave out. `content.json_schema_words` has the words that are enforced.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from fluid_server.content.json_schema_types import Bad, check_words
from fluid_server.content.json_schema_words import (
    COMBINING,
    TYPES,
    Schema,
    children,
    is_a,
    listed,
    options_of,
    resolve,
    types_of,
)
from fluid_server.content.regex import check_regex
from fluid_server.errors import InvalidRequest

__all__ = ["check_nesting", "check_regex", "check_schema", "check_together"]

LARGEST = 262_144  # characters of a schema as JSON: engines take a second for each 100,000
DEEPEST = 64  # schemas within each other, references not followed; engines hang at a few thousand
MOST_SCHEMAS = 5_000
MOST_VALUES = 2_000  # of all enums together
MOST_COMPARISONS = 250_000  # of the schemas of oneOf, and of their values, with each other; a quarter of a second


def check_schema(schema: object, *, param: str, strict: bool) -> None:
    """Whether answers can be held to a schema. ``strict``: by OpenAI's rules for strict schemas besides.

    Errors: InvalidRequest whose ``param`` is the field that has the schema; the message names word and place.
    """
    try:
        _check_size(schema)
        check = _Check(schema)
        check.run()
        if strict:
            _check_strict(schema, check.visited)
    except Bad as bad:
        place = f"#/{bad.path}" if bad.path else "its top"
        raise InvalidRequest(
            f"The JSON schema in '{param}' cannot be used: at {place}, {bad.reason}", param=param
        ) from bad


def check_nesting(value: object, *, param: str) -> None:
    """Whether JSON that is not looked into can be sent on. Errors: InvalidRequest."""
    if _depth(value) > 4 * DEEPEST:
        raise InvalidRequest(f"'{param}' is nested more than {4 * DEEPEST} levels deep. Flatten it.", param=param)


def check_together(schemas: Iterable[object], *, param: str) -> None:
    """Whether all schemas of one request are not too large together. Errors: InvalidRequest."""
    size = 0
    for schema in schemas:
        check_nesting(schema, param=param)
        size += len(json.dumps(schema))
    if size > LARGEST:
        raise InvalidRequest(
            f"The JSON schemas of strict functions in '{param}' have {size} characters together, and the limit is "
            f"{LARGEST}. Send fewer or smaller ones, or not strict.",
            param=param,
        )


def _check_size(schema: object) -> None:
    if _depth(schema) > 4 * DEEPEST:
        raise Bad("", f"it nests deeper than {DEEPEST} schemas. Flatten it, or use references.")
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise Bad("", "it is no JSON.") from error
    if len(text) > LARGEST:
        raise Bad("", f"it has {len(text)} characters, and the limit is {LARGEST}.")


def _depth(value: object) -> int:
    """How deep JSON nests, found without recursion."""
    deepest, level = 0, [value]
    while level and deepest <= 4 * DEEPEST:
        deepest += 1
        level = [inner for one in level for inner in _inside(one)]
    return deepest


def _inside(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else []


class _Check:
    """One schema, its parts and what it refers to."""

    def __init__(self, root: object) -> None:
        self.visited: list[tuple[str, Any]] = []
        self._root = root
        self._references: dict[str, Any] = {}
        self._waiting: list[str] = []
        self._visiting: str | None = None  # the reference that is being visited; None at the root
        self._users: dict[str, set[str]] = {}  # which references need one
        self._exclusive: list[tuple[str, Schema]] = []
        self._values = 0
        self._comparisons = 0

    def run(self) -> None:
        """Errors: Bad. Schemas are compared only once all of them are known to be well formed."""
        self._visit(self._root, "", 0)
        while self._waiting:
            self._visiting = reference = self._waiting.pop()
            self._visit(self._references[reference], reference.removeprefix("#").lstrip("/"), 0)
        for path, schema in self._exclusive:
            self._check_exclusive(schema, path)
        self._check_cycles()
        self._check_ends()

    # --- each schema by itself ---------------------------------------------------------------------------

    def _visit(self, schema: Any, path: str, depth: int) -> None:
        self.visited.append((path, schema))
        if len(self.visited) > MOST_SCHEMAS:
            raise Bad("", f"it has more than {MOST_SCHEMAS} schemas within it.")
        if depth > DEEPEST:
            raise Bad(path, f"it nests deeper than {DEEPEST} schemas. Flatten it, or use references.")
        if isinstance(schema, bool):
            return
        if not isinstance(schema, Mapping):
            raise Bad(path, "a schema must be an object, true or false.")
        check_words(schema, path)
        if "$ref" in schema:
            self._note(schema["$ref"], path)
        self._check_values(schema, path)
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                self._check_options(word, schema, path)
        for further, child in children(schema):
            self._visit(child, f"{path}/{further}".lstrip("/"), depth + 1)

    def _note(self, reference: Any, path: str) -> None:
        name = str(reference)
        if self._visiting is not None:
            self._users.setdefault(name, set()).add(self._visiting)
        if name in self._references:
            return
        try:
            self._references[name] = resolve(self._root, name)
        except KeyError as error:
            raise Bad(
                path,
                f"the '$ref' {reference!r} leads nowhere in this schema. Only references like "
                "#/$defs/Name are followed.",
            ) from error
        self._waiting.append(name)

    def _check_values(self, schema: Schema, path: str) -> None:
        if "enum" in schema and (not isinstance(schema["enum"], list) or not schema["enum"]):
            raise Bad(path, "'enum' must be a list with at least one value.")
        values = listed(schema)
        if values is None:
            return
        self._values += len(values)
        if self._values > MOST_VALUES:
            raise Bad(path, f"its enums have more than {MOST_VALUES} values together.")
        if not values:
            raise Bad(path, "none of the values listed is of the 'type' beside them.")

    def _check_options(self, word: str, schema: Schema, path: str) -> None:
        options = schema[word]
        if not isinstance(options, list) or not options:
            raise Bad(path, f"'{word}' must be a list with at least one schema.")
        if word == "allOf" and len(options) > 1:
            raise Bad(path, "'allOf' with several schemas is not enforced. Write them as one schema.")
        if word == "oneOf":
            self._exclusive.append((path, schema))

    # --- what one value can fit --------------------------------------------------------------------------

    def _check_exclusive(self, schema: Schema, path: str) -> None:
        parts = options_of(schema) or ()
        pairs = ((one, other) for index, one in enumerate(parts) for other in parts[:index])
        if not all(self._disjoint(one, other, 8) for one, other in pairs):
            raise Bad(
                path,
                "'oneOf' has schemas that the same value may fit, which cannot be excluded. Use 'anyOf', or "
                "give each a required property with a 'const' of its own.",
            )

    def _tired(self, steps: int = 1) -> bool:
        """Whether so much has been compared that the rest is taken to be the same."""
        self._comparisons += steps
        return self._comparisons > MOST_COMPARISONS

    def _alternatives(self, schema: Any, depth: int) -> list[Any]:
        """A schema as the plain ones that it stands for, references and choices followed."""
        if self._tired() or not isinstance(schema, Mapping) or depth == 0:
            return [schema]
        if "$ref" in schema:
            return self._alternatives(self._references[str(schema["$ref"])], depth - 1)
        options = options_of(schema)
        if options is None:
            return [schema]
        return [found for option in options for found in self._alternatives(option, depth - 1)]

    def _disjoint(self, one: Any, other: Any, depth: int) -> bool:
        firsts, seconds = self._alternatives(one, depth), self._alternatives(other, depth)
        return all(self._apart(first, second, depth) for first in firsts for second in seconds)

    def _apart(self, one: Any, other: Any, depth: int) -> bool:
        if False in (one, other):
            return True
        if self._tired() or not isinstance(one, Mapping) or not isinstance(other, Mapping) or depth == 0:
            return False
        if any(word in schema for word in COMBINING for schema in (one, other)):
            return False
        ours, theirs = listed(one), listed(other)
        if ours is not None and theirs is not None:
            return not self._tired(len(ours) + len(theirs)) and not self._share(ours, theirs)
        kinds, others = _kinds(one), _kinds(other)
        if not kinds & others:
            return True
        return kinds & others == {"object"} and self._told_apart(one, other, depth)

    def _share(self, ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
        """Whether a value is in both lists. Lists and objects are compared one by one."""
        try:
            return not {_key(one) for one in ours}.isdisjoint(_key(one) for one in theirs)
        except TypeError:
            return self._tired(len(ours) * len(theirs)) or any(_equal(one, other) for one in ours for other in theirs)

    def _told_apart(self, one: Schema, other: Schema, depth: int) -> bool:
        """Whether a property that both require cannot be the same in both."""
        common = set(one.get("required", ())) & set(other.get("required", ()))
        ours, theirs = one.get("properties", {}), other.get("properties", {})
        return any(
            name in ours and name in theirs and self._disjoint(ours[name], theirs[name], depth - 1) for name in common
        )

    # --- references --------------------------------------------------------------------------------------

    def _check_cycles(self) -> None:
        try:
            TopologicalSorter({name: set(_directly(to)) for name, to in self._references.items()}).prepare()
        except CycleError as error:
            reference: str = error.args[1][0]
            raise Bad(reference.removeprefix("#/"), "it refers to itself with nothing between.") from error

    def _check_ends(self) -> None:
        """A schema that requires itself can never be answered to its end."""
        ending: set[str] = set()
        waiting = deque(self._references)
        while waiting:
            name = waiting.popleft()
            if name not in ending and _ends(self._references[name], ending):
                ending.add(name)
                waiting += self._users.get(name, ())
        for name in self._references.keys() - ending:
            raise Bad(name.removeprefix("#/"), "no value can fit it: what it requires never comes to an end.")
        if not _ends(self._root, ending):
            raise Bad("", "no value can fit it.")


def _directly(schema: Any) -> Iterator[str]:
    """The references that a schema may stand for without anything around them."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield str(schema["$ref"])
        for option in options_of(schema) or ():
            yield from _directly(option)


def _ends(schema: Any, ending: set[str]) -> bool:
    """Whether some finite value fits, if those of the references in ``ending`` have one."""
    if not isinstance(schema, Mapping):
        return bool(schema)
    if "$ref" in schema:
        return str(schema["$ref"]) in ending
    if (options := options_of(schema)) is not None:
        return any(_ends(option, ending) for option in options)
    if listed(schema) is not None:
        return True
    return any(_kind_ends(kind, schema, ending) for kind in types_of(schema))


def _kind_ends(kind: str, schema: Schema, ending: set[str]) -> bool:
    if kind == "object":
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        return all(_ends(properties.get(name, others), ending) for name in schema.get("required", ()))
    if kind == "array":
        first = schema.get("prefixItems", ())
        least = schema.get("minItems", 0)
        needed = [*first[:least], *[schema.get("items", True)] * (least > len(first))]
        return all(_ends(item, ending) for item in needed)
    return True


def _kinds(schema: Schema) -> set[str]:
    values = listed(schema)
    kinds = types_of(schema) if values is None else [kind for kind in TYPES for one in values if is_a(one, kind)]
    return set(kinds) | ({"integer"} if "number" in kinds else set())


def _key(value: Any) -> tuple[bool, Any]:
    """The same for equal values: true is not 1. Errors: TypeError where the value is a list or an object."""
    hash(value)
    return isinstance(value, bool), value


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


# --- OpenAI's rules for strict schemas ---------------------------------------------------------------------


def _check_strict(root: Any, visited: Sequence[tuple[str, Any]]) -> None:
    if not isinstance(root, Mapping) or root.get("type") != "object":
        raise Bad("", "a strict schema must be of type 'object'.")
    for path, schema in visited:
        if not isinstance(schema, Mapping):
            continue
        if "object" in types_of(schema) and ("type" in schema or "properties" in schema):
            _check_strict_object(schema, path)


def _check_strict_object(schema: Schema, path: str) -> None:
    if schema.get("additionalProperties") is not False:
        raise Bad(path, "with 'strict' every object needs 'additionalProperties': false.")
    if missing := sorted(set(schema.get("properties", {})) - set(schema.get("required", ()))):
        raise Bad(
            path,
            f"with 'strict' every property must be in 'required', and {missing[0]!r} is not. Allow null in its "
            "'type' where it may be left out.",
        )
