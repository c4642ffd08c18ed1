"""Writing sound files piece by piece, and changing a pace and a rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.content.sound_file import SAMPLE_RATE, at_sample_rate, sound_file, stretched
from tests.speaking import heard, pcm

# Format → how much longer than what went in it may be, in seconds: codecs fill up their first and last frames.
FORMATS = {"mp3": 0.1, "opus": 0.03, "aac": 0.13, "flac": 0.0, "wav": 0.0, "pcm": 0.0}
PITCH = 440


def tone(seconds: float, rate: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    wave = np.sin(2 * np.pi * PITCH * np.arange(round(seconds * rate)) / rate) / 2
    return wave.astype(np.float32)


def pitch(samples: npt.NDArray[np.float32], rate: int = SAMPLE_RATE) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


def written(form: str, *parts: npt.NDArray[np.float32]) -> list[bytes]:
    file = sound_file(form)
    return [*(file.add(part) for part in parts), file.end()]


@pytest.mark.parametrize("form", FORMATS)
def test_pieces_together_are_a_file_of_the_right_length_and_pitch(form: str) -> None:
    data = b"".join(written(form, tone(0.5), tone(0.013), tone(0.7)))
    samples, rate, channels = (pcm(data), SAMPLE_RATE, 1) if form == "pcm" else heard(data)
    assert (rate, channels) == (48_000 if form == "opus" else SAMPLE_RATE, 1)
    assert 1.213 - 1e-3 <= len(samples) / rate <= 1.213 + FORMATS[form] + 1e-3
    assert pitch(samples[: rate // 2], rate) == pytest.approx(PITCH, abs=3)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_come_out_with_the_first_piece(form: str) -> None:
    first, second, _ = written(form, tone(0.5), tone(0.5))
    assert len(first) > 1000
    assert len(second) > 1000


@pytest.mark.parametrize("form", FORMATS)
def test_the_end_is_written_once_even_of_nothing(form: str) -> None:
    file = sound_file(form)
    file.end()
    assert file.end() == b""


def test_a_wav_of_unknown_length_says_so() -> None:
    header = written("wav", tone(0.1))[0][:44]
    assert header[4:8] == header[40:44] == b"\xff" * 4


@pytest.mark.parametrize("speed", [0.25, 0.3, 0.5, 1.0, 1.7, 4.0])
def test_a_pace_changes_the_length_and_not_the_pitch(speed: float) -> None:
    samples = stretched(tone(1.0), SAMPLE_RATE, speed)
    assert len(samples) / SAMPLE_RATE == pytest.approx(1 / speed, rel=0.08)
    assert pitch(samples) == pytest.approx(PITCH, abs=5)


@pytest.mark.parametrize("rate", [16_000, 22_050, SAMPLE_RATE])
def test_any_rate_becomes_ours(rate: int) -> None:
    samples = at_sample_rate(tone(0.5, rate), rate)
    assert len(samples) == pytest.approx(SAMPLE_RATE / 2, abs=1)
    assert pitch(samples) == pytest.approx(PITCH, abs=3)
    assert at_sample_rate(samples[:0], rate).shape == (0,)
