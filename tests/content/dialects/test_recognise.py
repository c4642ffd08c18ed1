"""The dialect of a model is read off what its template says; the excerpts have what is characteristic of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fluid_server.catalog.builtin import echo_spec
from fluid_server.content.dialects import DIALECTS, recognise
from tests.runtimes.engines import SPECS

THINK = ("<think>", "</think>")
TEMPLATES = {
    "qwen2.5": ("hermes", THINK, "return a json object within <tool_call></tool_call> XML tags:\n<tool_call>\n"),
    "granite 4": ("hermes", THINK, '{{- \'<tool_call>\\n{"name": "\' }}{{ tool_call.name }}'),
    "qwen3-coder": ("qwen3-coder", THINK, "<tool_call>\n<function=example>\n<parameter=one>\nvalue\n</parameter>"),
    "seed-oss": (
        "seed",
        ("<seed:think>", "</seed:think>"),
        "{% set begin = '<seed:tool_call>' %}<function=example><parameter=one>{% set end = '</seed:think>' %}",
    ),
    "glm 4.5": ("glm", THINK, "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>"),
    "glm 4.7": ("glm-4.7", THINK, "<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}"),
    "llama 3.1": ("llama", THINK, "<|start_header_id|>{{ '<|python_tag|>' + tool_call.name + '.call(' }}"),
    "llama 3.2": (
        "llama",
        THINK,
        "<|start_header_id|>{{ '{\"name\": \"' + tool_call.name + '\", ' }}{{ '\"parameters\": ' }}",
    ),
    "llama 4": ("llama", THINK, "<|header_start|>assistant<|python_start|>"),
    "llama, pythonic": (
        "pythonic",
        THINK,
        "in the format of [func_name1(params_name1=params_value1), func_name2(params)]",
    ),
    "lfm2": ("lfm2", THINK, "List of tools: <|tool_list_start|>[<|tool_list_end|>"),
    "mistral small 3.1": ("mistral-list", ("[THINK]", "[/THINK]"), '{{- "[TOOL_CALLS] [" }}'),
    "ministral 3": (
        "mistral",
        ("[THINK]", "[/THINK]"),
        "'[THINK]' + t + '[/THINK]''[TOOL_CALLS]' }}{{ name + '[ARGS]'",
    ),
    "magistral 1.0": ("mistral-list", THINK, "<think>\nthoughts\n</think>[TOOL_CALLS]"),
    "phi-4-mini": ("phi4", THINK, "'<|' + message['role'] + '|>' + '<|tool|>' + message['tools'] + '<|/tool|>'"),
    "phi-4-mini, tools": ("phi4", THINK, '<|tool_call|>{"name": "foo", "arguments": {"a": 1}}<|/tool_call|>'),
    "firefunction": ("functools", THINK, "output functions as functools[{...}]"),
    "granite 3.3": ("granite", THINK, "respond only with <|tool_call|> followed by a JSON list; <think></think>"),
    "nemotron nano 2": ("nemotron", THINK, '<TOOLCALL>[{"name": "one", "arguments": "two"}]</TOOLCALL>'),
    "apriel": ("apriel", ("<thinking>", "</thinking>"), "<tool_calls>[ {...} ]</tool_calls>"),
    "deepseek r1": (
        "deepseek",
        THINK,
        "'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '\\n```json\\n'",
    ),
    "deepseek v3.1": (
        "deepseek-v3.1",
        THINK,
        "'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + name + '<｜tool▁sep｜>'",
    ),
    "kimi k2": ("kimi", THINK, "<|tool_calls_section_begin|><|tool_call_begin|>{{ id }}<|tool_call_argument_begin|>"),
    "gemma 4": (
        "gemma4",
        ("<|channel>thought", "<channel|>"),
        "'<|tool_call>call:' + f + '}<tool_call|>' '<channel|>'",
    ),
    "functiongemma": ("functiongemma", ("", ""), "<start_function_call>call:"),
    "gemma 3 with tools": ("gemma3", ("", ""), "<start_of_turn>user write calls in ```tool_code"),
    "gpt-oss": ("harmony", ("", ""), '"<|start|>assistant<|channel|>final<|message|>"'),
    "r1 distill without tools": ("thinking", THINK, "{% set content = content.split('</think>')[-1] %}"),
    "command a reasoning": (
        "thinking",
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        "<|START_THINKING|><|END_THINKING|>",
    ),
    "gemma 3": ("plain", ("", ""), "{{ '<start_of_turn>' + role + '\\n' + message.content + '<end_of_turn>' }}"),
    "llama 2": ("plain", ("", ""), "[INST] {{ message.content }} [/INST]"),
}


@pytest.mark.parametrize("model", TEMPLATES)
def test_a_dialect_is_recognised_by_what_its_template_says(model: str) -> None:
    name, reasoning, template = TEMPLATES[model]
    found = recognise(template)
    assert found.name == name
    assert (found.opening, found.closing) == reasoning


@pytest.mark.parametrize("template", [None, "", "{{ messages[0].content }}"])
def test_a_template_that_teaches_nothing_is_plain(template: str | None) -> None:
    assert recognise(template).name == "plain"


@pytest.mark.parametrize("model", ["fluid-tiny-ov", "fluid-tiny-gguf:F16"])
def test_our_own_models_speak_hermes(model: str) -> None:
    assert recognise(SPECS[model].chat_template) is DIALECTS["hermes"]
    assert recognise(echo_spec().chat_template) is DIALECTS["hermes"]


def test_other_marks_of_reasoning_are_marks_of_the_dialect() -> None:
    found = recognise("<think></think>[TOOL_CALLS]")
    assert {"<think>", "</think>", "[TOOL_CALLS]"} <= found.marks
    assert "[THINK]" not in found.marks
    assert "[THINK]" in DIALECTS["mistral-list"].marks
    reader = found.reader(None, thinking=False)
    assert [type(one).__name__ for one in reader.feed("<think>a</think>b")] == ["Thought", "Said"]


def test_every_dialect_is_in_the_documentation() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "prompts-and-templates.md"
    rows = re.findall(r"^\| (`.*?`) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall("`(.*?)`", row)} == set(DIALECTS)


def test_every_dialect_can_be_recognised() -> None:
    assert {name for name, _, _ in TEMPLATES.values()} == set(DIALECTS)
