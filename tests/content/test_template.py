"""Chat templates: the demo model's own, idioms from the wild, and what must not get through."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fluid_server.content.template import PLAIN_STOPS, ChatTemplate
from fluid_server.errors import EngineFailed, InvalidRequest
from fluid_server.types import Message

MODEL = Path(__file__).parents[2] / "models" / "llm" / "fluid-tiny-ov"
USER = Message(role="user", content="Hi")
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Wetter für <Städte>", "parameters": {"type": "object"}},
}


def call(arguments: str) -> dict[str, Any]:
    """A tool call as OpenAI writes it."""
    return {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": arguments}}


def asked(arguments: str) -> Message:
    """An assistant message that calls a tool."""
    return Message(role="assistant", content="", fields={"tool_calls": [call(arguments)]})


def render(source: str, *messages: Message, **kwargs: Any) -> str:
    """One template, rendered once."""
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}).render(messages, **kwargs)


def refusal(source: str, *messages: Message, **kwargs: Any) -> InvalidRequest:
    """The error that rendering ends in."""
    with pytest.raises(InvalidRequest) as caught:
        render(source, *messages, **kwargs)
    return caught.value


@pytest.fixture(scope="module")
def demo() -> ChatTemplate:
    return ChatTemplate((MODEL / "chat_template.jinja").read_text("utf-8"), {"eos_token": "<|im_end|>"})


@pytest.mark.parametrize("role", ["system", "developer"])
def test_demo_template_puts_instructions_first(demo: ChatTemplate, role: str) -> None:
    prompt = demo.render([Message(role=role, content="Be brief."), USER])
    assert prompt == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_demo_template_lists_tools_as_unescaped_json(demo: ChatTemplate) -> None:
    prompt = demo.render([USER], tools=[WEATHER])
    assert "\n" + json.dumps(WEATHER["function"], ensure_ascii=False) + "\n</tools>" in prompt


def test_demo_template_shows_a_tool_call_and_its_result(demo: ChatTemplate) -> None:
    result = Message(role="tool", content="sunny", fields={"tool_call_id": "c1"})
    prompt = demo.render([USER, asked('{"city": "Köln"}'), result])
    assert '{"name": "weather", "arguments": {"city": "Köln"}}\n</tool_call><|im_end|>' in prompt
    assert "<tool_response>\nsunny\n</tool_response>" in prompt


def test_further_variables_reach_the_template(demo: ChatTemplate) -> None:
    assert "Hi /think<|im_end|>" in demo.render([USER], enable_thinking=True)
    assert "/think" not in demo.render([USER], enable_thinking=False)


def test_no_generation_prompt_when_not_wanted(demo: ChatTemplate) -> None:
    assert demo.render([USER], add_generation_prompt=False).endswith("Hi<|im_end|>\n")


def test_developer_becomes_system_where_the_template_knows_no_developer() -> None:
    message = Message(role="developer", content="x")
    assert render("{{ messages[0].role }}", message) == "system"
    assert render("{{ messages[0].role }}{# developer #}", message) == "developer"


IDIOMS = {
    "special tokens": ("{{ bos_token }}{{ messages[0]['content'] + eos_token }}", "<s>Hi</s>"),
    "namespace": (
        "{% set ns = namespace(n=0) %}{% for m in ms %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
        "3",
    ),
    "loop variables": (
        "{% for m in ms %}{{ '[' if loop.first }}{{ loop.index0 }}{{ ']' if loop.last }}{% endfor %}",
        "[012]",
    ),
    "break": (
        "{% for m in ms %}{% if not loop.first %}{%- break %}{% endif %}{{ m.role }}{% endfor %}",
        "user",
    ),
    "continue": (
        "{% for m in ms %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% endfor %}",
        "HoHu",
    ),
    "slices": ("{% for m in ms[1:] %}{{ m.content }}{% endfor %}{{ ms[::-1][0].role }}", "HoHuuser"),
    "string methods": ("{{ ' a<b>c '.strip().split('<b>')[-1].upper().startswith('C') }}", "True"),
    "filters": ("{{ ms | map(attribute='role') | join(',') }}|{{ ' x ' | trim }}", "user,assistant,user|x"),
    "selectattr": ("{{ (ms | selectattr('role', 'eq', 'assistant') | list | first).content }}", "Ho"),
    "macro": ("{% macro turn(m) %}<{{ m.role }}>{% endmacro %}{{ turn(messages[1]) }}", "<assistant>"),
    "macro with caller": (
        "{% macro wrap() %}({{ caller() }}){% endmacro %}{% call wrap() %}in{% endcall %}",
        "(in)",
    ),
    "generation tag": (
        "{% for m in ms %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
        "HiHoHu",
    ),
    "trimmed blocks": ("{% if true %}\n  a\n    {% endif %}\nb", "  a\nb"),
    "is defined": ("{{ nothing is defined }}{{ tools is none }}{{ documents is none }}", "FalseTrueTrue"),
    "is mapping": ("{{ messages[0] is mapping }}{{ messages[0].content is string }}", "TrueTrue"),
    "missing key": ("{{ 'y' if messages[0]['tool_calls'] else 'n' }}{{ messages[0].get('x', 'z') }}", "nz"),
    "tojson": ("{{ {'a': '<ü&>'} | tojson }}", '{"a": "<ü&>"}'),
    "tojson indent": ("{{ {'a': 1} | tojson(indent=4) }}", '{\n    "a": 1\n}'),
    "tojson options": (
        "{{ {'b': 'ü', 'a': 1} | tojson(ensure_ascii=true, separators=(',', ':'), sort_keys=true) }}",
        '{"a":1,"b":"\\u00fc"}',
    ),
}


@pytest.mark.parametrize(("source", "expected"), IDIOMS.values(), ids=IDIOMS.keys())
def test_idioms_from_the_wild(source: str, expected: str) -> None:
    messages = (USER, Message(role="assistant", content="Ho"), Message(role="user", content="Hu"))
    assert render("{% set ms = messages %}" + source, *messages) == expected


def test_generation_tag_keeps_its_variables_to_itself() -> None:
    source = "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}"
    assert render(source, USER) == "21"


def test_strftime_now_tells_the_date() -> None:
    before = datetime.now().year
    assert before <= int(render("{{ strftime_now('%Y') }}", USER)) <= datetime.now().year


ARGUMENT_USES = {
    "{{ a | tojson }}": '{"city":  "Köln"}'.replace("  ", " "),
    "{{ a }}": '{"city":  "Köln"}',
    "{{ 'x' + a + 'y' }}": 'x{"city":  "Köln"}y',
    "{{ 'x' ~ a }}": 'x{"city":  "Köln"}',
    "{% for k, v in a.items() %}{{ k }}={{ v }}{% endfor %}": "city=Köln",
    "{{ a is mapping }}{{ a is string }}": "TrueFalse",
}


@pytest.mark.parametrize(("use", "expected"), ARGUMENT_USES.items())
def test_arguments_serve_templates_that_want_a_dict_or_a_string(use: str, expected: str) -> None:
    source = "{% set a = messages[0].tool_calls[0].function.arguments %}" + use
    assert render(source, asked('{"city":  "Köln"}')) == expected


@pytest.mark.parametrize("text", ["not json", "[1]", "", "[" * 100_000])
def test_arguments_that_are_no_object_stay_text(text: str) -> None:
    source = "{% set a = messages[0].tool_calls[0].function.arguments %}{{ a is string }}{{ a }}"
    assert render(source, asked(text)) == "True" + text


def test_rendering_leaves_the_messages_as_they_were() -> None:
    message = asked("{}")
    render("{{ messages }}", message, continue_final_message=False)
    assert message == asked("{}")


CHATML = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
)


def test_the_final_message_is_continued_with_its_trailing_space() -> None:
    messages = (USER, Message(role="assistant", content="Well, "))
    assert render(CHATML, *messages, continue_final_message=True) == "<user>Hi<end><assistant>Well, "


def test_a_trimming_template_continues_without_trailing_space() -> None:
    trimming = CHATML.replace("m.content", "m.content | trim")
    messages = (USER, Message(role="assistant", content="Well, "))
    assert render(trimming, *messages, continue_final_message=True) == "<user>Hi<end><assistant>Well,"


def test_a_final_message_that_is_left_out_cannot_be_continued() -> None:
    assert "cannot be continued" in refusal("{{ messages[0].role }}", USER, continue_final_message=True).message
    assert "no final message" in refusal(CHATML, continue_final_message=True).message


FAILURES = {
    "raise_exception": "{{ raise_exception('Roles must alternate') }}",
    "unknown attribute": "{{ messages[0].nothing.more }}",
    "wrong type": "{{ 'a' + 1 }}",
    "no such message": "{{ [][3] + 'a' }}",
    "zero": "{{ 1 / 0 }}",
    "endless recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "include": "{% include '/etc/passwd' %}",
    "bad date": "{{ strftime_now(5) }}",
}


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES.keys())
def test_a_template_that_fails_is_an_invalid_request(source: str) -> None:
    failure = refusal(source, USER)
    assert (failure.param, failure.code) == ("messages", "template_error")


def test_the_templates_own_words_are_told() -> None:
    assert refusal("{{ raise_exception('Roles must alternate') }}", USER).message.endswith("Roles must alternate")


ATTACKS = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "subscript": "{{ ''['__class__']['__mro__'] }}",
    "globals": "{{ raise_exception.__globals__['json'] }}",
    "macro": "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
    "format": "{{ '{0.__class__.__mro__}'.format(messages) }}",
    "attr filter": "{{ (messages | attr('__class__')).__mro__ }}",
    "mutation": "{{ messages.append(1) }}",
    "arguments": "{{ messages[0].update(role='x') }}",
    "range": "{% for i in range(100001) %}{% endfor %}",
}


@pytest.mark.parametrize("source", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_hostile_template_reaches_nothing(source: str) -> None:
    assert refusal(source, USER).code == "template_error"


def test_a_variable_cannot_replace_the_messages() -> None:
    assert refusal(CHATML, USER, **{"messages": []}).param == "chat_template_kwargs"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a\nb\n{% if x %}", "line 3"),
        ("\n{{ x | nofilter }}", "line 2"),
        ("{% break %}", "outside a loop"),
        ("{{" + "(" * 20_000 + "1" + ")" * 20_000 + "}}", "nested"),
    ],
)
def test_a_template_that_does_not_compile_fails_the_load(source: str, reason: str) -> None:
    with pytest.raises(EngineFailed, match=reason):
        ChatTemplate(source, {})


def test_a_model_without_template_gets_the_plain_one() -> None:
    plain = ChatTemplate(None, {"bos_token": "<s>"})
    messages = [
        Message(role="developer", content="Be brief."),
        USER,
        Message(role="assistant", content="Ho"),
        USER,
    ]
    assert plain.render(messages) == "<s>System: Be brief.\nUser: Hi\nAssistant: Ho\nUser: Hi\nAssistant:"
    assert plain.stops == PLAIN_STOPS
    assert "\nUser:" in plain.stops


def test_the_plain_template_refuses_tools() -> None:
    with pytest.raises(InvalidRequest, match="no tools"):
        ChatTemplate(None, {}).render([USER], tools=[WEATHER])


def test_a_template_of_its_own_needs_no_further_stops(demo: ChatTemplate) -> None:
    assert demo.stops == ()
