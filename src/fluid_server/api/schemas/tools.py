"""Tools and how they are chosen, as chat requests and the Responses API write them; both become one ToolUse."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from fluid_server.api.schemas.strict import Strict
from fluid_server.content.json_schema import check_nesting, check_regex, check_schema, check_together
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.shapes import Grammar, Regex, Shape
from fluid_server.types import Tool, ToolUse

MAX_TOOLS = 128
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Description = Annotated[str, Field(max_length=100_000)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity = Literal["low", "medium", "high"]


class FunctionDefinition(Strict):
    """A function: its parameters are a JSON schema."""

    name: Name
    description: Description | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def as_tool(self, where: str) -> Tool:
        """The function as what flows. Errors: a schema that cannot be enforced where it must be."""
        return function_tool(where, self.name, self.description, self.parameters, strict=bool(self.strict))


class FunctionTool(Strict):
    """A function that the model may call."""

    type: Literal["function"]
    function: FunctionDefinition

    def as_tool(self, where: str) -> Tool:
        """The tool as what flows."""
        return self.function.as_tool(f"{where}.function")


class GrammarDefinition(Strict):
    """What a custom tool's input must be."""

    syntax: Literal["lark", "regex"]
    definition: str = Field(min_length=1, max_length=100_000)

    def as_shape(self, where: str) -> Shape:
        """The grammar as a shape. Errors: an expression that cannot be enforced."""
        if self.syntax == "regex":
            check_regex(self.definition, param=f"{where}.definition")
        return Regex(self.definition) if self.syntax == "regex" else Grammar(self.definition, "lark")


class CustomFormat(Strict):
    """Free text, or text that a grammar describes."""

    type: Literal["text", "grammar"] = "text"
    grammar: GrammarDefinition | None = None


class CustomDefinition(Strict):
    """A custom tool takes one text."""

    name: Name
    description: Description | None = None
    format: CustomFormat | None = None


class CustomTool(Strict):
    """A tool whose input is text rather than JSON."""

    type: Literal["custom"]
    custom: CustomDefinition

    def as_tool(self, where: str) -> Tool:
        """The tool as what flows. Errors: a grammar that is missing."""
        wanted = self.custom.format or CustomFormat()
        if wanted.type == "grammar" and wanted.grammar is None:
            raise missing(f"{where}.custom.format.grammar")
        inner = wanted.grammar if wanted.type == "grammar" else None
        shape = inner.as_shape(f"{where}.custom.format.grammar") if inner is not None else None
        return Tool(name=self.custom.name, description=self.custom.description or "", custom=True, input=shape)


ChatTool = Annotated[FunctionTool | CustomTool, Field(discriminator="type")]


class Named(Strict):
    """A tool's name."""

    name: str


class FunctionChoice(Strict):
    """This function must be called."""

    type: Literal["function"]
    function: Named


class CustomChoice(Strict):
    """This custom tool must be called."""

    type: Literal["custom"]
    custom: Named


class AllowedTools(Strict):
    """Only these, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_TOOLS)


class AllowedChoice(Strict):
    """Only some of the tools may be called."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


ChatToolChoice = (
    Literal["none", "auto", "required"]
    | Annotated[FunctionChoice | CustomChoice | AllowedChoice, Field(discriminator="type")]
)


def function_tool(
    where: str, name: str, description: str | None, parameters: dict[str, Any] | None, *, strict: bool
) -> Tool:
    """A function. Errors: InvalidRequest for a strict one without parameters that can be enforced."""
    if strict and parameters is None:
        raise InvalidRequest(
            f"'{where}' is strict and has no parameters: give their JSON schema.", param=f"{where}.parameters"
        )
    check_nesting(parameters, param=f"{where}.parameters")
    if strict:
        check_schema(parameters, param=f"{where}.parameters", strict=True)
    return Tool(name=name, description=description or "", parameters=parameters, strict=strict)


def chat_tool_use(
    tools: list[FunctionTool | CustomTool] | None, choice: Any, *, parallel: bool | None
) -> ToolUse | None:
    """What a chat request says of tools; None where it says nothing. Errors: InvalidRequest naming the field."""
    functions = [tool.function for tool in tools or () if isinstance(tool, FunctionTool)]
    check_together((one.parameters for one in functions if one.strict), param="tools")
    made = tuple(tool.as_tool(f"tools[{index}]") for index, tool in enumerate(tools or ()))
    match choice:
        case FunctionChoice(function=named):
            return tool_use(made, "required", (named.name,), parallel=parallel)
        case CustomChoice(custom=named):
            return tool_use(made, "required", (named.name,), parallel=parallel)
        case AllowedChoice(allowed_tools=allowed):
            names = tuple(_allowed_name(one, index) for index, one in enumerate(allowed.tools))
            return tool_use(made, allowed.mode, names, parallel=parallel)
    return tool_use(made, choice, None, parallel=parallel)


def tool_use(
    tools: tuple[Tool, ...], mode: str | None, names: tuple[str, ...] | None, *, parallel: bool | None
) -> ToolUse | None:
    """Tools and how they are chosen, checked against each other. Errors: InvalidRequest naming the field."""
    if not tools:
        if mode not in (None, "none", "auto") or names:
            raise InvalidRequest("'tool_choice' is only allowed when 'tools' are given.", param="tool_choice")
        return None
    known = [tool.name for tool in tools]
    for name in known:
        if known.count(name) > 1:
            raise InvalidRequest(f"'tools' has two of the name '{name}'.", param="tools")
    for name in names or ():
        if name not in known:
            raise InvalidRequest(f"'tool_choice' names '{name}', which is none of the 'tools'.", param="tool_choice")
    use = ToolUse(tools=tools, mode=mode or "auto", names=names, parallel=parallel is not False)
    _check_grammars(use)
    return use


def _check_grammars(use: ToolUse) -> None:
    """A context-free grammar cannot be kept to inside of JSON: the answer must be nothing but that tool's input."""
    if use.mode == "none" or (use.mode == "required" and len(use.allowed) == 1):
        return
    for tool in use.allowed:
        if isinstance(tool.input, Grammar):
            raise UnsupportedField(
                f"The lark grammar of the custom tool '{tool.name}' can only be enforced where 'tool_choice' names "
                "this tool. Name it, or use a regex.",
                param="tools",
            )


def custom_arguments(text: str) -> str:
    """A custom tool's input as the arguments that its model wrote."""
    return json.dumps({"input": text}, ensure_ascii=False)


def _allowed_name(tool: dict[str, Any], index: int) -> str:
    inner = tool.get(str(tool.get("type")))
    name = inner.get("name") if isinstance(inner, dict) else tool.get("name")
    if not isinstance(name, str):
        raise missing(f"tool_choice.allowed_tools.tools[{index}].function.name")
    return name


def missing(param: str) -> InvalidRequest:
    """The failure of a request without a field that it needs."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
