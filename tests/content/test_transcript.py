"""What was heard in windows becomes one transcript: in time, whole, and without doubled words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluid_server.content.repetition import compression_ratio
from fluid_server.content.transcript import Transcript, is_looping
from fluid_server.content.utterances import Window
from fluid_server.types import Segment, Word


def window(start: float, end: float, *speech: tuple[float, float], overlap: float = 0.0, shared: float = 0.0) -> Window:
    """A window whose speech, if not given, fills it."""
    samples = np.zeros(round((end - start) * 16_000), np.float32)
    return Window(start, samples, speech or ((start, end),), overlap=overlap, shared=shared)


def segment(start: float, end: float, text: str, *words: Word) -> Segment:
    return Segment(start=start, end=end, text=text, words=words)


def times(segments: tuple[Segment, ...]) -> list[tuple[float, float]]:
    return [(round(one.start, 3), round(one.end, 3)) for one in segments]


def test_times_are_those_of_the_recording() -> None:
    word = Word(" Hello", 0.5, 1.0)
    (found,) = Transcript().add(window(100, 103), [segment(0.5, 2.5, " Hello.", word)])
    assert times((found,)) == [(100, 103)]  # all of it is speech
    assert found.words == (Word(" Hello", 100.5, 101.0),)


def test_a_segment_that_begins_and_ends_in_silence_does_so_where_speech_does() -> None:
    found = Transcript().add(window(10, 13, (10.3, 12.6)), [segment(0.0, 3.0, " Hello.")])
    assert times(found) == [(10.3, 12.6)]


def test_each_of_several_segments_begins_with_its_own_speech() -> None:
    """A model lets one segment end where the next begins, though there is a pause between them."""
    heard = [segment(0.0, 2.1, " One."), segment(2.1, 3.9, " Two."), segment(3.9, 9.0, " Three.")]
    found = Transcript().add(window(0, 9, (0.3, 2.2), (2.8, 4.0), (4.9, 6.0)), heard)
    assert times(found) == [(0.3, 2.1), (2.8, 3.9), (4.9, 6.0)]


def test_a_start_somewhat_late_is_that_of_the_speech_and_a_very_late_one_is_believed() -> None:
    speech = window(0, 10, (1.0, 9.0))
    assert times(Transcript().add(speech, [segment(1.4, 8.7, " Hello.")])) == [(1.0, 9.0)]
    assert times(Transcript().add(speech, [segment(3.0, 6.0, " Hello.")])) == [(3.0, 6.0)]


def test_an_end_that_is_not_known_is_the_next_start_or_the_end_of_speech() -> None:
    heard = [segment(0.0, -1.0, " One."), segment(2.0, 2.0, " Two.")]
    assert times(Transcript().add(window(0, 5, (0.3, 4.6)), heard)) == [(0.3, 2.0), (2.0, 4.6)]


def test_times_never_go_back_nor_leave_the_window() -> None:
    transcript = Transcript()
    heard = [segment(0.0, 40.0, " One."), segment(1.0, 2.0, " Two."), segment(1.5, 1.9, " Three.")]
    found = transcript.add(window(5, 10), heard) + transcript.add(window(10, 12), [segment(-3.0, 1.0, " Four.")])
    assert all(5 <= one.start <= one.end <= 12 for one in found)
    assert all(before.end <= after.start for before, after in pairwise(found))


@pytest.mark.parametrize("nothing", ["", " ", "...", " - ", "♪♪", "¿?"])
def test_what_says_nothing_is_left_out(nothing: str) -> None:
    heard = [segment(0.0, 1.0, nothing), segment(1.0, 2.0, " Two."), segment(2.0, 3.0, nothing)]
    assert [one.text for one in Transcript().add(window(0, 3), heard)] == [" Two."]


def test_words_stay_within_their_segment_and_in_order() -> None:
    words = (Word(" One", -0.2, 0.6), Word(" two", 0.5, 0.4), Word(" three", 0.9, 7.0))
    (found,) = Transcript().add(window(20, 22, (20.3, 21.7)), [segment(0.0, 2.0, " One two three", *words)])
    bounds = [bound for word in found.words for bound in (word.start, word.end)]
    assert bounds == sorted(bounds)
    assert (bounds[0], bounds[-1]) == (found.start, found.end) == (20.3, 21.7)


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("Stop.", "Go.", "Stop. Go."),
        (" Stop.", " Go.", " Stop. Go."),
        ("停止。", "走吧。", "停止。走吧。"),
        ("Stop. ", "Go.", "Stop. Go."),
    ],
)
def test_windows_are_set_apart_by_a_space_where_words_are(first: str, second: str, whole: str) -> None:
    transcript = Transcript()
    found = transcript.add(window(0, 2), [segment(0, 2, first)]) + transcript.add(window(4, 6), [segment(0, 2, second)])
    assert "".join(one.text for one in found) == whole


# Windows that share a second of speech


def test_a_word_that_both_windows_heard_is_written_once() -> None:
    transcript = Transcript()
    found = transcript.add(window(0, 10, shared=1.0), [segment(8.2, 10, " I went to the market")])
    assert found == ()
    found = transcript.add(window(9, 15, overlap=1.0), [segment(0, 2.5, " market to buy some bread")])
    assert "".join(one.text for one in found) == " I went to the market to buy some bread"
    assert transcript.finish() == ()


def test_words_that_the_edges_cut_are_taken_from_the_other_window() -> None:
    transcript = Transcript()
    transcript.add(window(0, 10, shared=1.0), [segment(8, 10, " will you come to mor")])
    found = transcript.add(window(9, 15, overlap=1.0), [segment(0, 2, "ill come tomorrow morning")])
    assert "".join(one.text for one in found) == " will you come tomorrow morning"


def test_capitals_and_marks_at_the_seam_do_not_double_a_word() -> None:
    transcript = Transcript()
    transcript.add(window(0, 10, shared=1.0), [segment(8, 10, " and then we came home.")])
    found = transcript.add(window(9, 15, overlap=1.0), [segment(0, 2, " Came home, and slept")])
    assert "".join(one.text for one in found) == " and then we came home, and slept"


def test_scripts_without_spaces_are_joined_by_their_characters() -> None:
    transcript = Transcript()
    transcript.add(window(0, 10, shared=1.0), [segment(8, 10, "今天天气很好")])
    found = transcript.add(window(9, 12, overlap=1.0), [segment(0, 2, "很好我们去公园")])
    assert "".join(one.text for one in found) == "今天天气很好我们去公园"


def test_what_only_one_window_heard_is_kept() -> None:
    transcript = Transcript()
    transcript.add(window(0, 10, shared=1.0), [segment(0, 10, " one two")])
    found = transcript.add(window(9, 15, overlap=1.0), []) + transcript.finish()
    assert [one.text for one in found] == [" one two"]


def test_segments_before_the_overlap_are_told_at_once() -> None:
    transcript = Transcript()
    heard = [segment(0, 4, " One."), segment(4, 8, " Two."), segment(8, 10, " Three")]
    assert [one.text for one in transcript.add(window(0, 10, shared=1.0), heard)] == [" One.", " Two."]
    assert [one.text for one in transcript.finish()] == [" Three"]


def test_a_shortened_segment_has_no_tokens_and_only_its_own_words() -> None:
    words = tuple(Word(f" {text}", 8 + at / 2, 8.5 + at / 2) for at, text in enumerate(["a", "b", "c", "d"]))
    transcript = Transcript()
    transcript.add(window(0, 10, shared=1.0), [replace(segment(8, 10, " a b c d", *words), tokens=(1, 2, 3, 4))])
    later = tuple(Word(f" {text}", at / 2, 0.5 + at / 2) for at, text in enumerate(["c", "d", "e"]))
    first, second = transcript.add(window(9, 12, overlap=1.0), [segment(0, 3, " c d e", *later)])
    assert first.text + second.text == " a b c d e"
    assert [word.text for one in (first, second) for word in one.words] == [" a", " b", " c", " d", " e"]
    assert first.tokens == (1, 2, 3, 4) if first.text == " a b c d" else first.tokens == ()


@dataclass(frozen=True)
class Spoken:
    """A recording of words, each as long as its letters, and where it was cut."""

    words: tuple[Word, ...]
    cuts: tuple[float, ...]  # the middles of the overlaps

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)

    def window(self, index: int) -> Window:
        ends = (0.0, *self.cuts, self.words[-1].end)
        start = ends[index] - 0.5 if index else 0.0
        last = index == len(self.cuts)
        return window(
            start,
            ends[index + 1] + (0 if last else 0.5),
            overlap=1.0 if index else 0.0,
            shared=0.0 if last else 1.0,
        )

    def heard(self, within: Window, jitter: float) -> list[Word]:
        """The words whole in a window, and what remains of those at its edges, by its own clock."""
        found = []
        for word in self.words:
            length = word.end - word.start
            share = (min(word.end, within.end) - max(word.start, within.start)) / length
            count = round(share * len(word.text) - 1) if share < 0.999 else len(word.text) - 1
            letters = word.text[-count:] if word.start < within.start else word.text[1 : 1 + count]
            if share > 0 and count > 0:
                start = max(word.start, within.start) - within.start
                found.append(Word(f" {letters}", start + jitter, start + length * share + jitter))
        return found


VOCABULARY = ["left", "right", "stop", "turn", "forward", "morning", "yesterday"]


@st.composite
def recordings(draw: st.DrawFn, *, repeated: bool) -> Spoken:
    """Words from a small vocabulary, so that the same ones stand on both sides of a cut."""
    drawn = draw(st.lists(st.sampled_from(VOCABULARY), min_size=20, max_size=60))
    words: list[Word] = []
    at = 0.0
    for text in drawn:
        if repeated or not words or words[-1].text != f" {text}":
            words.append(Word(f" {text}", at, at + 0.08 * len(text)))
            at = words[-1].end
    cuts: list[float] = []
    for place in draw(st.lists(st.floats(0.1, 0.9), max_size=3)):
        if all(abs(place * at - cut) > 3 for cut in cuts):
            cuts.append(place * at)
    return Spoken(tuple(words), tuple(sorted(cuts)))


@settings(max_examples=60, deadline=None)
@given(recordings(repeated=True), st.floats(-0.05, 0.05))
def test_timed_words_cut_anywhere_come_back_whole(spoken: Spoken, jitter: float) -> None:
    transcript, found = Transcript(), ""
    for index in range(len(spoken.cuts) + 1):
        within = spoken.window(index)
        words = spoken.heard(within, jitter if index % 2 else 0.0)
        heard = segment(0.0, words[-1].end, "".join(word.text for word in words), *words)
        found += "".join(one.text for one in transcript.add(within, [heard]))
    found += "".join(one.text for one in transcript.finish())
    assert found == spoken.text


@settings(max_examples=60, deadline=None)
@given(recordings(repeated=False))
def test_words_without_times_cut_anywhere_come_back_whole(spoken: Spoken) -> None:
    """Segments of at most eight words, as a model writes them. How often a word was repeated, its times must tell."""
    transcript, found = Transcript(), ""
    for index in range(len(spoken.cuts) + 1):
        within = spoken.window(index)
        words = spoken.heard(within, 0.0)
        groups = [words[at : at + 8] for at in range(0, len(words), 8)]
        heard = [segment(one[0].start, one[-1].end, "".join(word.text for word in one)) for one in groups]
        found += "".join(one.text for one in transcript.add(within, heard))
    found += "".join(one.text for one in transcript.finish())
    assert found == spoken.text


# Repetition


def test_the_ratio_is_that_of_the_original_whisper() -> None:
    assert compression_ratio("Thank you. " * 20) == pytest.approx(220 / 22, rel=0.1)  # zlib's versions differ a little
    assert compression_ratio("Ünïcödé") == pytest.approx(11 / 19, rel=0.1)
    assert compression_ratio("") == 0


def test_a_phrase_over_and_over_is_a_loop_and_an_ordinary_text_is_not() -> None:
    assert is_looping(" Thank you for watching." * 12)
    assert not is_looping(" Turn on the kitchen light. What is the capital of France? Set a timer for ten minutes.")
    assert not is_looping(" One one two one one.")
