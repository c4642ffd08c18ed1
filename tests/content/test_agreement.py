"""What can be told while somebody still speaks."""

from __future__ import annotations

import pytest

from fluid_server.content.agreement import Agreement


def told(*hypotheses: str) -> list[str]:
    agreement = Agreement()
    return [agreement.feed(hypothesis) for hypothesis in hypotheses]


@pytest.mark.parametrize(
    ("hypotheses", "news"),
    [
        (["Turn on"], [""]),
        (["Turn on", "Turn on the"], ["", "Turn on"]),
        (["Turn on the", "Turn on the kitchen", "Turn on the kitchen light."], ["", "Turn on the", " kitchen"]),
        (["Turn in", "Turn on the", "Turn on the kitchen"], ["", "Turn", " on the"]),
        (["Yes.", "Yes."], ["", ""]),  # the last word may be half a word
        (["One two three", "Two three four", "Two three four five"], ["", "", "Two three four"]),
        (["One two three", "One two four", "Six seven eight", "Six seven eight"], ["", "One two", "", ""]),
        (["", "", ""], ["", "", ""]),
    ],
)
def test_two_hypotheses_in_a_row_make_it_stable(hypotheses: list[str], news: list[str]) -> None:
    assert told(*hypotheses) == news


def test_what_is_certain_is_told_whole() -> None:
    agreement = Agreement()
    agreement.feed("Turn on the")
    agreement.feed("Turn on the light")
    assert agreement.settle("Turn on the kitchen light.") == " kitchen light."
    assert agreement.told == "Turn on the kitchen light."


def test_what_was_told_is_not_told_again_when_it_turns_out_otherwise() -> None:
    agreement = Agreement()
    agreement.feed("Turn on the")
    agreement.feed("Turn on the light")
    assert agreement.settle("Burn on the light.") == ""
    assert agreement.told == "Turn on the"
