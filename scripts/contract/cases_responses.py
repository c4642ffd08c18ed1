"""The Responses API."""

from __future__ import annotations

from typing import Any

from scripts.contract.asking import (
    ADDITION,
    AS_JSON,
    CAPITAL,
    CITY,
    PERSON,
    SHELL_INPUT,
    STORY,
    UNITS,
    WEATHER_QUESTION,
    Group,
    red_picture,
    user,
)
from scripts.contract.case import Ask, Case
from scripts.contract.cases_stored import equals
from scripts.contract.checks import (
    all_of,
    answered,
    changed,
    counted,
    each_choice,
    ended,
    fits,
    last,
    logprobs,
    reasoned,
    reasoning_counted,
    same,
    says,
    unreasoned,
    upper,
)
from scripts.contract.checks_responses import kinds, repeats, status, told
from scripts.contract.checks_stream import tells, unpadded
from scripts.contract.checks_tools import called, custom, uncalled

RESPONSES = Group("responses", "responses")
CALLS = Group("responses × tools", "responses")
FORMS = Group("responses × text", "responses")
LOGPROBS = ["message.output_text.logprobs"]
SEALED = ["reasoning.encrypted_content"]


def respond(said: Any = CAPITAL, **fields: Any) -> Ask:
    """A greedy response; a field that is ``...`` is left out."""
    body = {"input": said, "temperature": 0, "max_output_tokens": 48, **fields}
    return Ask(path="/responses", body={name: value for name, value in body.items() if value is not ...})


def tool(name: str, parameters: dict[str, Any] = CITY, **more: Any) -> dict[str, Any]:
    """A function as this API writes it."""
    what = "time" if name == "get_time" else "weather"
    described = {"description": f"Get the current {what} in a city.", "parameters": parameters}
    return {"type": "function", "name": name, **described, **{"strict": False, **more}}


def shaped(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """``text`` with a schema."""
    return {"format": {"type": "json_schema", "name": "answer", "schema": schema, **more}}


TOOLS = [tool("get_weather"), tool("get_time")]
NAMES = ("get_weather", "get_time")
SHELL = {"type": "custom", "name": "shell", "description": "Run a command."}
COMMAND = {**SHELL, "format": {"type": "grammar", "syntax": "regex", "definition": SHELL_INPUT}}
SOME = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_time"}]}
MEMORY = [
    *user("Hi, my name is Tina."),
    {"role": "assistant", "content": "Nice to meet you, Tina!"},
    *user("What is my name?"),
]
PARTS = [{"type": "input_text", "text": "What is the capital"}, {"type": "input_text", "text": " of France?"}]
PICTURE = [{"type": "input_text", "text": "What color is this?"}, {"type": "input_image", "image_url": red_picture()}]
CALLED = [
    *user(WEATHER_QUESTION),
    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Paris"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "21 degrees, sunny"},
]

RESPONDED: tuple[Case, ...] = (
    RESPONSES.case(
        "a response to a text", "one message, a status and a usage", respond(),
        check=all_of(answered, status("completed"), kinds("message")), about="input",
    ),
    RESPONSES.case(
        "a response to items", "messages of all roles", respond(MEMORY), check=says("Tina"), able=True, about="input",
    ),
    RESPONSES.case(
        "a response to parts", "parts are joined", respond(), respond([{"role": "user", "content": PARTS}]),
        check=same, about="input",
    ),
    RESPONSES.case(
        "a response to a picture", "it is seen, or refused", respond("What color is this?"),
        respond([{"role": "user", "content": PICTURE}]), check=changed, about="input",
    ),
    RESPONSES.case(
        "instructions", "they are followed and repeated", respond(), respond(instructions="Answer in uppercase."),
        check=all_of(upper, repeats(instructions="Answer in uppercase.")), able=True, about="instructions",
    ),
    RESPONSES.case(
        "max_output_tokens", "an incomplete response of so many tokens", respond(STORY, max_output_tokens=5),
        check=all_of(counted(5), status("incomplete", "max_output_tokens")), about="max_output_tokens",
    ),
    RESPONSES.case(
        "responses: temperature", "0 is greedy, and repeated", respond(STORY), respond(STORY),
        check=all_of(same, repeats(temperature=0)), about="temperature",
    ),
    RESPONSES.case(
        "responses: top_p", "of next to nothing it is greedy", respond(), respond(temperature=1.5, top_p=1e-6),
        check=same, about="top_p",
    ),
    RESPONSES.case(
        "responses: metadata", "labels come back", respond(metadata={"a": "b"}), check=repeats(metadata={"a": "b"}),
        about="metadata",
    ),
    RESPONSES.case("responses: user", "it changes nothing", respond(), respond(user="ann"), check=same, about="user"),
    RESPONSES.case(
        "responses: safety_identifier", "it changes nothing", respond(), respond(safety_identifier="ann"), check=same,
        about="safety_identifier",
    ),
    RESPONSES.case(
        "responses: prompt_cache_key", "it changes nothing", respond(), respond(prompt_cache_key="a"), check=same,
        about="prompt_cache_key",
    ),
    RESPONSES.case(
        "responses: prompt_cache_retention", "it changes nothing", respond(), respond(prompt_cache_retention="24h"),
        check=same, about="prompt_cache_retention",
    ),
    RESPONSES.case(
        "responses: prompt_cache_options", "it changes nothing", respond(),
        respond(prompt_cache_options={"mode": "implicit"}), check=same, about="prompt_cache_options",
    ),
    RESPONSES.case(
        "responses: max_tool_calls", "of hosted tools, of which there are none", respond(), respond(max_tool_calls=2),
        check=all_of(same, repeats(max_tool_calls=2)), about="max_tool_calls",
    ),
    RESPONSES.case(
        "responses: service_tier", "the answer says which it was", respond(service_tier="auto"),
        check=tells("service_tier", lambda tier: isinstance(tier, str)), about="service_tier",
    ),
    RESPONSES.case(
        "responses: service_tier of flex", "another tier is had or refused", respond(service_tier="flex"),
        check=repeats(service_tier="flex"), about="service_tier",
    ),
    RESPONSES.case(
        "responses: moderation", "it is had or refused", respond(moderation={"model": "omni-moderation-latest"}),
        check=tells("moderation", bool), about="moderation",
    ),
    RESPONSES.case(
        "responses: prompt", "a stored prompt is had or refused", respond(prompt={"id": "pmpt_1"}),
        check=lambda _: "no such prompt can be", about="prompt",
    ),
    RESPONSES.case(
        "responses: context_management", "it is had or refused",
        respond(context_management=[{"type": "compaction", "compact_threshold": 1000}]), check=answered,
        about="context_management",
    ),
    RESPONSES.case(
        "responses: context_management of nothing", "it asks for nothing", respond(), respond(context_management=[]),
        check=same, about="context_management",
    ),
    RESPONSES.case(
        "responses: access_programs", "they are had or refused", respond(access_programs={"ids": ["a"]}),
        check=answered, about="access_programs",
    ),
    RESPONSES.case(
        "truncation of auto", "what does not fit is left out",
        respond([*user("apple " * 3000), *user(CAPITAL)], truncation="auto"),
        check=all_of(answered, repeats(truncation="auto")), about="truncation",
    ),
    RESPONSES.case(
        "truncation of disabled", "as without it", respond(), respond(truncation="disabled"),
        check=all_of(same, repeats(truncation="disabled")), about="truncation",
    ),
    RESPONSES.case(
        "responses × stream", "a whole story with the same text", respond(), respond(stream=True),
        check=all_of(told, same), about="stream",
    ),
    RESPONSES.case(
        "responses × stream × limit", "a story that ends incomplete", respond(STORY, max_output_tokens=5, stream=True),
        check=all_of(told, counted(5)), about="stream",
    ),
    RESPONSES.case(
        "responses × include_obfuscation", "of false nothing is padded",
        respond(stream=True, stream_options={"include_obfuscation": False}), check=all_of(told, unpadded),
        about="stream_options",
    ),
    RESPONSES.case(
        "responses: include of log probabilities", "each token with its own", respond(include=LOGPROBS),
        check=all_of(answered, logprobs()), about="include",
    ),
    RESPONSES.case(
        "responses: top_logprobs", "three alternatives", respond(include=LOGPROBS, top_logprobs=3), check=logprobs(3),
        about="top_logprobs include",
    ),
    RESPONSES.case(
        "responses: include × stream", "in a stream", respond(include=LOGPROBS, stream=True),
        check=all_of(told, logprobs()), about="include",
    ),
    RESPONSES.case(
        "responses: include of sealed reasoning", "it can be sent back",
        respond(ADDITION, reasoning={"effort": "high"}, include=SEALED),
        check=tells("output.0.encrypted_content", bool), able=True, about="include reasoning",
    ),
    RESPONSES.case(
        "reasoning of high effort", "an item of its own", respond(ADDITION, reasoning={"effort": "high"}),
        check=all_of(kinds("reasoning", "message"), each_choice(reasoned), says("9")), able=True, about="reasoning",
    ),
    RESPONSES.case(
        "reasoning of no effort", "none", respond(ADDITION, reasoning={"effort": "none"}),
        check=all_of(each_choice(unreasoned), says("9")), about="reasoning",
    ),
    RESPONSES.case(
        "reasoning × stream", "a story with reasoning", respond(ADDITION, reasoning={"effort": "high"}, stream=True),
        check=all_of(told, each_choice(reasoned)), able=True, about="reasoning",
    ),
    RESPONSES.case(
        "reasoning is counted in a response", "as a part of the output",
        respond(ADDITION, reasoning={"effort": "high"}), check=last(reasoning_counted), able=True, about="reasoning",
    ),
    RESPONSES.case(
        "reasoning with a summary", "it is had or refused",
        respond(ADDITION, reasoning={"effort": "high", "summary": "detailed"}), check=tells("output.0.summary", bool),
        able=True, about="reasoning",
    ),
    RESPONSES.case(
        "input_tokens", "as many as are charged", Ask(path="/responses/input_tokens", body={"input": CAPITAL}),
        check=tells("input_tokens", lambda count: count > 3), about="input",
    ),
    RESPONSES.case(
        "compact", "a compacted conversation, or a refusal", Ask(path="/responses/compact", body={"input": MEMORY}),
        check=tells("output", bool),
    ),
)  # fmt: skip

CALLED_BY_RESPONSES: tuple[Case, ...] = (
    CALLS.case(
        "a response calls a tool", "a call as an item", respond(WEATHER_QUESTION, tools=TOOLS),
        check=all_of(kinds("function_call"), called(["get_weather"], CITY)), able=True, about="tools",
    ),
    CALLS.case(
        "a response × a result", "the result becomes the answer", respond(CALLED, tools=TOOLS), check=says("21"),
        able=True, about="input tools",
    ),
    CALLS.case(
        "a response calls × stream", "a story with a call", respond(WEATHER_QUESTION, tools=TOOLS, stream=True),
        check=all_of(told, called(["get_weather"], CITY)), able=True, about="tools",
    ),
    CALLS.case(
        "responses: tool_choice of none", "no call", respond(WEATHER_QUESTION, tools=TOOLS, tool_choice="none"),
        check=all_of(uncalled, repeats(tool_choice="none")), about="tool_choice tools",
    ),
    CALLS.case(
        "responses: tool_choice of required", "a call where none is needed",
        respond("Hello", tools=TOOLS, tool_choice="required"), check=called(NAMES), about="tool_choice tools",
    ),
    CALLS.case(
        "responses: tool_choice of a function", "this one",
        respond(WEATHER_QUESTION, tools=TOOLS, tool_choice={"type": "function", "name": "get_time"}),
        check=called(["get_time"]), about="tool_choice tools",
    ),
    CALLS.case(
        "responses: allowed_tools", "a call, and of this one",
        respond(WEATHER_QUESTION, tools=TOOLS, tool_choice=SOME), check=called(["get_time"]),
        about="tool_choice tools",
    ),
    CALLS.case(
        "responses: a strict function", "arguments of the schema",
        respond(WEATHER_QUESTION, tools=[tool("get_weather", UNITS, strict=True)], tool_choice="required"),
        check=called(["get_weather"], UNITS), about="tools tool_choice",
    ),
    CALLS.case(
        "responses: a custom tool", "its input is text",
        respond("List the files.", tools=[SHELL], tool_choice={"type": "custom", "name": "shell"}),
        check=custom("shell"), about="tools tool_choice",
    ),
    CALLS.case(
        "responses: a custom tool of a regular expression", "its input matches",
        respond("List the files.", tools=[COMMAND], tool_choice="required"), check=custom("shell", SHELL_INPUT),
        about="tools tool_choice",
    ),
    CALLS.case(
        "responses: a custom tool × stream", "a story with its input",
        respond("List the files.", tools=[SHELL], tool_choice={"type": "custom", "name": "shell"}, stream=True),
        check=all_of(told, custom("shell")), about="tools tool_choice",
    ),
    CALLS.case(
        "responses: parallel_tool_calls", "of false one call",
        respond("Hello", tools=TOOLS, tool_choice="required", parallel_tool_calls=False),
        check=all_of(called(NAMES, most=1), repeats(parallel_tool_calls=False)),
        about="parallel_tool_calls tools tool_choice",
    ),
    CALLS.case(
        "responses: a hosted tool", "the web is searched, or it is refused", respond(tools=[{"type": "web_search"}]),
        check=tells("output.0.type", equals("web_search_call")), about="tools",
    ),
    FORMS.case(
        "text.format of text", "any text", respond(), respond(text={"format": {"type": "text"}}), check=same,
        about="text",
    ),
    FORMS.case(
        "text.format of json_object", "an object", respond(AS_JSON, text={"format": {"type": "json_object"}}),
        check=all_of(ended("stop"), fits({"type": "object"})), about="text",
    ),
    FORMS.case(
        "text.format of json_schema", "JSON of the schema", respond(AS_JSON, text=shaped(PERSON, strict=True)),
        check=all_of(ended("stop"), fits(PERSON)), about="text",
    ),
    FORMS.case(
        "text.format × stream", "in a story", respond(AS_JSON, text=shaped(PERSON), stream=True),
        check=all_of(told, fits(PERSON)), about="text",
    ),
    FORMS.case(
        "text.format × reasoning", "JSON behind the reasoning",
        respond(ADDITION, text=shaped(PERSON), reasoning={"effort": "high"}, max_output_tokens=120),
        check=fits(PERSON), about="text reasoning",
    ),
    FORMS.case(
        "text.verbosity of low", "it is shorter, or it is refused", respond(STORY),
        respond(STORY, text={"verbosity": "low"}), check=changed, about="text",
    ),
)  # fmt: skip
