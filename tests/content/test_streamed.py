"""What is sent while a model still writes, and what becomes of it when the model changes its mind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluid_server.content.streamed import Steady, reconciled
from fluid_server.types import Segment, Word

PROSE = " The quick brown fox jumps over the lazy dog, and then it sleeps under a tall old tree until noon."
WORDS = st.lists(st.sampled_from(["one", "two", "three", "four", "five", "six", "seven"]), max_size=12).map(
    lambda words: "".join(f" {word}" for word in words)
)


def sent(steady: Steady, *pieces: str) -> str:
    return "".join(steady.feed(piece) for piece in pieces)


def segments(*texts: str) -> tuple[Segment, ...]:
    return tuple(Segment(start=float(at), end=at + 1.0, text=text) for at, text in enumerate(texts))


def text_of(found: tuple[Segment, ...]) -> str:
    return "".join(segment.text for segment in found)


def test_prose_is_sent_but_for_a_few_letters() -> None:
    steady = Steady()
    so_far = ""
    for end, letter in enumerate(PROSE, 1):
        so_far += steady.feed(letter)
        assert PROSE.startswith(so_far)
        assert len(so_far) >= end - 6
    assert not steady.loops


def test_what_was_just_said_is_not_sent_again() -> None:
    assert sent(Steady(), " Thank you.", " Thank", " you.", " Thank you.") == " Thank you."


def test_a_word_that_comes_twice_is_sent_once_the_text_goes_on() -> None:
    assert sent(Steady(), " Call", " Bob.", " Call", " Alice.").startswith(" Call Bob. Call Al")


def test_nothing_is_sent_before_the_first_letter() -> None:
    assert sent(Steady(), ".", " ..") == ""


def test_a_loop_is_told_from_a_sentence_that_is_said_twice() -> None:
    steady = Steady()
    sent(steady, PROSE, PROSE)
    assert not steady.loops
    sent(steady, *(" Thank you." for _ in range(60)))
    assert steady.loops


def test_a_text_that_goes_on_from_what_was_sent_is_left_alone() -> None:
    found = segments(" Hello", " world.")
    assert reconciled(" Hello wo", found, 0.0, 5.0) == found


@pytest.mark.parametrize(
    ("streamed", "texts", "whole"),
    [
        (" I went to the shop.", (" I went to the shop and", " bought milk."), " I went to the shop. and bought milk."),
        (" Hello word", (" Hello", " world.", " Bye."), " Hello word. Bye."),
        (" Thank you.", (" Seven apples.",), " Thank you. Seven apples."),
        (" Thank you.", (), " Thank you."),
        ("你好世界。", ("你好,世界!", "再见"), "你好世界。再见"),
    ],
    ids=["the same and more", "another word", "something else", "nothing", "no spaces"],
)
def test_what_was_sent_stands_and_no_other_word_is_lost(streamed: str, texts: tuple[str, ...], whole: str) -> None:
    assert text_of(reconciled(streamed, segments(*texts), 0.0, 9.0)) == whole


def test_a_changed_segment_keeps_its_time_and_its_words() -> None:
    word = Word(" world.", 0.5, 1.0)
    first = Segment(start=0.2, end=1.0, text=" Hello world.", words=(word,))
    (found,) = reconciled(" Hello word.", (first,), 0.0, 9.0)
    assert (found.start, found.end, found.text, found.words) == (0.2, 1.0, " Hello word.", (word,))


@given(WORDS, WORDS, st.integers(0, 4))
def test_whatever_is_found_afterwards_the_transcript_begins_with_what_was_sent(
    streamed: str, text: str, cut: int
) -> None:
    found = reconciled(streamed, segments(text[:cut], text[cut:]), 0.0, 9.0)
    assert text_of(found).startswith(streamed)
    assert [segment.start for segment in found] == sorted(segment.start for segment in found)
