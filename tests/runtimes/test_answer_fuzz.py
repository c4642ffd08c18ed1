"""Whatever a model writes, in whatever pieces: an answer never breaks, and reads the same however it was cut."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluid_server.content.dialects import DIALECTS
from fluid_server.runtimes.text_answer import Answer
from fluid_server.runtimes.text_plan import Piece
from fluid_server.runtimes.text_prompt import Prompt
from fluid_server.types import Event, ReasoningPiece, TextPiece, TokenLogprob, Tool, ToolPiece, ToolUse

NAMES = sorted(DIALECTS)
TOOLS = (Tool(name="get_time", parameters={"type": "object"}), Tool(name="shell", custom=True))
COMMON = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", '{"name": "get_time", "arguments": {"city": "Köln"}}',
    '{"name": "shell", "arguments": {"input": "ls -l"}}', "get_time(", 'city="x")', "{", "}", "[", "]", '"', "\\",
    "\n", " ", "STOP", "ST", "Hello 😀",
)  # fmt: skip


@dataclass
class Heard:
    """All that a client is told of one answer."""

    text: str = ""
    reasoning: str = ""
    calls: dict[int, tuple[str, str]] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    finish: str | None = None

    def take(self, events: list[Event]) -> None:
        """Take over some events; a call must begin with its name."""
        for event in events:
            match event:
                case TextPiece(text=text, logprobs=logprobs):
                    self.text += text
                    self.tokens += [one.token for one in logprobs]
                case ReasoningPiece(text=text):
                    self.reasoning += text
                case ToolPiece(index=index, name=name, arguments=arguments):
                    assert (name is not None) == (index not in self.calls)
                    known = self.calls.get(index, (name or "", ""))
                    self.calls[index] = (known[0], known[1] + arguments)


def answers(dialect: str) -> st.SearchStrategy[list[str]]:
    """An answer's parts: marks of the dialect, scraps of calls, anything."""
    marks = sorted({*DIALECTS[dialect].marks, *COMMON})
    return st.lists(st.one_of(st.sampled_from(marks), st.text(max_size=4)), max_size=14)


def heard(
    dialect: str, parts: list[str], use: ToolUse, *, thinking: bool, stops: tuple[str, ...], tokens: bool
) -> Heard:
    """What a client is told when an engine brings these parts, one a step, each with its token if wanted."""
    reader = DIALECTS[dialect].reader
    prompt = Prompt(ids=[1], read=lambda: reader(use, thinking=thinking), stops=stops, thinking=thinking)
    answer = Answer(0, prompt, use)
    found = Heard()
    for number, part in enumerate(parts):
        finish = "stop" if number == len(parts) - 1 else None
        told = (TokenLogprob(number, part, -0.5),) if tokens else ()
        events, found.finish = answer.take(Piece(1, part, 1, finish, logprobs=told))
        found.take(events)
        if found.finish is not None:
            break
    return found


@pytest.mark.parametrize("dialect", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), thinking=st.booleans(), parallel=st.booleans(), stops=st.sampled_from([(), ("STOP",)]))
def test_an_answer_reads_the_same_however_it_was_cut(
    dialect: str, data: st.DataObject, thinking: bool, parallel: bool, stops: tuple[str, ...]
) -> None:
    parts = [part for part in data.draw(answers(dialect)) if part] or ["a"]
    use = ToolUse(tools=TOOLS, parallel=parallel)
    whole = heard(dialect, ["".join(parts)], use, thinking=thinking, stops=stops, tokens=False)
    cut = heard(dialect, parts, use, thinking=thinking, stops=stops, tokens=False)
    letters = heard(dialect, list("".join(parts)), use, thinking=thinking, stops=stops, tokens=False)
    assert whole == cut == letters
    assert parallel or len(whole.calls) <= 1
    assert whole.finish == ("tool_calls" if whole.calls else "stop")


@pytest.mark.parametrize("dialect", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), thinking=st.booleans(), stops=st.sampled_from([(), ("STOP",)]))
def test_tokens_are_told_once_in_their_order_and_change_nothing(
    dialect: str, data: st.DataObject, thinking: bool, stops: tuple[str, ...]
) -> None:
    parts = data.draw(answers(dialect)) or ["a"]
    use = ToolUse(tools=TOOLS)
    told = heard(dialect, parts, use, thinking=thinking, stops=stops, tokens=True)
    assert told.tokens == sorted(set(told.tokens))
    told.tokens = []
    assert told == heard(dialect, parts, use, thinking=thinking, stops=stops, tokens=False)


@pytest.mark.parametrize("dialect", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_arguments_of_a_call_that_is_whole_are_json(dialect: str, data: st.DataObject) -> None:
    arguments = data.draw(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 9), max_size=3))
    text = json.dumps({"name": "get_time", "arguments": arguments})
    parts = [f"<tool_call>\n{text}\n</tool_call>", *data.draw(answers(dialect))]
    found = heard(dialect, parts, ToolUse(tools=TOOLS), thinking=False, stops=(), tokens=False)
    if dialect == "hermes":
        assert json.loads(found.calls[0][1]) == arguments
