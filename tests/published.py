"""OpenAI's own description of its API, where it lies beside this repository, and what conforms to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import BaseModel

OPENAPI = Path(__file__).resolve().parents[2] / "shared" / "openai" / "openapi.json"


@cache
def published() -> Mapping[str, Any]:
    """The description; skips the test where it is not there."""
    if not OPENAPI.is_file():
        pytest.skip("OpenAI's description does not lie beside this repository")
    document: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"), object_hook=_with_null)
    return document


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
    if schema.get("nullable") is not True:
        return schema
    return {"anyOf": [{name: value for name, value in schema.items() if name != "nullable"}, {"type": "null"}]}


def fields_of(name: str) -> set[str]:
    """The fields of a published schema, those of the schemas it is made of included."""
    return _fields(published()["components"]["schemas"][name])


def _fields(schema: Mapping[str, Any]) -> set[str]:
    if "$ref" in schema:
        return fields_of(schema["$ref"].rpartition("/")[2])
    parts = [_fields(part) for part in schema.get("allOf", [])]
    return set(schema.get("properties", {})).union(*parts)


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": published()["components"]})


def conforms(answer: Any, name: str) -> None:
    """Whether an answer is what the published schema promises."""
    problem = best_match(_validator(name).iter_errors(answer))
    assert problem is None, f"{problem.json_path}: {problem.message}"


def left_over(value: Any, where: str = "$") -> Iterator[str]:
    """The fields of an answer that the official package's types do not know."""
    if isinstance(value, BaseModel):
        yield from (f"{where}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from left_over(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from left_over(one, f"{where}[{number}]")
