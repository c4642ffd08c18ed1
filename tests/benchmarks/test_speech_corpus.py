"""What the speech benchmarks measure against: recordings with known times, and files of every kind."""

from __future__ import annotations

import io

import numpy as np
import pytest

from benchmarks.speech_corpus import RATE, Sentence, Spoken, stitched, trained_sentences
from benchmarks.speech_files import FLAC, KINDS, Kind, encoded, resampled
from tests.decoded import decode


def spoken(seconds: float, rate: int = RATE) -> Spoken:
    """As good as speech, for what only cuts and joins: a tone that is loud from its first to its last sample."""
    samples = np.sin(2 * np.pi * 500 * np.arange(round(seconds * rate)) / rate + 0.5).astype(np.float32)
    return Spoken(Sentence("Hello.", "Hello.", "en"), "a tone", samples, rate)


def test_a_stitched_recording_has_each_sentence_where_it_says() -> None:
    made = stitched([spoken(0.5), spoken(1.25), spoken(2.0)], seed=1, seconds=20)
    assert made.seconds == pytest.approx(20, abs=0.001)
    for start, end, one in zip(made.starts, made.ends, made.spoken, strict=True):
        part = made.samples[round(start * RATE) : round(end * RATE)]
        assert np.array_equal(part, one.samples)


def test_between_its_sentences_it_is_silent_for_long_enough() -> None:
    made = stitched([spoken(0.5)] * 20, seed=2)
    pauses = np.array(made.starts) - np.array([0.0, *made.ends[:-1]])
    assert pauses.min() >= 1.2
    assert pauses.max() <= 6
    assert not made.samples[round(made.ends[0] * RATE) : round(made.starts[1] * RATE)].any()


def test_sentences_that_do_not_fit_are_not_squeezed_in() -> None:
    with pytest.raises(AssertionError, match="do not fit"):
        stitched([spoken(2.0)] * 5, seed=3, seconds=12)


def test_the_training_set_is_drawn_again_without_speaking() -> None:
    said = trained_sentences()
    assert {"Turn on the kitchen light.", "Bonjour le monde."} <= said
    assert len(said) == 6355


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_of_every_kind_holds_the_sound(kind: Kind, channels: int) -> None:
    if not kind.can(channels):
        pytest.skip("PyAV's Vorbis encoder knows no mono, and soundfile is not here")
    samples = spoken(1.0).samples
    heard = decode(io.BytesIO(encoded(samples, RATE, kind, channels)), max_seconds=5).samples
    spectrum = np.abs(np.fft.rfft(heard[4000:12000]))
    assert len(heard) / RATE == pytest.approx(1, abs=0.15)
    assert spectrum.argmax() * 2 == pytest.approx(500, abs=4)


def test_stereo_has_the_speaker_left_of_the_middle() -> None:
    import av

    data = encoded(spoken(0.5).samples, RATE, FLAC, 2)
    with av.open(io.BytesIO(data), "r") as file:
        frame = next(file.decode(audio=0))
    left, right = frame.to_ndarray().reshape(-1, 2).T.astype(np.float64)
    assert np.abs(left).max() == pytest.approx(2 * np.abs(right).max(), rel=0.01)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_another_rate_keeps_length_and_what_lies_below_it(rate: int) -> None:
    made = resampled(spoken(1.0).samples, RATE, rate)
    assert len(made) == rate
    assert np.abs(np.fft.rfft(made)).argmax() == 500
    assert np.std(made[rate // 4 : -rate // 4]) == pytest.approx(0.707, abs=0.01)
