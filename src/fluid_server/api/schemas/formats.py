"""What an answer must look like, as requests say it: `response_format`, `text.format`, `structured_outputs`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fluid_server.api.schemas.strict import Strict
from fluid_server.api.schemas.tools import Name, missing
from fluid_server.content.json_schema import check_regex, check_schema
from fluid_server.errors import InvalidRequest
from fluid_server.shapes import Choice, Const, Grammar, JSONSchema, Regex, Shape

MAX_CHOICES = 1000
LONGEST_CHOICES = 100_000  # characters of all together: engines walk through each of them
Definition = Annotated[str, Field(min_length=1, max_length=100_000)]


class TextFormat(Strict):
    """Any text."""

    type: Literal["text"]


class JSONObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaDefinition(Strict):
    """A JSON schema and its name. It is enforced whether strict or not; strict asks for OpenAI's narrower rules."""

    name: Name
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class JSONSchemaFormat(Strict):
    """JSON that a schema describes."""

    type: Literal["json_schema"]
    json_schema: SchemaDefinition


ResponseFormat = Annotated[TextFormat | JSONObjectFormat | JSONSchemaFormat, Field(discriminator="type")]


class StructuredOutputs(Strict):
    """What vLLM's clients send: exactly one of JSON schema, regular expression, choice of texts, and grammar.

    A grammar in which ``::=`` stands is GBNF (EBNF beginning at ``root``), any other one Lark (beginning at
    ``start``).
    """

    json_: dict[str, Any] | None = Field(None, alias="json")
    regex: Definition | None = None
    choice: Annotated[list[Definition], Field(min_length=1, max_length=MAX_CHOICES)] | None = None
    grammar: Definition | None = None

    @model_validator(mode="after")
    def _one(self) -> StructuredOutputs:
        given = [value for value in (self.json_, self.regex, self.choice, self.grammar) if value is not None]
        if len(given) != 1:
            raise InvalidRequest(
                "'structured_outputs' must have exactly one of 'json', 'regex', 'choice' and 'grammar'.",
                param="structured_outputs",
            )
        return self

    def as_shape(self) -> Shape:
        """The wish as a shape. Errors: InvalidRequest naming the part that cannot be enforced."""
        if self.json_ is not None:
            return schema_shape(self.json_, "structured_outputs.json", strict=False)
        if self.regex is not None:
            check_regex(self.regex, param="structured_outputs.regex")
            return Regex(self.regex)
        if self.choice is not None:
            if sum(map(len, self.choice)) > LONGEST_CHOICES:
                raise InvalidRequest(
                    f"'structured_outputs.choice' may have at most {LONGEST_CHOICES} characters in all.",
                    param="structured_outputs.choice",
                )
            return Choice(tuple(Const(text) for text in self.choice))
        return grammar_shape(self.grammar or "")


def format_shape(chosen: TextFormat | JSONObjectFormat | JSONSchemaFormat | None) -> Shape | None:
    """A chat request's `response_format` as a shape; None is any text. Errors: InvalidRequest naming the part."""
    match chosen:
        case JSONObjectFormat():
            return JSONSchema({"type": "object"})
        case JSONSchemaFormat(json_schema=definition):
            where = "response_format.json_schema.schema"
            if definition.schema_ is None:
                raise missing(where)
            return schema_shape(definition.schema_, where, strict=bool(definition.strict))
    return None


def schema_shape(schema: dict[str, Any], where: str, *, strict: bool) -> Shape:
    """JSON that a schema describes. Errors: InvalidRequest naming the keyword that cannot be enforced."""
    check_schema(schema, param=where, strict=strict)
    return JSONSchema(schema)


def grammar_shape(definition: str) -> Shape:
    """Text that a grammar derives, in the syntax that it is written in."""
    return Grammar(definition, "ebnf" if "::=" in definition else "lark")
