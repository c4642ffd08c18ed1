"""Answers as models of each family write them, and what they mean."""

from __future__ import annotations

from .recorded_sections import GEMMA, HARMONY, LISTS, OTHERS, SECTIONS
from .recording import PARIS, Recorded

NESTED = '{"city": "São Paulo \\"SP\\" ☀", "wind": {"from": ["N", {"x": null}], "mark": "a</tool_call>}]"}}'
T = "<tool_call>"
E = "</tool_call>"

HERMES = (
    Recorded("hermes", "Hello there.\n\nHow are you?\n", said="Hello there.\n\nHow are you?\n"),
    Recorded("hermes", "<think>\nHm.\n\nSo.\n</think>\n\nYes.", said="Yes.", thought="Hm.\n\nSo."),
    Recorded("hermes", "<think>\n\n</think>\n\nYes.", said="Yes."),
    Recorded("hermes", "Hm.\n</think>\n\nYes.", said="Yes.", thought="Hm.", thinking=True),
    Recorded("hermes", "<think>\nHm.</think>Yes.", said="Yes.", thought="Hm.", thinking=True),
    Recorded("hermes", "still thinking", thought="still thinking", thinking=True),
    Recorded("hermes", "a <think> b </think> c", said="a <think> b </think> c"),
    Recorded("hermes", "1 < 2, <tool, <tool_calls>, <thin", said="1 < 2, <tool, <tool_calls>, <thin"),
    Recorded("hermes", f'{T}\n{{"name": "get_weather", "arguments": {{"city": "Paris"}}}}\n{E}', calls=(PARIS,)),
    Recorded(
        "hermes",
        f'<think>\nTwo.\n</think>\n\nLet me see.\n{T}\n{{"name": "get_weather", "arguments": {{"city": "Paris"}}}}\n{E}'
        f'\n{T}\n{{"name": "get_time", "arguments": {{}}}}\n{E}\nDone.',
        said="Let me see.Done.",
        thought="Two.",
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("hermes", f'{T}\n{{"name": "get_weather", "arguments": {NESTED}}}\n{E}', calls=(("get_weather", NESTED),)),
    Recorded("hermes", f'{T}{{"arguments": {{"city": "Paris"}}, "name": "get_weather"}}{E}', calls=(PARIS,)),
    Recorded(
        "hermes",
        f'{T}[{{"name": "get_time"}}, {{"function": "get_weather", "parameters": "{{\\"city\\": \\"Paris\\"}}"}}]{E}',
        calls=(("get_time", "{}"), PARIS),
    ),
    Recorded(
        "hermes",
        f'{T}{{"type": "function", "function": {{"name": "get_weather", "arguments": {{"city": "Paris"}}}}}}{E}',
        calls=(PARIS,),
    ),
    Recorded("hermes", f'{T}{{"name": "unknown", "arguments": null}}}}\n{E}', calls=(("unknown", "{}"),)),
    Recorded("hermes", f'so:\n{T}{{"city": "Paris"}}{E}', said=f'so:\n{T}{{"city": "Paris"}}{E}'),
    Recorded("hermes", f"{T} is how", said=f"{T} is how"),
    Recorded(
        "hermes",
        f'{T}{{"name": "get_weather", "arguments": {{"city": "Par',
        calls=(("get_weather", '{"city": "Par'),),
        ended=0,
    ),
    Recorded("hermes", f'{T}{{"name": "get_weather", "argu', calls=(("get_weather", ""),), ended=0),
    Recorded("hermes", f'{T}{{"name": "get_we', said=f'{T}{{"name": "get_we'),
    Recorded("hermes", f'{T}{{"name": "get_weather", "arguments": {{"city": "Paris"}}}}\n</tool_c', calls=(PARIS,)),
    Recorded(
        "hermes",
        f'{T}{{"name": "get_weather", "arguments": {{"city": "Paris"{E}Sorry.',
        said="Sorry.",
        calls=(("get_weather", '{"city": "Paris"'),),
    ),
)

FUNCTION = f"{T}\n<function=get_weather>\n"
END_FUNCTION = f"</function>\n{E}"
XML = (
    Recorded(
        "qwen3-coder",
        f"I look.\n\n{FUNCTION}<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
        f"{END_FUNCTION}",
        said="I look.",
        calls=(("get_weather", '{"city": "Paris", "days": 3}'),),
    ),
    Recorded(
        "qwen3-coder",
        f'{FUNCTION}<parameter=city>\n  "São"\n\tPaulo\\\n\n</parameter>\n<parameter=exact>\nTrue\n</parameter>\n'
        f"<parameter=wind>\n{{'from': 'N'}}\n</parameter>\n<parameter=hours>\n[1, 2]\n</parameter>\n"
        f"<parameter=unit>\nnull\n</parameter>\n{END_FUNCTION}",
        calls=(
            (
                "get_weather",
                '{"city": "  \\"São\\"\\n\\tPaulo\\\\\\n", "exact": true, "wind": {"from": "N"}, '
                '"hours": [1, 2], "unit": null}',
            ),
        ),
    ),
    Recorded(
        "qwen3-coder",
        f"{FUNCTION}<parameter=city>\nParis\n</parameter>\n{END_FUNCTION}\n{T}\n<function=get_time>\n{END_FUNCTION}",
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("qwen3-coder", "<function=get_time>\n</function>", calls=(("get_time", "{}"),)),
    Recorded("qwen3-coder", "<function=other>\n</function>", said="<function=other>\n</function>"),
    Recorded(
        "qwen3-coder",
        f"{FUNCTION}<parameter=city>\nPar",
        calls=(("get_weather", '{"city": "Par'),),
        ended=0,
    ),
    Recorded("qwen3-coder", f"{FUNCTION}<param", calls=(("get_weather", ""),), ended=0),
    Recorded("qwen3-coder", f'{T}\n{{"name": "get_weather", "arguments": {{"city": "Paris"}}}}\n{E}', calls=(PARIS,)),
    Recorded("qwen3-coder", f"{T}\n<function", said=f"{T}\n<function"),
    Recorded(
        "seed",
        "<seed:think>Hm.</seed:think>\n\n<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n"
        "</function>\n</seed:tool_call>",
        thought="Hm.",
        calls=(PARIS,),
    ),
)

GLM = (
    Recorded(
        "glm",
        f"\n<think>Hm.</think>\nI look.\n{T}get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
        f"<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n{E}\n{T}get_time\n{E}",
        said="I look.",
        thought="Hm.",
        calls=(("get_weather", '{"city": "Paris", "days": 3}'), ("get_time", "{}")),
    ),
    Recorded(
        "glm-4.7",
        f"Hm.</think>{T}get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value>{E}{T}get_time{E}",
        thought="Hm.",
        calls=(PARIS, ("get_time", "{}")),
        thinking=True,
    ),
    Recorded(
        "glm",
        f"{T}get_weather\n<arg_key>city</arg_key>\n<arg_value>Pa",
        calls=(("get_weather", '{"city": "Pa'),),
        ended=0,
    ),
    Recorded("glm", f"{T} is {{}}", said=f"{T} is {{}}"),
    Recorded("glm", f"{T}get_weather\n<arg_key>city", calls=(("get_weather", ""),), ended=0),
)

LLAMA = (
    Recorded("llama", '{"name": "get_weather", "parameters": {"city": "Paris"}}', calls=(PARIS,)),
    Recorded(
        "llama",
        '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}; '
        '{"name": "get_time", "parameters": {}}',
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("llama", '<|python_tag|>get_weather.call(city="Paris")', calls=(PARIS,)),
    Recorded("llama", "<|python_tag|>print(1)", said="<|python_tag|>print(1)"),
    Recorded("llama", '{"type": "function", "name": "get_time", "parameters": {}}', calls=(("get_time", "{}"),)),
    Recorded("llama", '{"name": "Ada", "parameters": {"a": 1}}', said='{"name": "Ada", "parameters": {"a": 1}}'),
    Recorded("llama", '{"city": "Paris", "name": "get_time"}', said='{"city": "Paris", "name": "get_time"}'),
    Recorded("llama", '{"name": "get_time"}', said='{"name": "get_time"}'),
    Recorded("llama", "Use {x} and [1].\n[2] {\n{", said="Use {x} and [1].\n[2] {\n{"),
    Recorded("llama", 'Say {"name": "get_time", "parameters": {}}', said='Say {"name": "get_time", "parameters": {}}'),
    Recorded(
        "llama",
        'I look.\n{"name": "get_weather", "parameters": {"city": "Paris"}}\nDone.',
        said="I look.Done.",
        calls=(PARIS,),
    ),
    Recorded("llama", '{"name": "get_weather", "parameters": {"city":', calls=(("get_weather", '{"city":'),), ended=0),
    Recorded(
        "pythonic",
        '[get_weather(city="Paris", days=3), get_time()]',
        calls=(("get_weather", '{"city": "Paris", "days": 3}'), ("get_time", "{}")),
    ),
    Recorded(
        "pythonic",
        "[get_weather(city='it\\'s, \"(here)\"', wind={'from': ['N', None], 'ok': True}, hours=(1, 2), unit=None)]",
        calls=(
            (
                "get_weather",
                '{"city": "it\'s, \\"(here)\\"", "wind": {"from": ["N", null], "ok": true}, '
                '"hours": [1, 2], "unit": null}',
            ),
        ),
    ),
    Recorded("pythonic", '[get_weather("Paris", 3)]', calls=(("get_weather", '{"city": "Paris", "days": 3}'),)),
    Recorded("pythonic", "[get_weather(city=Paris)]", calls=(PARIS,)),
    Recorded(
        "pythonic",
        '[get_weather(city="""a "b"\n""", unit=\'\')]',
        calls=(("get_weather", '{"city": "a \\"b\\"\\n", "unit": ""}'),),
    ),
    Recorded("pythonic", "[other(a=1)]\n[get_timer()]", said="[other(a=1)]\n[get_timer()]"),
    Recorded("pythonic", '[get_weather(city="Pa', calls=(("get_weather", '{"city": "Pa'),), ended=0),
    Recorded("pythonic", "<|python_start|>[get_time()]<|python_end|>", calls=(("get_time", "{}"),)),
    Recorded(
        "lfm2",
        'I look.<|tool_call_start|>[get_weather(city="Paris")]<|tool_call_end|>Done.',
        said="I look.Done.",
        calls=(PARIS,),
    ),
    Recorded("lfm2", "<|tool_call_start|>[unknown()]<|tool_call_end|>", calls=(("unknown", "{}"),)),
)

MISTRAL = (
    Recorded("mistral", '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]', calls=(PARIS,)),
    Recorded(
        "mistral-list",
        'I look. [TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abcdefghi"}, '
        '{"name": "get_time", "arguments": {}}]',
        said="I look.",
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded(
        "mistral",
        '[THINK]Hm.[/THINK]I look.[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[ARGS]{}',
        said="I look.",
        thought="Hm.",
        calls=(PARIS, ("get_time", "{}")),
    ),
    Recorded("mistral", '[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{"city": "Paris"}', calls=(PARIS,)),
    Recorded("mistral", '[TOOL_CALLS]get_weather{"city": "Paris"}', calls=(PARIS,)),
    Recorded(
        "mistral", "[TOOL_CALLS]get_time[ARGS]{}get_time[ARGS]{} Done.", said="Done.", calls=(("get_time", "{}"),) * 2
    ),
    Recorded("mistral", "[TOOL_CALLS]get_time[ARGS]", calls=(("get_time", ""),), ended=0),
    Recorded("mistral", "[TOOL_CALLS] is a mark", said="[TOOL_CALLS] is a mark"),
    Recorded("mistral", "An array: [TOOL, [THINKING]", said="An array: [TOOL, [THINKING]"),
)

ANSWERS = (*HERMES, *XML, *GLM, *LLAMA, *MISTRAL, *LISTS, *SECTIONS, *GEMMA, *HARMONY, *OTHERS)
