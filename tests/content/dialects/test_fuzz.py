"""Whatever a model writes, nothing breaks, the cut makes no difference, and no text is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluid_server.content.dialects import DIALECTS

from .listening import Heeded, listen
from .recorded import ANSWERS

SCRAPS = sorted({answer.text[at : at + 7] for answer in ANSWERS for at in range(0, len(answer.text), 5)})
NAMES = sorted(set(DIALECTS) - {"plain"})
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def mixtures(dialect: str) -> st.SearchStrategy[str]:
    """Text of a dialect's marks, of scraps of answers, of brackets and of anything."""
    marks = sorted({*DIALECTS[dialect].marks, '{"name": "get_time", "arguments": {', "get_time(", "}", "]", "\n", " "})
    own = [answer.text for answer in ANSWERS if answer.dialect == dialect]
    halves = [text[start:end] for text in own for start in (0, len(text) // 2) for end in (len(text) // 2, len(text))]
    parts = st.one_of(st.sampled_from(marks), st.sampled_from(SCRAPS), st.sampled_from(halves), st.text(max_size=5))
    return st.lists(parts, max_size=12).map("".join)


def cut(text: str, lengths: list[int]) -> list[str]:
    """The text in pieces of these lengths, and the rest."""
    pieces = []
    for length in lengths:
        pieces.append(text[:length])
        text = text[length:]
    return [*pieces, text]


@pytest.mark.parametrize("dialect", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nonsense_breaks_nothing_and_means_the_same_however_it_is_cut(dialect: str, data: st.DataObject) -> None:
    text = data.draw(mixtures(dialect))
    thinking = data.draw(st.booleans())
    whole = listen(dialect, [text], thinking=thinking)
    pieces = cut(text, data.draw(st.lists(st.integers(1, 9), max_size=30)))
    assert listen(dialect, pieces, thinking=thinking) == whole
    assert listen(dialect, list(text), thinking=thinking) == whole


@pytest.mark.parametrize("dialect", NAMES)
@settings(max_examples=25, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="<[{`"), max_size=60))
def test_text_without_marks_is_said_to_the_letter(dialect: str, text: str) -> None:
    if dialect in ("harmony", "functools", "phi4"):
        text = text.strip()
    assert listen(dialect, cut(text, [3, 3, 3])) == Heeded(said=text, order="S" if text else "")


@pytest.mark.parametrize("dialect", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_letter_of_an_answer_without_tools_is_told(dialect: str, data: st.DataObject) -> None:
    text = data.draw(mixtures(dialect))
    heard = listen(dialect, [text], use=None)
    assert not heard.calls
    if dialect != "harmony":  # whose headers are told to nobody
        marks = DIALECTS[dialect].opening, DIALECTS[dialect].closing
        assert len(letters(heard.said + heard.thought)) >= len(letters(text)) - sum(
            text.count(mark) * len(letters(mark)) for mark in {*marks, "<response>", "</response>"} if mark
        )


def letters(text: str) -> str:
    return "".join(one for one in text if one in LETTERS)


@pytest.mark.parametrize("dialect", ["hermes", "mistral", "llama", "phi4", "deepseek-v3.1", "kimi", "harmony"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_json_arguments_arrive_to_the_letter(dialect: str, data: st.DataObject) -> None:
    arguments = data.draw(
        st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=3)
    )
    sent = json.dumps(arguments, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 2])))
    text = CALLS[dialect].replace("ARGUMENTS", sent)
    heard = listen(dialect, cut(text, data.draw(st.lists(st.integers(1, 9), max_size=30))))
    assert heard == Heeded(calls=[("get_weather", sent)], order="CA", ended=1)


CALLS = {
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": ARGUMENTS}\n</tool_call>',
    "mistral": "[TOOL_CALLS]get_weather[ARGS]ARGUMENTS",
    "llama": '{"name": "get_weather", "parameters": ARGUMENTS}',
    "phi4": '<|tool_call|>[{"name": "get_weather", "arguments": ARGUMENTS}]<|/tool_call|>',
    "deepseek-v3.1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>ARGUMENTS"
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
    "ARGUMENTS<|tool_call_end|><|tool_calls_section_end|>",
    "harmony": "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>ARGUMENTS<|call|>",
}
