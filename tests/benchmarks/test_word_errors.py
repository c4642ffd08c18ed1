"""How the speech benchmarks count wrong words, and how they find sentences in a transcript."""

from __future__ import annotations

import pytest

from benchmarks.word_errors import Score, aligned, distance, words_of

SAID = ["Turn on the light.", "Good night.", "Call Bob.", "Five six."]


@pytest.mark.parametrize(
    ("wanted", "got", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a b c", "a x c", 1),
        ("a b c", "a b c d", 1),
        ("a b c", "", 3),
        ("", "a b", 2),
        ("a b c d", "b c d a", 2),
    ],
)
def test_a_word_put_in_left_out_or_changed_is_one_error(wanted: str, got: str, errors: int) -> None:
    assert distance(wanted.split(), got.split()) == errors


@pytest.mark.parametrize("text", ["Thirty-one, isn't IT?", "thirty one isn\u2019t it", " Thirty  one: isn't it! "])
def test_case_punctuation_and_hyphens_are_no_words(text: str) -> None:
    assert words_of(text) == ["thirty", "one", "isn't", "it"]


def test_the_letters_of_other_languages_stay() -> None:
    assert words_of("Où est-il, zéro?") == ["où", "est", "il", "zéro"]


def test_the_rate_is_of_all_words_not_the_mean_of_the_sentences() -> None:
    score = Score()
    score.add("one two three four five six seven", "one two three four five six seven")
    score.add("one two three", "one two four")
    assert (score.rate, score.exact, score.texts) == (10.0, 1, 2)


def test_what_was_heard_is_found_in_order() -> None:
    found = aligned(SAID, ["turn on the light", "good night", "call Rob", "five six"])
    assert found.pairs == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert (found.lost, found.extra) == ((), ())


def test_a_sentence_told_twice_is_extra_and_one_not_told_is_lost() -> None:
    found = aligned(SAID, ["Turn on the light.", "Turn on the light.", "Good night.", "Five six."])
    assert (found.lost, len(found.extra)) == ((2,), 1)
    assert [sentence for sentence, _ in found.pairs] == [0, 1, 3]


def test_a_sentence_in_the_wrong_place_is_not_found() -> None:
    found = aligned(SAID, ["Good night.", "Turn on the light.", "Call Bob.", "Five six."])
    assert (found.lost, found.extra) == ((1,), (0,))


def test_an_invented_sentence_is_no_other_sentence_heard_wrongly() -> None:
    found = aligned(SAID, ["Turn on the light.", "Thank you very much.", "Call Bob.", "Five six."])
    assert (found.lost, found.extra) == ((1,), (1,))


@pytest.mark.parametrize(("said", "heard"), [([], ["Hello."]), (["Hello."], []), ([], [])])
def test_nothing_said_or_nothing_heard_is_all_extra_or_all_lost(said: list[str], heard: list[str]) -> None:
    found = aligned(said, heard)
    assert (found.pairs, len(found.lost), len(found.extra)) == ((), len(said), len(heard))
