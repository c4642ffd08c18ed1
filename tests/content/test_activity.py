"""Speech is told from silence and noise as the original model does."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fluid_server.content.activity import FRAME, FRAME_SECONDS, Activity

from .tones import Samples, sine
from .voices import SPOKEN, five_voices, probabilities


def test_probabilities_are_those_of_the_original_engine() -> None:
    found = Activity().feed(five_voices())
    assert found.dtype == np.float32
    assert np.abs(found - probabilities()).max() < 1e-5


@pytest.mark.parametrize("length", [1, 160, 511, 513, 4_000])
def test_pieces_of_any_length_give_the_same_as_the_whole(length: int) -> None:
    samples, activity = five_voices()[: 4 * 16_000], Activity()
    pieces = [activity.feed(samples[at : at + length]) for at in range(0, len(samples), length)]
    assert max(map(len, pieces)) <= length // FRAME + 1
    assert np.abs(np.concatenate(pieces) - Activity().feed(samples)).max() < 1e-5


def test_what_follows_is_judged_as_a_new_recording_after_a_reset() -> None:
    activity = Activity()
    activity.feed(five_voices()[:20_000])
    activity.reset()
    assert np.array_equal(activity.feed(five_voices()), Activity().feed(five_voices()))


def test_each_sentence_is_found_and_nothing_between_them() -> None:
    times = np.arange(len(probabilities())) * FRAME_SECONDS
    loud = Activity().feed(five_voices()) > 0.5
    for start, end, _ in SPOKEN:
        assert loud[(times > start + 0.1) & (times < end - 0.1)].mean() > 0.8  # it may blink
        loud[(times > start - 0.1) & (times < end + 0.1)] = False
    assert not loud.any()


def noise(level: float) -> Samples:
    return np.random.default_rng(0).normal(0, level, 5 * 16_000).astype(np.float32)


QUIET = {
    "silence": np.zeros(5 * 16_000, np.float32),
    "hiss": noise(0.1),
    "hum": sine(50, 16_000, 5),
    "a chord": sine(262, 16_000, 5, 0.2) + sine(330, 16_000, 5, 0.2) + sine(392, 16_000, 5, 0.2),
    "direct current": np.full(5 * 16_000, 0.5, np.float32),
}


@pytest.mark.parametrize("samples", QUIET.values(), ids=QUIET.keys())
def test_what_is_no_voice_is_no_speech(samples: Samples) -> None:
    assert Activity().feed(samples).max() < 0.4


@pytest.mark.parametrize("gain", [0.05, 0.3, 8.0])
def test_speech_is_heard_soft_and_loud_and_in_noise(gain: float) -> None:
    """At -26 dB below the recording, and so loud that it clips."""
    samples = np.clip(five_voices() * gain, -1, 1)
    with_noise = samples + np.resize(noise(0.03 * min(gain, 1)), len(samples))
    for heard in (samples, with_noise):
        loud = Activity().feed(heard) > 0.5
        assert (loud == (probabilities() > 0.5)).mean() > 0.92


def test_an_hour_costs_seconds() -> None:
    """Half a minute may take a tenth of that on the slowest machine; it takes 40 ms on a laptop's processor."""

    started = time.process_time()
    Activity().feed(np.resize(five_voices(), 30 * 16_000))
    assert time.process_time() - started < 3
