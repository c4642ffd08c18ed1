"""Whisper's log-mel spectrogram in numpy: what its encoder hears of 30 seconds.

As OpenAI's reference computes it: frames of 400 samples (25 ms) each 160 (10 ms) under a periodic Hann window,
reflected at both ends, power through triangular filters on Slaney's mel scale, log10 from 8 below its maximum on,
moved to about [-1, 1.5].
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 30
FRAME, HOP = 400, 160
SAMPLES = WINDOW_SECONDS * SAMPLE_RATE
FRAMES = SAMPLES // HOP
LOWEST = -10.0  # of the logarithm: what silence has

FloatArray = npt.NDArray[np.float32]

# Slaney's scale: linear up to 1000 Hz (mel 15), then 27 mels for each factor of 6.4.
_LINEAR = 200.0 / 3.0
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0


def log_mel(samples: FloatArray, bands: int) -> FloatArray:
    """Mono samples at 16 kHz, at most 30 s of them → shape [bands, 3000]; what is missing is silence."""
    padded = np.zeros(SAMPLES + FRAME, np.float32)
    padded[FRAME // 2 : FRAME // 2 + len(samples)] = samples
    padded[: FRAME // 2] = padded[FRAME // 2 + 1 : FRAME + 1][::-1]
    padded[-FRAME // 2 :] = padded[-FRAME - 1 : -FRAME // 2 - 1][::-1]
    heard = min(
        FRAMES, (len(samples) + FRAME // 2) // HOP + 1
    )  # the frames after these are silence, whose level is known
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:heard]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    level = np.full((bands, FRAMES), LOWEST, np.float32)
    level[:, :heard] = np.log10(np.maximum(power @ mel_filters(bands), 10.0**LOWEST)).T
    np.maximum(level, level.max() - 8.0, out=level)
    level += 4.0
    level /= 4.0
    return level


@cache
def _hann() -> FloatArray:
    return np.hanning(FRAME + 1)[:-1].astype(np.float32)


@cache
def mel_filters(bands: int) -> FloatArray:
    """The weight of each of the 201 frequencies in each band, shape [201, bands], from 0 to 8000 Hz.

    Triangles whose corners are equally far apart in mel; each has the area of one band of 1 Hz (Slaney's norm).
    """
    top = _mel_of(np.array(SAMPLE_RATE / 2.0))
    corners = _hz_of(np.linspace(0.0, float(top), bands + 2))
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2.0, FRAME // 2 + 1)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequencies - left) / (middle - left), (right - frequencies) / (right - middle)
    return (np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (right - left))).astype(np.float32)


def _mel_of(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR, above)


def _hz_of(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR, above)
