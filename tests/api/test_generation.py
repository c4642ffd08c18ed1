"""What comes at once goes out at once: neighbouring pieces become one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fluid_server.api.generation import Answered, merged
from fluid_server.types import ChoiceEnd, Event, ReasoningPiece, TextPiece, TokenLogprob, ToolPiece

A, B = (TokenLogprob(number, text, -1.0) for number, text in enumerate("ab"))
choices = st.integers(0, 1)
texts = st.text("ab", max_size=2)
events = st.lists(
    st.one_of(
        st.builds(TextPiece, choices, texts, st.sampled_from([(), (A,), (A, B)])),
        st.builds(ReasoningPiece, choices, texts),
        st.builds(ChoiceEnd, choices, st.just("stop")),
    ),
    max_size=12,
)


def test_pieces_of_one_choice_become_one_with_all_their_log_probabilities() -> None:
    assert merged([TextPiece(0, "a", (A,)), TextPiece(0, ""), TextPiece(0, "b", (B,))]) == [TextPiece(0, "ab", (A, B))]


def test_choices_and_kinds_stay_apart_and_in_their_order() -> None:
    apart: list[Event] = [
        ReasoningPiece(0, "hm"), TextPiece(0, "a"), TextPiece(1, "b"), TextPiece(0, "c"), ChoiceEnd(0, "stop"),
    ]  # fmt: skip
    assert merged(apart) == apart


def test_a_call_s_arguments_are_joined_and_calls_are_not() -> None:
    first, second = ToolPiece(0, 0, "{", id="x", name="f"), ToolPiece(0, 1, "{}", id="y", name="f")
    assert merged([first, ToolPiece(0, 0, "}"), second]) == [ToolPiece(0, 0, "{}", id="x", name="f"), second]


@given(events)
def test_an_answer_is_the_same_however_much_of_it_came_at_once(some: list[Event]) -> None:
    def answer(of: list[Event]) -> list[Answered]:
        choices = [Answered(), Answered()]
        for event in of:
            assert isinstance(event, TextPiece | ReasoningPiece | ChoiceEnd)
            choices[event.choice].take(event)
        return choices

    joined = merged(some)
    assert answer(joined) == answer(some)
    assert not any(
        isinstance(one, TextPiece) and isinstance(other, TextPiece) and one.choice == other.choice
        for one, other in pairwise(joined)
    )
