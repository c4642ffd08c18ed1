"""Cutting a text into what is spoken in one go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.content.sentences import Pause, can_be_said, halves, speakable, split

LIMIT = 120
SENTENCES = {
    "Hello world. How are you?": ["Hello world.", "How are you?"],
    "Stop! Who goes there?! Nobody.": ["Stop!", "Who goes there?!", "Nobody."],
    "Dr. Smith met Mr. J. R. Tolkien. They left.": ["Dr. Smith met Mr. J. R. Tolkien.", "They left."],
    "It costs $3.14, e.g. at 5 p.m. on fluid.example. Good.": [
        "It costs $3.14, e.g. at 5 p.m. on fluid.example.", "Good.",
    ],
    "See no. 5 and fig. 2. He said no. They left.": ["See no. 5 and fig. 2.", "He said no.", "They left."],
    "So do I. We go.": ["So do I.", "We go."],
    "1. First thing. 2. Second thing.": ["1. First thing.", "2. Second thing."],
    "Wait... what? Well… Maybe.": ["Wait... what?", "Well…", "Maybe."],
    'She said "Stop." Then "Why?" he asked.': ['She said "Stop."', 'Then "Why?" he asked.'],
    "Bonjour ! Ça va ? « Oui. » Très bien. M. Dupont est là.": [
        "Bonjour !", "Ça va ?", "« Oui. »", "Très bien.", "M. Dupont est là.",
    ],
    "今天天气很好。我们去公园吧！「好。」走。": ["今天天气很好。", "我们去公园吧！", "「好。」", "走。"],  # noqa: RUF001
    "A line that was\nwrapped here.\nAnother line\n\n- an item": [
        "A line that was wrapped here.", "Another line", "- an item",
    ],
    "Nothing else": ["Nothing else"],
}  # fmt: skip
SILENT = ["", " \n ", "...", "?! -", "😀", "\x00\x07", "\u200b\ufeff", "👍🏽 …"]


def texts(text: str, limit: int = LIMIT) -> list[str]:
    return [piece.text for piece in split(text, limit)]


@pytest.mark.parametrize(("text", "expected"), SENTENCES.items())
def test_sentences_are_found(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_each_piece_knows_what_ends_behind_it() -> None:
    pieces = split("One, two, three, four, five. Six.\n\nSeven.", 20)
    assert [piece.text for piece in pieces] == ["One, two, three,", "four, five.", "Six.", "Seven."]
    assert [piece.pause for piece in pieces] == [Pause.CLAUSE, Pause.SENTENCE, Pause.PARAGRAPH, Pause.PARAGRAPH]


def test_a_long_sentence_is_cut_at_commas_then_between_words_then_inside_one() -> None:
    assert texts("one two three, four five six seven", 24) == ["one two three,", "four five six seven"]
    assert texts("one two three four five six", 14) == ["one two three", "four five six"]
    assert texts("o" * 25, 10) == ["o" * 9, "o" * 9, "o" * 7]


@pytest.mark.parametrize("text", SILENT)
def test_what_has_no_sound_is_no_piece(text: str) -> None:
    assert split(text, LIMIT) == []
    assert not can_be_said(speakable(text))


def test_what_cannot_be_said_is_left_out() -> None:
    assert speakable("a\tb\x00c\u200bd\r\ne😀 ☎️ 20 °C") == "a b cd\ne     20 °C"


@given(st.text(max_size=400), st.integers(16, 300))
def test_no_letter_is_lost_and_none_is_too_much(text: str, limit: int) -> None:
    pieces = texts(text, limit)
    said = [char for char in "".join(pieces) if char.isalnum()]
    assert said == [char for char in speakable(text) if char.isalnum()]
    assert all(0 < len(piece) <= limit for piece in pieces)


@given(st.text(max_size=80))
def test_halves_are_the_whole(text: str) -> None:
    if (parts := halves(text)) is not None:
        assert "".join("".join(parts).split()) == "".join(text.split())
        assert all(parts)


def test_halves_are_cut_between_words() -> None:
    assert halves("one two three four") == ("one two", "three four")
    assert halves("abcd") == ("ab", "cd")
    assert halves("a") is None
