"""What is enforced, and when; that each family's own way to write is allowed is tried on the real engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fluid_server.content.dialects import DIALECTS
from fluid_server.errors import UnsupportedField
from fluid_server.runtimes.openvino_grammar import structural_tag
from fluid_server.shapes import Grammar, JSONSchema, Regex, Shape, Tag, Tagged
from fluid_server.types import Tool, ToolUse
from tests.runtimes import grammars

from .listening import listen

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "exact": {"type": "boolean"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = Tool(name="get_weather", parameters=CITY, strict=True)
TIME = Tool(
    name="get_time", parameters={"type": "object", "properties": {}, "additionalProperties": False}, strict=True
)
BOTH = ToolUse(tools=(WEATHER, TIME), mode="required")
LOOSE = ToolUse(tools=(replace(WEATHER, strict=False), replace(TIME, strict=False)))
CALLING = sorted(name for name, dialect in DIALECTS.items() if dialect.calls_tools)

ARGUMENTS = '{"city": "Oslo", "days": 3}'
PAIR = '[{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}, {"name": "get_time", "arguments": {}}]'
WRITTEN = {
    "hermes": f'<tool_call>\n{{"name": "get_weather", "arguments": {ARGUMENTS}}}\n</tool_call>\n'
    '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    "qwen3-coder": "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n"
    "</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>",
    "seed": "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Oslo</parameter>\n<parameter=days>3</parameter>"
    "\n</function>\n</seed:tool_call>\n<seed:tool_call>\n<function=get_time>\n</function>\n</seed:tool_call>",
    "glm": "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n<arg_key>days</arg_key>\n"
    "<arg_value>3</arg_value>\n</tool_call>\n<tool_call>get_time\n</tool_call>",
    "glm-4.7": "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Oslo</arg_value><arg_key>days</arg_key>"
    "<arg_value>3</arg_value></tool_call><tool_call>get_time</tool_call>",
    "llama": f'{{"name": "get_weather", "parameters": {ARGUMENTS}}}',
    "pythonic": '[get_weather(city="Oslo", days=3), get_time()]',
    "lfm2": '<|tool_call_start|>[get_weather(city="Oslo", days=3), get_time()]<|tool_call_end|>',
    "mistral": f"[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}[TOOL_CALLS]get_time[ARGS]{{}}",
    "mistral-list": f"[TOOL_CALLS]{PAIR}",
    "phi4": f"<|tool_call|>{PAIR}<|/tool_call|>",
    "functools": f"functools{PAIR}",
    "granite": f"<|tool_call|>{PAIR}",
    "nemotron": f"<TOOLCALL>{PAIR}</TOOLCALL>",
    "apriel": f"<tool_calls>{PAIR}</tool_calls>",
    "gemma3": '```tool_code\nget_weather(city="Oslo", days=3)\nget_time()\n```',
    "gemma4": '<|tool_call>call:get_weather{city:<|"|>Oslo<|"|>,days:3}<tool_call|>'
    "<|tool_call>call:get_time{}<tool_call|>",
    "functiongemma": "<start_function_call>call:get_weather{city:<escape>Oslo<escape>,days:3}<end_function_call>"
    "<start_function_call>call:get_time{}<end_function_call>",
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
    f"{ARGUMENTS}<|tool_call_end|><|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>{{}}"
    "<|tool_call_end|><|tool_calls_section_end|>",
    "harmony": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
    f"to=functions.get_weather <|constrain|>json<|message|>{ARGUMENTS}",
}
FREE = {"glm", "glm-4.7", "qwen3-coder", "seed", "gemma4", "functiongemma", "harmony"}  # texts without quotes
SINGLE = {"llama", "harmony"}


def shape(dialect: str, use: ToolUse) -> Shape:
    found = DIALECTS[dialect].shape(use)
    assert found is not None
    return found


def says(dialect: str, use: ToolUse, text: str) -> bool:
    return grammars.says(structural_tag(shape(dialect, use)), text)


@pytest.mark.parametrize("dialect", CALLING)
def test_nothing_is_enforced_where_nothing_need_be(dialect: str) -> None:
    assert DIALECTS[dialect].shape(LOOSE) is None
    assert DIALECTS[dialect].shape(replace(BOTH, mode="none")) is None
    assert DIALECTS[dialect].shape(replace(LOOSE, names=("get_weather", "get_time"))) is None


@pytest.mark.parametrize("dialect", CALLING)
@pytest.mark.parametrize(
    "use",
    [replace(LOOSE, mode="required"), replace(LOOSE, names=("get_time",)), replace(BOTH, mode="auto")],
    ids=["required", "allowed", "strict"],
)
def test_what_must_be_enforced_compiles(dialect: str, use: ToolUse) -> None:
    grammars.babbled(structural_tag(shape(dialect, use)), seed=1)


@pytest.mark.parametrize("dialect", sorted(WRITTEN))
def test_calls_may_be_written_as_the_family_writes_them(dialect: str) -> None:
    assert says(dialect, BOTH, WRITTEN[dialect])
    calls = [("get_weather", ARGUMENTS), ("get_time", "{}")]
    assert listen(dialect, [WRITTEN[dialect]], BOTH).calls == (calls[:1] if dialect in SINGLE else calls)


@pytest.mark.parametrize("dialect", sorted(WRITTEN))
def test_a_second_call_is_not_allowed_where_calls_are_not_parallel(dialect: str) -> None:
    one = replace(BOTH, parallel=False)
    assert dialect in SINGLE or not says(dialect, one, WRITTEN[dialect])


@pytest.mark.parametrize("dialect", sorted(WRITTEN))
def test_other_tools_and_plain_text_are_not_allowed(dialect: str) -> None:
    named = replace(BOTH, names=("get_time",))
    assert not says(dialect, named, WRITTEN[dialect])
    assert not says(dialect, named, "Hello.")


@pytest.mark.parametrize("dialect", sorted(set(CALLING) - FREE))
@pytest.mark.parametrize("seed", [1, 2])
def test_a_babbling_model_calls_with_arguments_that_fit(dialect: str, seed: int) -> None:
    use = replace(BOTH, names=("get_weather",), parallel=False)
    text = grammars.babbled(structural_tag(shape(dialect, use)), seed)
    assert text is not None, "it babbled beyond its limit"
    heard = listen(dialect, [text], use)
    assert heard.said == ""
    ((name, arguments),) = heard.calls
    assert name == "get_weather"
    assert set(json.loads(arguments)) >= {"city", "days"}
    assert isinstance(json.loads(arguments)["days"], int)


def test_strict_functions_have_their_schema_and_others_any_object() -> None:
    found = shape("hermes", replace(BOTH, tools=(WEATHER, Tool(name="other", parameters=CITY))))
    assert found == Tagged(
        tags=(
            Tag('<tool_call>\n{"name": "get_weather", "arguments": ', JSONSchema(CITY), "}\n</tool_call>"),
            Tag('<tool_call>\n{"name": "other", "arguments": ', JSONSchema({"type": "object"}), "}\n</tool_call>"),
        ),
        triggers=("<tool_call>",),
        at_least_one=True,
    )


def custom(given: Shape | None) -> ToolUse:
    return ToolUse(tools=(Tool(name="sql", custom=True, input=given),), mode="required", parallel=False)


def test_a_custom_tool_takes_one_text_of_its_form() -> None:
    use = custom(Regex("SELECT [a-z]+"))
    assert says("hermes", use, '<tool_call>\n{"name": "sql", "arguments": {"input": "SELECT a"}}\n</tool_call>')
    assert not says("hermes", use, '<tool_call>\n{"name": "sql", "arguments": {"input": "DROP a"}}\n</tool_call>')
    assert says("glm-4.7", use, "<tool_call>sql<arg_key>input</arg_key><arg_value>SELECT a</arg_value></tool_call>")
    assert not says("glm-4.7", use, "<tool_call>sql<arg_key>input</arg_key><arg_value>DROP a</arg_value></tool_call>")


def test_a_grammar_inside_json_is_refused_and_between_tags_it_is_enforced() -> None:
    use = custom(Grammar('root ::= "a" | "b"'))
    with pytest.raises(UnsupportedField) as caught:
        shape("hermes", use)
    assert caught.value.param == "tools"
    assert says("glm-4.7", use, "<tool_call>sql<arg_key>input</arg_key><arg_value>a</arg_value></tool_call>")


def strict(parameters: dict[str, Any]) -> ToolUse:
    return ToolUse(tools=(Tool(name="f", parameters=parameters, strict=True), TIME), mode="required", parallel=False)


NODE = {
    "type": "object",
    "properties": {"node": {"$ref": "#/$defs/node"}},
    "required": ["node"],
    "additionalProperties": False,
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["next"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("dialect", "call"),
    [
        ("hermes", '<tool_call>\n{"name": "f", "arguments": {"node": NODE}}\n</tool_call>'),
        ("phi4", '<|tool_call|>[{"name": "f", "arguments": {"node": NODE}}]<|/tool_call|>'),
        ("pythonic", "[f(node=NODE)]"),
        ("qwen3-coder", "<tool_call>\n<function=f>\n<parameter=node>\nNODE\n</parameter>\n</function>\n</tool_call>"),
        ("gemma4", "<|tool_call>call:f{node:NODE}<tool_call|>"),
    ],
)
def test_references_lead_to_what_they_did_in_the_schema_itself(dialect: str, call: str) -> None:
    assert says(dialect, strict(NODE), call.replace("NODE", '{"next": {"next": null}}'))
    assert not says(dialect, strict(NODE), call.replace("NODE", '{"next": {"next": 1}}'))


OPTIONAL = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}, "c": {"type": "integer"}},
    "required": ["c"],
}


@pytest.mark.parametrize("given", [("c",), ("a", "c"), ("b", "c"), ("a", "b", "c")])
@pytest.mark.parametrize("dialect", ["pythonic", "gemma4", "qwen3-coder"])
def test_parameters_that_are_not_required_may_be_left_out(dialect: str, given: tuple[str, ...]) -> None:
    values = {"a": "1", "b": "x", "c": "2"}
    write = {
        "pythonic": lambda: "[f(" + ", ".join(f'{k}="x"' if k == "b" else f"{k}={values[k]}" for k in given) + ")]",
        "gemma4": lambda: (
            "<|tool_call>call:f{"
            + ",".join('b:<|"|>x<|"|>' if k == "b" else f"{k}:{values[k]}" for k in given)
            + "}<tool_call|>"
        ),
        "qwen3-coder": lambda: (
            "<tool_call>\n<function=f>\n"
            + "".join(f"<parameter={k}>\n{values[k]}\n</parameter>\n" for k in given)
            + "</function>\n</tool_call>"
        ),
    }
    text = write[dialect]()
    assert says(dialect, strict(OPTIONAL), text)
    assert json.loads(listen(dialect, [text], strict(OPTIONAL)).calls[0][1]).keys() == set(given)


def test_one_by_one_parameters_cannot_be_alternatives() -> None:
    use = strict({"anyOf": [{"type": "object", "properties": {}}]})
    with pytest.raises(UnsupportedField, match="anyOf"):
        shape("qwen3-coder", use)


def test_harmony_leaves_room_for_reasoning_before_a_format() -> None:
    tag = structural_tag(DIALECTS["harmony"].answer(Regex("[0-9]")))
    assert grammars.says(tag, "<|channel|>final<|message|>7")
    assert grammars.says(tag, "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>7")
    assert not grammars.says(tag, "7")
