"""Recordings are cut where nobody speaks, and every word lands in a window."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from fluid_server.content.activity import FRAME, Activity
from fluid_server.content.sound import SAMPLE_RATE
from fluid_server.content.utterances import SpeechStarted, SpeechStopped, Utterance, Utterances, Window
from fluid_server.types import Chunking

from .tones import Samples
from .voices import CLICKS, SPOKEN, five_voices, quiet, spoken


def cut(samples: Samples, chunking: Chunking, *, longest: float = 30.0, piece: int = 16_000) -> list[Utterance]:
    """All that is found in a recording that comes in pieces."""
    utterances = Utterances(chunking, longest=longest)
    found = [one for at in range(0, len(samples), piece) for one in utterances.feed(samples[at : at + piece])]
    return [*found, *utterances.finish()]


def windows(found: Iterable[Utterance]) -> list[Window]:
    """The windows among what was found."""
    return [one for one in found if isinstance(one, Window)]


def nonstop(seconds: float) -> Samples:
    """Speech without a pause: a sentence over and over."""
    return np.resize(spoken(1)[1600:-1600], round(seconds * SAMPLE_RATE))


def test_every_pause_that_is_long_enough_ends_a_window() -> None:
    found = windows(cut(five_voices(), Chunking(silence=0.5)))
    assert len(found) == len(SPOKEN)
    for window, (start, end, _) in zip(found, SPOKEN, strict=True):
        assert window.speech[0][0] == pytest.approx(start, abs=0.1)
        assert window.speech[-1][1] == pytest.approx(end, abs=0.1)


def test_speech_with_shorter_pauses_is_one_window() -> None:
    found = windows(cut(five_voices(), Chunking(silence=1.0)))
    assert [len(window.speech) for window in found] == [1, 2, 1, 1]
    assert found[1].speech[1][0] == pytest.approx(SPOKEN[2][0], abs=0.1)


@pytest.mark.parametrize(("pause", "count"), [(1.0, 5), (0.7, 1)])
def test_a_pause_exactly_as_long_as_asked_ends_a_window(pause: float, count: int) -> None:
    parts = [part for index in range(len(SPOKEN)) for part in (quiet(pause), spoken(index))]
    assert len(windows(cut(np.concatenate(parts), Chunking(silence=1.0)))) == count


def test_speech_starts_and_stops_around_its_windows() -> None:
    found = cut(five_voices(), Chunking(silence=1.0))
    assert [type(one) for one in found] == [SpeechStarted, Window, SpeechStopped] * 4
    started, window, stopped = found[:3]
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert isinstance(window, Window)
    assert window.speech[0] == pytest.approx((started.seconds, stopped.seconds))


def test_a_window_is_the_recording_with_its_padding() -> None:
    samples = five_voices()
    for window in windows(cut(samples, Chunking(padding=0.2, silence=1.0))):
        assert window.start == pytest.approx(window.speech[0][0] - 0.2)
        assert window.end == pytest.approx(window.speech[-1][1] + 0.2)
        start = round(window.start * SAMPLE_RATE)
        assert np.array_equal(window.samples, samples[start : start + len(window.samples)])


def test_padding_never_reaches_into_a_neighbour() -> None:
    found = windows(cut(five_voices(), Chunking(padding=5.0, silence=0.3)))
    assert len(found) == len(SPOKEN)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert found[0].start == 0


@pytest.mark.parametrize("piece", [320, 777, 1_000_000])
def test_it_does_not_matter_in_what_pieces_a_recording_comes(piece: int) -> None:
    wanted, found = cut(five_voices(), Chunking(silence=1.0)), cut(five_voices(), Chunking(silence=1.0), piece=piece)
    assert [type(one) for one in found] == [type(one) for one in wanted]
    for one, other in zip(windows(found), windows(wanted), strict=True):
        assert (one.start, one.speech) == (other.start, other.speech)
        assert np.array_equal(one.samples, other.samples)


def test_neither_silence_nor_clicks_are_speech() -> None:
    clicks = five_voices()[round((CLICKS + 0.1) * SAMPLE_RATE) :]
    assert cut(np.concatenate([quiet(20), clicks]), Chunking(silence=1.0)) == []


def test_what_is_still_spoken_at_the_end_is_not_lost() -> None:
    samples = np.concatenate([quiet(1), spoken(1)])
    *_, window, stopped = cut(samples[: -SAMPLE_RATE // 5], Chunking(silence=1.0))
    assert isinstance(stopped, SpeechStopped)
    assert isinstance(window, Window)
    assert window.end == pytest.approx((len(samples) - SAMPLE_RATE // 5) / SAMPLE_RATE)


def test_speech_goes_on_after_the_end_in_the_same_time() -> None:
    """A client of a live session may ask for what there is, and speak on."""
    utterances = Utterances(Chunking(silence=1.0))
    first = windows([*utterances.feed(five_voices()), *utterances.finish()])
    again = windows([*utterances.feed(five_voices()), *utterances.finish()])
    length = len(five_voices()) / SAMPLE_RATE
    assert utterances.seconds == pytest.approx(2 * length)
    assert [window.start - length for window in again] == pytest.approx([w.start for w in first], abs=0.2)


def test_speech_that_is_too_long_is_cut_in_its_longest_pause() -> None:
    pauses = [0.25, 0.6, 0.25, 0.25]
    parts = [part for pause in pauses for part in (spoken(1), quiet(pause))]
    found = windows(cut(np.concatenate([quiet(1), *parts, *parts]), Chunking(silence=1.0), longest=6.0))
    lengths = [len(spoken(1)) / SAMPLE_RATE + pause for pause in pauses]
    assert found[0].end == pytest.approx(1 + sum(lengths[:2]), abs=0.35)
    assert not any(window.overlap or window.shared for window in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert sum(len(window.speech) for window in found) == 8


def test_speech_without_a_pause_is_cut_with_an_overlap() -> None:
    samples = np.concatenate([quiet(1), nonstop(20), quiet(2)])
    found = windows(cut(samples, Chunking(silence=1.0), longest=8.0))
    assert len(found) >= 3
    assert max(len(window.samples) for window in found) <= 8 * SAMPLE_RATE
    for before, after in pairwise(found):
        assert before.shared == after.overlap == pytest.approx(before.end - after.start)
        assert before.shared in (0.0, 1.0)
    assert any(window.overlap for window in found)
    assert found[0].speech[0][0] == pytest.approx(1, abs=0.1)
    assert found[-1].speech[-1][1] == pytest.approx(21, abs=0.1)


def test_a_turn_of_many_windows_starts_and_stops_once() -> None:
    found = cut(np.concatenate([quiet(1), nonstop(20), quiet(2)]), Chunking(silence=1.0), longest=8.0)
    others = [type(one) for one in found if not isinstance(one, Window)]
    assert others == [SpeechStarted, SpeechStopped]
    assert isinstance(found[0], SpeechStarted)
    assert isinstance(found[-1], SpeechStopped)


def test_the_overlap_lies_where_it_is_quietest() -> None:
    samples = nonstop(10)
    first, second = windows(cut(samples, Chunking(silence=1.0), longest=8.0))[:2]
    assert second.start == pytest.approx(first.end - 1.0)

    def loudness(seconds: float) -> float:
        at = round((seconds - 0.05) * SAMPLE_RATE)
        return float(np.sqrt(np.mean(samples[at : at + 1600] ** 2)))

    quietest = min(loudness(seconds) for seconds in np.arange(4.1, 7.4, 0.01))
    assert loudness(second.start + 0.5) == pytest.approx(quietest, rel=0.05)


def test_what_is_being_said_can_be_looked_at() -> None:
    utterances = Utterances(Chunking(silence=1.0))
    utterances.feed(quiet(1))
    assert utterances.peek() is None
    utterances.feed(spoken(1))
    seen = utterances.peek()
    assert seen is not None
    assert seen.end == utterances.seconds
    assert seen.speech[0][0] == pytest.approx(1, abs=0.1)
    utterances.feed(quiet(3))
    assert utterances.peek() is None


def test_a_higher_threshold_hears_less() -> None:
    samples = five_voices()
    often = sum(end - start for window in windows(cut(samples, Chunking(silence=1.0))) for start, end in window.speech)
    seldom = windows(cut(samples, Chunking(threshold=0.97, silence=1.0)))
    assert sum(end - start for window in seldom for start, end in window.speech) < often


def test_an_hour_is_held_no_longer_than_a_window() -> None:
    utterances = Utterances(Chunking(silence=10.0), longest=5.0)
    for _ in range(10):
        utterances.feed(five_voices())
        assert utterances._tape.end - utterances._tape._begin <= 5.5 * SAMPLE_RATE


@pytest.mark.parametrize("seed", range(4))
def test_no_speech_is_lost_and_none_is_in_two_windows_unless_they_say_so(seed: int) -> None:
    draw = np.random.default_rng(seed)
    parts: list[Samples] = []
    for _ in range(12):
        speech = nonstop(draw.uniform(3, 9)) if draw.random() < 0.3 else spoken(int(draw.integers(len(SPOKEN))))
        parts += [quiet(draw.uniform(0, 1.5)), speech]
    samples = np.concatenate(parts)
    found = windows(
        cut(samples, Chunking(padding=0.1, silence=1.0), longest=6.0, piece=int(draw.integers(100, 50_000)))
    )
    covered = np.zeros(len(samples), np.int8)
    for window in found:
        assert len(window.samples) <= 6 * SAMPLE_RATE
        start = round((window.start + window.overlap) * SAMPLE_RATE)
        covered[start : round(window.end * SAMPLE_RATE)] += 1
    assert covered.max() == 1
    loud = Activity().feed(samples) > 0.5
    heard = covered[: len(loud) * FRAME].reshape(-1, FRAME).mean(axis=1) > 0.5
    assert (loud & ~heard).sum() <= 0.01 * loud.sum()  # blinks shorter than a click


def test_windows_too_short_to_be_cut_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 s"):
        Utterances(Chunking(silence=1.0), longest=2.0)
