"""More recorded answers: lists and sections of calls, Gemma's own notation, channels."""

from __future__ import annotations

from .recording import PARIS, Recorded

LISTS = (
    Recorded(
        "phi4",
        '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]'
        "<|/tool_call|>",
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("phi4", 'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]', calls=(PARIS,)),
    Recorded("functools", "import functools\nfunctools.cache", said="import functools\nfunctools.cache"),
    Recorded("functools", "functools[1]", said="functools[1]"),
    Recorded(
        "granite",
        '<think>Hm.</think>\n<response><|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        thought="Hm.",
        calls=(PARIS,),
    ),
    Recorded("granite", "<think>Hm.</think>\n<response>Yes.</response>", said="Yes.", thought="Hm."),
    Recorded("granite", "<response>Yes.</response>", said="<response>Yes.</response>"),
    Recorded(
        "nemotron",
        '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris"}}]</TOOLCALL>',
        calls=(PARIS,),
    ),
    Recorded(
        "apriel",
        'I look.\n<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris"}}, '
        '{"name": "get_time", "arguments": {}}]</tool_calls>',
        said="I look.",
        calls=(PARIS, ("get_time", "{}")),
    ),
)

SB, SE, CB, SEP, CE = (
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
)
SECTIONS = (
    Recorded(
        "deepseek",
        f'Hm.\n</think>\n\nI look.{SB}{CB}function{SEP}get_weather\n```json\n{{"city": "Paris"}}\n```{CE}\n'
        f"{CB}function{SEP}get_time\n```json\n{{}}\n```{CE}{SE}",
        said="I look.",
        thought="Hm.",
        calls=(PARIS, ("get_time", "{}")),
        thinking=True,
    ),
    Recorded(
        "deepseek-v3.1",
        f'{SB}{CB}get_weather{SEP}{{"city": "Paris"}}{CE}{CB}get_time{SEP}{{}}{CE}{SE}',
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("deepseek-v3.1", f'{CB}get_weather{SEP}{{"city": "Paris"}}{CE} Done.', said="Done.", calls=(PARIS,)),
    Recorded("deepseek-v3.1", f'{SB}{CB}get_weather{SEP}{{"city', calls=(("get_weather", '{"city'),), ended=0),
    Recorded("deepseek-v3.1", f"{SB} no call", said=f"{SB} no call"),
    Recorded(
        "kimi",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"city": "Paris"}<|tool_call_end|><|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>{}'
        "<|tool_call_end|><|tool_calls_section_end|>",
        calls=(PARIS, ("get_time", "{}")),
    ),
)

Q = '<|"|>'
GEMMA = (
    Recorded(
        "gemma4",
        f"<|channel>thought\nHm.<channel|>I look.<|tool_call>call:get_weather{{city:{Q}Paris{Q},days:3}}<tool_call|>"
        "<|tool_call>call:get_time{}<tool_call|>",
        said="I look.",
        thought="Hm.",
        calls=(("get_weather", '{"city": "Paris", "days": 3}'), ("get_time", "{}")),
    ),
    Recorded(
        "gemma4",
        f'<|tool_call>call:get_weather{{city:{Q}a "b", {{c}}\n{Q},wind:{{from:[{Q}N{Q},1.5],ok:true}},unit:null}}'
        "<tool_call|>",
        calls=(
            (
                "get_weather",
                '{"city": "a \\"b\\", {c}\\n", "wind": {"from": ["N", 1.5], "ok": true}, "unit": null}',
            ),
        ),
    ),
    Recorded("gemma4", f"<|tool_call>call:get_weather{{city:{Q}Pa", calls=(("get_weather", '{"city": "Pa'),), ended=0),
    Recorded("gemma4", "<|tool_call> what", said="<|tool_call> what"),
    Recorded(
        "functiongemma",
        "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>",
        calls=(PARIS,),
    ),
    Recorded("gemma3", '```tool_code\nget_weather(city="Paris")\n```', calls=(PARIS,)),
    Recorded(
        "gemma3",
        'I look.\n```tool_code\nprint(get_weather(city="Paris"))\nget_time()\n```\nDone.',
        said="I look.Done.",
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("gemma3", '```json\n[{"name": "get_weather", "parameters": {"city": "Paris"}}]\n```', calls=(PARIS,)),
    Recorded("gemma3", '{"name": "get_weather", "parameters": {"city": "Paris"}}', calls=(PARIS,)),
    Recorded("gemma3", "```json\n[1, 2]\n```\n", said="```json\n[1, 2]\n```\n"),
    Recorded("gemma3", "```tool_code\nimport os\n```", said="```tool_code\nimport os\n```"),
)

ANALYSIS = "<|channel|>analysis<|message|>"
NEXT = "<|end|><|start|>assistant"
HARMONY = (
    Recorded("harmony", "<|channel|>final<|message|>Yes.\n", said="Yes.\n"),
    Recorded("harmony", f"{ANALYSIS}Hm.{NEXT}<|channel|>final<|message|>Yes.<|return|>", said="Yes.", thought="Hm."),
    Recorded(
        "harmony",
        f"{ANALYSIS}Hm.{NEXT}<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
        '{"city": "Paris"}<|call|>',
        thought="Hm.",
        calls=(PARIS,),
    ),
    Recorded(
        "harmony",
        f"{ANALYSIS}Hm.{NEXT}<|channel|>commentary<|message|>I look.{NEXT} to=functions.get_weather"
        '<|channel|>commentary json<|message|>{"city": "Paris"}',
        said="I look.",
        thought="Hm.",
        calls=(PARIS,),
    ),
    Recorded(
        "harmony",
        ' to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
        calls=(PARIS,),
    ),
    Recorded("harmony", '{"a": 1}', said='{"a": 1}'),
    Recorded("harmony", f"{ANALYSIS}Hm", thought="Hm"),
    Recorded(
        "harmony",
        '<|channel|>commentary to=functions.get_weather<|message|>{"city',
        calls=(("get_weather", '{"city'),),
        ended=0,
    ),
    Recorded("harmony", "<|channel|>analysis to=python<|message|>print(1)<|call|>", thought="print(1)"),
    Recorded("harmony", "<|channel|>fin"),
)

OTHERS = (
    Recorded("plain", "<think>a</think><tool_call>", said="<think>a</think><tool_call>"),
    Recorded("thinking", "<think>\na\n</think>\n\nb<tool_call>", said="b<tool_call>", thought="a"),
)
