"""From a request to a prompt, and to what its answer must look like; no engine needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fluid_server.content.dialects import Said, Thought
from fluid_server.errors import EngineFailed, InvalidRequest, UnsupportedField
from fluid_server.runtimes.text_prompt import Prompt, PromptWriter
from fluid_server.shapes import AnyText, Choice, Const, Grammar, JSONSchema, Regex, Sequence, Tag, Tagged
from fluid_server.types import Format, GenerateRequest, Kind, Message, ModelSpec, Tool, ToolUse

TURNS = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
ASSISTANT = "{% if add_generation_prompt %}[assistant]{% endif %}"
TOOLS = "{% if tools %}{{ tools | tojson }} in <tool_call>{% endif %}"
PLAIN = TURNS + ASSISTANT
SWITCH = TOOLS + TURNS + "{% if enable_thinking %}/think{% endif %}" + ASSISTANT + "{# <think> #}"
OPENED = TOOLS + TURNS + "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}"
HYBRID = TURNS + ASSISTANT + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
EFFORT = TURNS + "{{ reasoning_effort }}" + ASSISTANT
FIM = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
SHAPE = JSONSchema({"type": "object"})
GAP = Regex(r"\n{0,2}")
WEATHER = Tool(name="get_weather", parameters={"type": "object"})
SQL = Tool(name="sql", custom=True, input=Grammar("start: /a+/", "lark"))


def encode(text: str, *, special: bool) -> list[int]:
    """A character a token, and one for each mark of FIM."""
    for number, mark in enumerate(FIM):
        text = text.replace(mark, chr(0xE000 + number))
    return [ord(letter) for letter in ("^" if special else "") + text]


def writer(template: str | None, **fields: Any) -> PromptWriter:
    spec = ModelSpec(id="m", format=Format.GGUF, kind=Kind.TEXT, path=Path("m"), chat_template=template)
    return PromptWriter(spec, encode, **fields)


def written(template: str | None, **fields: Any) -> Prompt:
    fields.setdefault("messages", (Message(role="user", content="Hi"),))
    return writer(template).write(GenerateRequest(**fields), None)


def text_of(prompt: Prompt) -> str:
    return "".join(chr(one) for one in prompt.ids)


def using(*tools: Tool, **fields: Any) -> ToolUse:
    return ToolUse(tools=tools or (WEATHER,), **fields)


def test_a_text_is_encoded_with_what_the_tokenizer_puts_around_it() -> None:
    assert text_of(written(PLAIN, messages=None, text="Once")) == "^Once"


def test_a_gap_is_marked_by_the_models_own_tokens() -> None:
    prompt = written(PLAIN, messages=None, text="a(", suffix=")")
    assert text_of(prompt) == "\ue000a(\ue001)\ue002"


def test_a_model_without_such_tokens_cannot_fill_a_gap() -> None:
    spec = ModelSpec(id="m", format=Format.GGUF, kind=Kind.TEXT, path=Path("m"))
    letters = PromptWriter(spec, lambda text, special: [ord(letter) for letter in text])
    with pytest.raises(UnsupportedField, match="suffix"):
        letters.write(GenerateRequest(text="a", suffix="b"), None)


def test_tools_go_to_the_template_and_not_with_none() -> None:
    assert '"get_weather"' in text_of(written(SWITCH, tool_use=using()))
    assert "get_weather" not in text_of(written(SWITCH, tool_use=using(mode="none")))


def test_a_template_that_knows_no_tools_refuses_them() -> None:
    with pytest.raises(UnsupportedField, match="template") as raised:
        written(PLAIN, tool_use=using())
    assert raised.value.param == "tools"


@pytest.mark.parametrize(
    ("template", "effort", "said"),
    [
        (SWITCH, "high", "[user]Hi/think[assistant]"),
        (SWITCH, "none", "[user]Hi[assistant]"),
        (SWITCH, "minimal", "[user]Hi[assistant]"),
        (EFFORT, "minimal", "[user]Hilow[assistant]"),
        (EFFORT, "medium", "[user]Himedium[assistant]"),
        (PLAIN, "none", "[user]Hi[assistant]"),
    ],
)
def test_effort_goes_to_the_templates_own_switch(template: str, effort: str, said: str) -> None:
    assert text_of(written(template, effort=effort)) == said


def test_the_templates_own_words_win_over_effort() -> None:
    prompt = written(SWITCH, effort="none", template_kwargs={"enable_thinking": True})
    assert text_of(prompt) == "[user]Hi/think[assistant]"


@pytest.mark.parametrize(
    ("fields", "param"), [({"effort": "low"}, "reasoning_effort"), ({"verbosity": "high"}, "verbosity")]
)
def test_what_a_template_has_no_switch_for_is_refused(fields: dict[str, str], param: str) -> None:
    with pytest.raises(UnsupportedField) as raised:
        written(PLAIN, **fields)
    assert raised.value.param == param


def test_an_opened_block_is_read_as_reasoning() -> None:
    prompt = written(OPENED)
    reader = prompt.read()
    assert prompt.thinking
    assert [*reader.feed("hm</think>\n\nyes"), *reader.flush()] == [Thought("hm"), Said("yes")]


def test_a_continued_message_may_be_in_the_middle_of_its_reasoning() -> None:
    messages = (Message(role="user", content="Hi"), Message(role="assistant", content="<think>hm"))
    fields: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
    assert written(SWITCH, messages=messages, **fields).thinking
    closed = (messages[0], Message(role="assistant", content="<think>hm</think>yes"))
    assert not written(SWITCH, messages=closed, **fields).thinking


def test_a_format_holds_for_what_follows_the_reasoning() -> None:
    assert written(PLAIN, shape=SHAPE).shape == SHAPE
    assert written(SWITCH, shape=SHAPE).shape == SHAPE
    assert written(OPENED, shape=SHAPE).shape == Sequence((Tag("", AnyText(), "</think>"), GAP, SHAPE))


@pytest.mark.parametrize("fields", [{"effort": "high"}, {"template_kwargs": {"enable_thinking": True}}])
def test_a_model_that_was_told_to_think_may_do_so_first(fields: dict[str, Any]) -> None:
    shape = written(SWITCH, shape=SHAPE, **fields).shape
    thought = Sequence((Tag("<think>", AnyText(), "</think>"), GAP))
    assert shape == Sequence((Choice((thought, Const(""))), SHAPE))


def test_a_model_that_thinks_unless_told_not_to_may_do_so_too() -> None:
    assert isinstance(written(HYBRID, shape=SHAPE).shape, Sequence)
    assert written(HYBRID, shape=SHAPE, effort="none").shape == SHAPE


def test_a_call_that_is_required_is_enforced() -> None:
    shape = written(SWITCH, tool_use=using(mode="required")).shape
    assert isinstance(shape, Tagged)
    assert shape.at_least_one
    assert written(SWITCH, tool_use=using()).shape is None


def test_with_a_format_the_answer_is_a_call_or_of_that_format() -> None:
    shape = written(SWITCH, tool_use=using(), shape=SHAPE).shape
    assert isinstance(shape, Choice)
    assert isinstance(shape.options[0], Tagged)
    assert shape.options[1] == SHAPE


def test_a_custom_tool_with_a_grammar_is_all_of_the_answer() -> None:
    prompt = written(SWITCH, tool_use=using(SQL, WEATHER, mode="required", names=("sql",)))
    assert (prompt.shape, prompt.raw) == (SQL.input, True)


def test_a_dialect_can_be_set() -> None:
    assert writer(PLAIN, dialect="hermes").dialect.name == "hermes"
    with pytest.raises(EngineFailed, match="klingon"):
        writer(PLAIN, dialect="klingon")


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        written("{{ '' }}")
