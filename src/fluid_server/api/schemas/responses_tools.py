"""Tools, their choice and the answer's format as the Responses API writes them: flat where chat requests nest."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from fluid_server.api.schemas.formats import JSONObjectFormat, TextFormat, schema_shape
from fluid_server.api.schemas.responses_fields import HOSTED_TOOLS
from fluid_server.api.schemas.strict import Strict
from fluid_server.api.schemas.tools import (
    MAX_TOOLS,
    Description,
    GrammarDefinition,
    Name,
    Verbosity,
    function_tool,
    missing,
    tool_use,
)
from fluid_server.content.json_schema import check_together
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.shapes import JSONSchema, Shape
from fluid_server.types import Tool, ToolUse

ALLOWED_CALLERS = Field(None, description='only ["direct"]')


class CalledDirectly(Strict):
    """What tools can say of how they are found and called; only the plain way exists here."""

    defer_loading: Literal[False] | None = Field(None, description="only false: all tools are given with the request")
    allowed_callers: list[Literal["direct"]] | None = ALLOWED_CALLERS

    def as_tool(self, where: str) -> Tool:
        """The tool as what flows."""
        raise NotImplementedError

    def told(self) -> dict[str, Any]:
        """The tool as an answer repeats it."""
        raise NotImplementedError


class FlatFunction(CalledDirectly):
    """A function that the model may call. Strict unless it says otherwise, as with OpenAI."""

    type: Literal["function"]
    name: Name
    description: Description | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = Field(None, description="default: true where the parameters can be enforced")
    output_schema: dict[str, Any] | None = Field(None, description="accepted; it tells hosted code what to expect")

    def as_tool(self, where: str) -> Tool:
        """The function as what flows. Errors: a schema that cannot be enforced where strict was asked for."""
        if self.strict is not None:
            return function_tool(where, self.name, self.description, self.parameters, strict=self.strict)
        try:
            return function_tool(where, self.name, self.description, self.parameters, strict=True)
        except InvalidRequest:
            return function_tool(where, self.name, self.description, self.parameters, strict=False)

    def told(self) -> dict[str, Any]:
        """The function as an answer repeats it."""
        tool: dict[str, Any] = {"type": self.type, "name": self.name, "parameters": self.parameters}
        if self.description is not None:
            tool["description"] = self.description
        return {**tool, "strict": self.as_tool("tools").strict}


class TextInput(Strict):
    """Any text."""

    type: Literal["text"]


class GrammarInput(GrammarDefinition):
    """Text that a grammar describes."""

    type: Literal["grammar"]


class FlatCustom(CalledDirectly):
    """A tool whose input is text rather than JSON."""

    type: Literal["custom"]
    name: Name
    description: Description | None = None
    format: Annotated[TextInput | GrammarInput, Field(discriminator="type")] | None = None

    def as_tool(self, where: str) -> Tool:
        """The tool as what flows. Errors: a grammar that is none."""
        shape = self.format.as_shape(f"{where}.format") if isinstance(self.format, GrammarInput) else None
        return Tool(name=self.name, description=self.description or "", custom=True, input=shape)

    def told(self) -> dict[str, Any]:
        """The tool as an answer repeats it."""
        return self.model_dump(exclude_none=True, exclude={"defer_loading", "allowed_callers"})


ResponseTool = Annotated[FlatFunction | FlatCustom, Field(discriminator="type")]
Tools = Annotated[list[ResponseTool], Field(fail_fast=True, max_length=MAX_TOOLS)]


class ThisTool(Strict):
    """This tool must be called."""

    type: Literal["function", "custom"]
    name: str


class SomeTools(Strict):
    """Only some of the tools may be called, and whether one of them must be."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_TOOLS)


ToolChoice = (
    Literal["none", "auto", "required"]
    | Annotated[ThisTool | SomeTools, Field(discriminator="type")]
)  # fmt: skip


class FlatSchema(Strict):
    """JSON that a schema describes."""

    type: Literal["json_schema"]
    name: Name
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextConfig(Strict):
    """What the answer's text is like."""

    format: Annotated[TextFormat | JSONObjectFormat | FlatSchema, Field(discriminator="type")] | None = None
    verbosity: Verbosity | None = None

    def as_shape(self) -> Shape | None:
        """The format as a shape; None is any text. Errors: a schema that cannot be enforced, naming the part."""
        match self.format:
            case JSONObjectFormat():
                return JSONSchema({"type": "object"})
            case FlatSchema() as wanted:
                return schema_shape(wanted.schema_, "text.format.schema", strict=bool(wanted.strict))
        return None


def refuse_hosted_tools(tools: Any, choice: Any) -> None:
    """Refuse by name what OpenAI runs itself. Errors: UnsupportedField."""
    if isinstance(tools, list):
        for index, tool in enumerate(tools[: MAX_TOOLS + 1]):
            _refuse_hosted(tool, f"tools[{index}].type")
    _refuse_hosted(choice, "tool_choice.type")


def _refuse_hosted(tool: Any, param: str) -> None:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        return
    name = next((name for name in sorted(HOSTED_TOOLS, key=len, reverse=True) if _is_version_of(kind, name)), None)
    if name is not None:
        raise UnsupportedField(
            f"Tools of type '{kind}' are not supported by this server: {HOSTED_TOOLS[name]}. Use functions.",
            param=param,
        )


def _is_version_of(kind: str, name: str) -> bool:
    """Such as web_search_2025_08_26."""
    return kind == name or kind.startswith(f"{name}_20")


def response_tool_use(
    tools: list[FlatFunction | FlatCustom] | None, choice: Any, *, parallel: bool | None
) -> ToolUse | None:
    """What a request says of tools; None where it says nothing. Errors: InvalidRequest naming the field."""
    functions = [tool for tool in tools or () if isinstance(tool, FlatFunction)]
    check_together((one.parameters for one in functions if one.strict is not False), param="tools")
    made = tuple(tool.as_tool(f"tools[{index}]") for index, tool in enumerate(tools or ()))
    match choice:
        case ThisTool(name=name):
            return tool_use(made, "required", (name,), parallel=parallel)
        case SomeTools() as allowed:
            names = tuple(_allowed_name(tool, index) for index, tool in enumerate(allowed.tools))
            return tool_use(made, allowed.mode, names, parallel=parallel)
    return tool_use(made, choice, None, parallel=parallel)


def _allowed_name(tool: dict[str, Any], index: int) -> str:
    where = f"tool_choice.tools[{index}]"
    _refuse_hosted(tool, f"{where}.type")
    name = tool.get("name")
    if not isinstance(name, str):
        raise missing(f"{where}.name")
    return name
