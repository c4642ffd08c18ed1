"""The types of a parameter are read out of schemas that nobody has checked: functions need not be strict."""

from __future__ import annotations

import pytest

from fluid_server.content.dialects.values import kinds
from fluid_server.types import Tool


@pytest.mark.parametrize(
    "schema",
    [5, {"type": 5}, {"type": [5]}, {"enum": 5}, {"anyOf": 5}, {"anyOf": [5]}, {"$ref": 5}, {"$ref": "#/nowhere"}],
)
def test_a_schema_that_is_none_says_nothing(schema: object) -> None:
    assert kinds(Tool(name="f", parameters={"properties": {"a": schema}}), "a") == frozenset()


@pytest.mark.parametrize("parameters", [{"properties": 5}, {"properties": [5]}, {}])
def test_parameters_that_are_none_say_nothing(parameters: dict[str, object]) -> None:
    assert kinds(Tool(name="f", parameters=parameters), "a") == frozenset()


def test_a_schema_of_itself_ends() -> None:
    """Six alternatives at 16 levels are 10^12 ways: each reference is followed once."""
    schema = {"anyOf": [{"$ref": "#/properties/a"}] * 6 + [{"type": "string"}, {"type": ["integer", "null"]}]}
    tool = Tool(name="f", parameters={"properties": {"a": schema}})
    assert kinds(tool, "a") == {"string", "integer", "null"}
