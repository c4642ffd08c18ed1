"""Whisper's log-mel spectrogram against a reference.

``log-mel.npz`` was made by transformers 5.24.0 (``WhisperFeatureExtractor``, its numpy path, of 80 and of 128 bands)
from capital-of-france.wav, padded to 30 s: the columns ``frames`` of each, which hold speech, silence and both ends.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.content.log_mel import FRAMES, SAMPLES, log_mel, mel_filters

AUDIO = Path(__file__).resolve().parents[1] / "fixtures" / "audio"


def spoken() -> npt.NDArray[np.float32]:
    with wave.open(str(AUDIO / "capital-of-france.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


@pytest.mark.parametrize("bands", [80, 128])
def test_it_is_what_the_reference_computes(bands: int) -> None:
    with np.load(AUDIO / "log-mel.npz") as reference:
        frames, expected = reference["frames"], reference[f"bands_{bands}"]
    found = log_mel(spoken(), bands)
    assert found.shape == (bands, FRAMES)
    assert found.dtype == np.float32
    assert np.abs(found[:, frames] - expected).max() < 1e-4


@pytest.mark.parametrize("length", [400, 16_000, 16_001, 16_199, 16_200, SAMPLES - 300, SAMPLES - 1, SAMPLES])
def test_what_is_missing_is_silence(length: int) -> None:
    samples = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    whole = np.pad(samples, (0, SAMPLES - length))
    assert np.allclose(log_mel(samples, 80), log_mel(whole, 80), atol=1e-5)


def test_silence_is_level() -> None:
    assert np.allclose(log_mel(np.zeros(400, np.float32), 80), -1.5, atol=1e-6)


def test_every_band_hears_something_and_none_hears_twice() -> None:
    filters = mel_filters(80)
    assert (filters.max(axis=0) > 0).all()
    assert ((filters > 0).sum(axis=1) <= 2).all()
