"""Chat completions: tools, and reasoning."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import (
    ADDITION,
    CITY,
    FORECAST,
    NAMES,
    PERSON,
    SHELL,
    SHELL_INPUT,
    STORY,
    TIME,
    TOOLS,
    UNITS,
    WEATHER,
    WEATHER_QUESTION,
    Group,
    allowed,
    chat,
    custom_tool,
    json_schema,
    named,
    with_result,
)
from scripts.contract.case import Case
from scripts.contract.checks import (
    all_of,
    answered,
    changed,
    chose,
    cut_within,
    each_choice,
    ended,
    fits,
    last,
    reasoned,
    reasoning_counted,
    same,
    says,
    unreasoned,
)
from scripts.contract.checks_stream import streamed, tells, usage_last
from scripts.contract.checks_tools import called, custom, deltas, uncalled
from scripts.contract.reading import Choice

TOOLING = Group("tools")
CHOOSING = Group("tool_choice")
REASONING = Group("reasoning")
ANSWER = {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: "yes" | "no"'}}
COMMAND = {"type": "grammar", "grammar": {"syntax": "regex", "definition": SHELL_INPUT}}
FUNCTIONS = [WEATHER["function"]]
USAGE = {"include_usage": True}
STRICT: dict[str, Any] = {"tools": [FORECAST], "tool_choice": "required"}
OLD_CALL = tells("choices.0.message.function_call.name", lambda name: name == "get_weather")


def _only_the_time(choice: Choice) -> str:
    return "another tool is called" if any(call.name != "get_time" for call in choice.calls) else ""


CALLING: tuple[Case, ...] = (
    TOOLING.case(
        "a tool is called", "where it helps", chat(WEATHER_QUESTION, tools=TOOLS),
        check=all_of(called(["get_weather"], CITY), ended("tool_calls")), able=True, about="tools",
    ),
    TOOLING.case(
        "tools × stream", "the name first, then the arguments in pieces",
        chat(WEATHER_QUESTION, tools=TOOLS, stream=True),
        check=all_of(streamed, deltas, called(["get_weather"], CITY), ended("tool_calls")), able=True, about="tools",
    ),
    TOOLING.case(
        "tools × n", "each choice calls", chat(WEATHER_QUESTION, tools=TOOLS, n=2),
        check=all_of(chose(2), called(["get_weather"], CITY)), able=True, about="tools n",
    ),
    TOOLING.case(
        "tools × a question that needs none", "the model may answer", chat(tools=TOOLS),
        check=all_of(answered, uncalled, ended("stop")), able=True, about="tools",
    ),
    TOOLING.case(
        "tools × a result", "the result becomes the answer", chat(with_result(), tools=TOOLS),
        check=all_of(says("21"), uncalled), able=True, about="tools",
    ),
    TOOLING.case(
        "tools × stream × usage", "calls are counted in a stream",
        chat(WEATHER_QUESTION, tools=TOOLS, stream=True, stream_options=USAGE),
        check=all_of(usage_last, called(["get_weather"], CITY)), able=True, about="tools",
    ),
    TOOLING.case(
        "tools × max_tokens", "a call that is cut ends with length",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice="required", max_tokens=6), check=ended("length"),
        about="tools max_tokens tool_choice",
    ),
    TOOLING.case("tools of nothing", "an empty list is no tool", chat(), chat(tools=[]), check=same, about="tools"),
    TOOLING.case(
        "a strict function", "the arguments are of the schema",
        chat(WEATHER_QUESTION, tools=[FORECAST], tool_choice="required"), check=called(["get_weather"], UNITS),
        about="tools tool_choice",
    ),
    TOOLING.case(
        "a strict function × temperature", "whatever is drawn",
        *(chat(WEATHER_QUESTION, **STRICT, temperature=1.5, n=2, seed=seed) for seed in (11, 12)),
        check=all_of(chose(2), called(["get_weather"], UNITS)), about="tools tool_choice n",
    ),
    TOOLING.case(
        "parallel_tool_calls of false", "one call at most",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice="required", parallel_tool_calls=False),
        check=called(NAMES, most=1), about="parallel_tool_calls tools tool_choice",
    ),
    TOOLING.case(
        "parallel_tool_calls of true", "one call or more",
        chat(WEATHER_QUESTION, tools=TOOLS, parallel_tool_calls=True), check=called(NAMES), able=True,
        about="parallel_tool_calls tools",
    ),
    TOOLING.case(
        "a custom tool", "its input is text",
        chat("List the files.", tools=[SHELL], tool_choice=named("shell", "custom")), check=custom("shell"),
        about="tools tool_choice",
    ),
    TOOLING.case(
        "a custom tool × stream", "its input in pieces",
        chat("List the files.", tools=[SHELL], tool_choice=named("shell", "custom"), stream=True),
        check=all_of(streamed, deltas, custom("shell")), about="tools tool_choice",
    ),
    TOOLING.case(
        "a custom tool of a regular expression", "its input matches",
        chat("List the files.", tools=[custom_tool("shell", **COMMAND)], tool_choice="required"),
        check=custom("shell", SHELL_INPUT), about="tools tool_choice",
    ),
    TOOLING.case(
        "a custom tool of a grammar", "its input is derived from it",
        chat("Is it?", tools=[custom_tool("shell", **ANSWER)], tool_choice=named("shell", "custom")),
        check=custom("shell", "yes|no"), about="tools tool_choice",
    ),
    TOOLING.case(
        "functions", "the old form of tools is had, or refused", chat(WEATHER_QUESTION, functions=FUNCTIONS),
        check=OLD_CALL,
        able=True, about="functions",
    ),
    TOOLING.case(
        "function_call", "the old form of tool_choice is had, or refused",
        chat(functions=FUNCTIONS, function_call={"name": "get_weather"}),
        check=OLD_CALL,
        about="function_call functions",
    ),
    # --- tool_choice
    CHOOSING.case(
        "tool_choice of auto", "as without it", chat(WEATHER_QUESTION, tools=TOOLS, tool_choice="auto"),
        check=called(["get_weather"], CITY), able=True, about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of none", "no call", chat(WEATHER_QUESTION, tools=TOOLS, tool_choice="none"),
        check=all_of(uncalled, answered), about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of none × stream", "no call in a stream",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice="none", stream=True), check=all_of(streamed, uncalled),
        about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of required", "a call where none is needed", chat("Hello", tools=TOOLS, tool_choice="required"),
        check=called(NAMES), about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of required × stream", "in a stream",
        chat("Hello", tools=TOOLS, tool_choice="required", stream=True), check=all_of(streamed, deltas, called(NAMES)),
        about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of required × n × temperature", "whatever is drawn",
        chat("Hello", tools=TOOLS, tool_choice="required", n=3, temperature=1.5, seed=4),
        check=all_of(chose(3), called(NAMES)), about="tool_choice tools n",
    ),
    CHOOSING.case(
        "tool_choice of a function", "this one, though another fits",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice=named("get_time")), check=called(["get_time"], most=1),
        about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of a function × stream", "this one, in a stream",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice=named("get_time"), stream=True),
        check=all_of(streamed, deltas, called(["get_time"])), about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice of a function × n", "this one, in each choice",
        chat("Hello", tools=TOOLS, tool_choice=named("get_time"), n=2), check=all_of(chose(2), called(["get_time"])),
        about="tool_choice tools n",
    ),
    CHOOSING.case(
        "tool_choice × parallel_tool_calls", "this one, and once",
        chat("Hello", tools=TOOLS, tool_choice=named("get_weather"), parallel_tool_calls=False),
        check=called(["get_weather"], most=1), about="tool_choice parallel_tool_calls tools",
    ),
    CHOOSING.case(
        "allowed_tools × required", "a call, and of this one",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice=allowed("required", "get_time")), check=called(["get_time"]),
        about="tool_choice tools",
    ),
    CHOOSING.case(
        "allowed_tools × auto", "no call of another one",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice=allowed("auto", "get_time")),
        check=each_choice(_only_the_time),
        about="tool_choice tools",
    ),
    CHOOSING.case(
        "tool_choice × response_format", "a call must come, not the JSON",
        chat(WEATHER_QUESTION, tools=TOOLS, tool_choice="required", response_format=json_schema(PERSON)),
        check=called(NAMES), about="tool_choice response_format tools",
    ),
    CHOOSING.case(
        "tool_choice of a custom tool among functions", "this one",
        chat("Hello", tools=[WEATHER, SHELL], tool_choice=named("shell", "custom")), check=custom("shell"),
        about="tool_choice tools",
    ),
)  # fmt: skip

THINKING: tuple[Case, ...] = (
    REASONING.case(
        "reasoning_effort of high", "reasoning stands apart from the answer", chat(ADDITION, reasoning_effort="high"),
        check=all_of(each_choice(reasoned), says("9")), able=True, about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort of none", "no reasoning", chat(ADDITION, reasoning_effort="none"),
        check=all_of(each_choice(unreasoned), says("9")), about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort of minimal", "hardly any reasoning", chat(ADDITION, reasoning_effort="minimal"),
        check=answered, about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort of low", "it is taken", chat(ADDITION, reasoning_effort="low"), check=answered,
        about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort of medium", "it is taken", chat(ADDITION, reasoning_effort="medium"), check=answered,
        about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort of xhigh", "it is taken, or refused", chat(ADDITION, reasoning_effort="xhigh"),
        check=answered, about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort changes the answer", "it is no word in the wind", chat(ADDITION, reasoning_effort="none"),
        chat(ADDITION, reasoning_effort="high"), check=changed, able=True, about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning is counted", "as a part of the completion", chat(ADDITION, reasoning_effort="high"),
        check=last(reasoning_counted), able=True, about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort × stream", "apart from the answer in a stream too",
        chat(ADDITION, reasoning_effort="high", stream=True), check=all_of(streamed, each_choice(reasoned), says("9")),
        able=True, about="reasoning_effort",
    ),
    REASONING.case(
        "reasoning_effort × n", "in each choice", chat(ADDITION, reasoning_effort="high", n=2),
        check=all_of(chose(2), each_choice(reasoned)), able=True, about="reasoning_effort n",
    ),
    REASONING.case(
        "reasoning_effort × max_completion_tokens", "the limit holds reasoning too",
        chat(ADDITION, max_tokens=..., max_completion_tokens=3, reasoning_effort="high"), check=cut_within(3),
        able=True, about="reasoning_effort max_completion_tokens",
    ),
    REASONING.case(
        "reasoning_effort × response_format", "JSON follows the reasoning",
        chat(ADDITION, reasoning_effort="high", response_format={"type": "json_object"}),
        check=all_of(fits({"type": "object"}), ended("stop", "length")), about="reasoning_effort response_format",
    ),
    REASONING.case(
        "reasoning_effort × tools", "a call may follow the reasoning",
        chat(WEATHER_QUESTION, reasoning_effort="low", tools=TOOLS, tool_choice=named("get_weather")),
        check=called(["get_weather"]), about="reasoning_effort tools tool_choice",
    ),
    REASONING.case(
        "reasoning_effort × tool_choice × stream", "in a stream too",
        chat(WEATHER_QUESTION, reasoning_effort="high", tools=[TIME], tool_choice="required", stream=True),
        check=all_of(streamed, deltas, called(["get_time"])), about="reasoning_effort tools tool_choice",
    ),
    REASONING.case(
        "verbosity of medium", "the usual length", chat(verbosity="medium"), check=answered, about="verbosity",
    ),
    REASONING.case(
        "verbosity of low", "it is shorter, or it is refused", chat(STORY), chat(STORY, verbosity="low"),
        check=changed, about="verbosity",
    ),
    REASONING.case(
        "verbosity of high", "it is longer, or it is refused", chat(STORY), chat(STORY, verbosity="high"),
        check=changed, about="verbosity",
    ),
)  # fmt: skip
