"""What a reader tells at once, and what it holds back."""

from __future__ import annotations

import json
import time

import pytest

from fluid_server.content.dialects import DIALECTS, Argued, Called, Heard, Reader, Said, Thought
from fluid_server.content.dialects.incoming import LONGEST_SPACE
from fluid_server.types import ToolUse

from .listening import USE, heed, listen
from .recorded import ANSWERS


def reader(dialect: str, use: ToolUse | None = USE) -> Reader:
    return DIALECTS[dialect].reader(use, thinking=False)


def step_by_step(dialect: str, *pieces: str) -> list[list[Heard]]:
    one = reader(dialect)
    return [one.feed(piece) for piece in pieces]


def test_text_is_said_as_it_comes() -> None:
    assert step_by_step("hermes", "Hel", "lo", " you", ".") == [
        [Said("Hel")],
        [Said("lo")],
        [Said(" you")],
        [Said(".")],
    ]


def test_what_may_become_a_mark_is_held_and_let_go() -> None:
    one = reader("hermes")
    assert one.feed("a\n<tool") == [Said("a")]
    assert one.held == 6
    assert one.feed("box>") == [Said("\n<toolbox>")]
    assert one.held == 0


def test_reasoning_is_told_as_it_comes() -> None:
    told = step_by_step("hermes", "<think>\n", "So", " it", " is\n", "</think>", "\n\n", "Yes")
    assert told == [[], [Thought("So")], [Thought(" it")], [Thought(" is")], [], [], [Said("Yes")]]


def test_a_call_is_told_by_its_name_and_its_arguments_follow_in_pieces() -> None:
    told = step_by_step(
        "hermes", '<tool_call>\n{"name": "get_weather"', ', "arguments": {"ci', 'ty": "Par', 'is"}', "}"
    )
    assert told == [
        [Called(0, "get_weather")],
        [Argued(0, '{"ci')],
        [Argued(0, 'ty": "Par')],
        [Argued(0, 'is"}')],
        [],
    ]


def test_a_text_between_tags_is_told_as_it_comes_and_a_number_when_it_is_whole() -> None:
    told = step_by_step(
        "qwen3-coder",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\n",
        'a "b',
        '"\nc\n',
        "</parameter>\n<parameter=days>\n1",
        "2\n</parameter>\n",
    )
    assert [heed([Called(0, "f"), *some]).calls[0][1] for some in told[1:]] == [
        'a \\"b',
        '\\"\\nc',
        '"',
        ', "days": 12',
    ]


@pytest.mark.parametrize("dialect", ["hermes", "mistral", "llama", "harmony", "deepseek-v3.1"])
def test_a_call_has_ended_with_the_last_bracket_of_its_arguments_or_the_next(dialect: str) -> None:
    (answer,) = [one for one in ANSWERS if one.dialect == dialect and len(one.calls) == 1 and one.ended is None][:1]
    one = reader(dialect)
    ended = [(one.feed(letter), one.calls_ended)[1] for letter in answer.text]
    assert ended.index(1) <= answer.text.rindex("}") + 1


def test_an_answer_in_json_is_not_held_because_calls_are_json_too() -> None:
    told = step_by_step("llama", '{"ite', 'ms"', ": [1,", ' 2, {"name": "get_ti', 'mer", "a": ')
    assert told == [[], [], [Said('{"items": [1,')], [Said(' 2, {"name": "get_ti')], [Said('mer", "a":')]]


def test_endless_white_space_is_not_held_for_ever() -> None:
    one = reader("hermes")
    told = sum(len(part.text) for _ in range(1000) for part in one.feed("\n") if isinstance(part, Said))
    assert told == 1000 - one.held
    assert one.held <= LONGEST_SPACE


def test_without_tools_calls_are_text_and_reasoning_is_not() -> None:
    text = '<think>\nHm.\n</think>\n\nSo:\n<tool_call>\n{"name": "get_time"}\n</tool_call>'
    heard = listen("hermes", [text], use=None)
    assert heard.thought == "Hm."
    assert heard.said == 'So:\n<tool_call>\n{"name": "get_time"}\n</tool_call>'


def test_a_call_that_harmony_makes_without_tools_is_text() -> None:
    heard = listen("harmony", ["<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"], use=None)
    assert (heard.said, heard.calls) == ("{}", [])


def test_a_reader_does_not_slow_down_as_the_answer_grows() -> None:
    """A hundred thousand tokens of one argument; to look at all of it at each would take minutes."""
    one = reader("hermes")
    one.feed('<tool_call>{"name": "get_time", "arguments": {"text": "')
    began = time.perf_counter()
    told = sum(len(one.feed(" tok\\n{")) for _ in range(100_000))
    assert told == 100_000
    assert time.perf_counter() - began < 10


def test_nesting_without_end_is_survived() -> None:
    for dialect in ("hermes", "gemma4", "pythonic"):
        for opened in ("[" * 5000, '{"a":' * 5000, "{a:" * 5000):
            listen(dialect, [f'<tool_call>{{"name": "get_time", "arguments": {opened}'])
            listen(dialect, [f"<|tool_call>call:get_time{{a:{opened}"])
            listen(dialect, [f"[get_time(a={opened}", "]" * 5000, ")]"])


def test_arguments_are_json_whatever_python_wrote() -> None:
    text = "[get_time(a=1e999, b={1, 2}, c=b'x', d=-0.5, e=[True, None], f=9**9, g='\\ud800', h=nan)]"
    ((_, arguments),) = listen("pythonic", [text]).calls
    assert json.loads(arguments) == {
        "a": "1e999",
        "b": "{1, 2}",
        "c": "b'x'",
        "d": -0.5,
        "e": [True, None],
        "f": "9**9",
        "g": "\ud800",
        "h": "nan",
    }
    assert arguments.encode()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_plain_text_is_seen_at_a_glance(dialect: str) -> None:
    one = reader(dialect)
    one.feed("<|channel|>final<|message|>" if dialect == "harmony" else "It is a")
    assert [one.plain(piece) for piece in (" warm", " and", " quiet", " day.")] == [" warm", " and", " quiet", " day."]


def test_what_may_be_more_than_text_is_not_decided_at_a_glance() -> None:
    one = reader("hermes")
    assert one.plain("Hello") is None  # nobody has looked at the beginning of the answer yet
    assert one.feed("Hello") == [Said("Hello")]
    assert one.plain(" <tool") is None
    assert one.plain(", you") == ", you"
