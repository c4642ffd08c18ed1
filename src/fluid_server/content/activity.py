"""Is there speech in this sound? The Silero VAD v6 for 16 kHz, evaluated in numpy.

The model is that of https://github.com/snakers4/silero-vad (MIT, see silero_vad.LICENSE); scripts/silero_weights.py
wrote its weights into silero_vad.npz. It is small enough to do without an engine, of which none has wheels for all
our platforms: four Fourier transforms a frame, four convolutions over them, one LSTM from frame to frame. All but the
LSTM's own loop is done for many frames at once.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
import numpy.typing as npt

from fluid_server.content.sound import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

FRAME = 512  # samples that are judged together
FRAME_SECONDS = FRAME / SAMPLE_RATE

_CONTEXT = 64  # samples before a frame that are looked at with it
_REFLECTED = 64  # samples mirrored behind a frame, so that the last transform is full
_TRANSFORM = 256
_HOP = 128
_TRANSFORMS = 4  # of a frame
_HIDDEN = 128
_AT_ONCE = 128  # frames: bounds the memory of one round to some MB


class Activity:
    """How likely each frame of one recording is speech; feed it the samples in their order."""

    def __init__(self) -> None:
        self._weights = _weights()
        self.reset()

    def reset(self) -> None:
        """Begin a new recording."""
        self._pending = np.empty(0, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._hidden = np.zeros(_HIDDEN, np.float32)
        self._cell = np.zeros(_HIDDEN, np.float32)

    def feed(self, samples: Samples) -> Samples:
        """The probability of speech (0 to 1) of each FRAME that is whole now; the rest waits for what follows."""
        waiting = np.concatenate([self._pending, samples]) if self._pending.size else samples
        whole = len(waiting) // FRAME
        self._pending = waiting[whole * FRAME :].copy()
        frames = waiting[: whole * FRAME].reshape(whole, FRAME)
        parts = [self._judge(frames[at : at + _AT_ONCE]) for at in range(0, whole, _AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def _judge(self, frames: Samples) -> Samples:
        tails = frames[:, -_CONTEXT:]
        contexts = np.concatenate([self._context[np.newaxis], tails[:-1]])
        self._context = tails[-1].copy()
        seen = _encode(_spectra(np.concatenate([contexts, frames], axis=1)), self._weights)
        hidden = self._remember((seen @ self._weights["lstm_input"])[:, 0] + self._weights["lstm_bias"])
        scores = np.maximum(hidden, 0) @ self._weights["out_weight"] + self._weights["out_bias"]
        return _sigmoid(scores)

    def _remember(self, driven: Samples) -> Samples:
        """The LSTM, frame by frame. ``driven`` is what the frames contribute to its gates, shape [n, 4 * 128]."""
        recurrent, hidden, cell = self._weights["lstm_recurrent"], self._hidden, self._cell
        outputs = np.empty((len(driven), _HIDDEN), np.float32)
        for index, drive in enumerate(driven):
            gates = hidden @ recurrent
            gates += drive
            np.tanh(gates, out=gates)
            taken, kept, new, shown = gates.reshape(4, _HIDDEN)
            cell = 0.5 * ((kept + 1) * cell + (taken + 1) * new)
            hidden = 0.5 * (shown + 1) * np.tanh(cell)
            outputs[index] = hidden
        self._hidden, self._cell = hidden, cell
        return outputs


def _spectra(frames: Samples) -> Samples:
    """Magnitudes, shape [n, 4, 129], of frames with their context, shape [n, 576]."""
    mirrored = frames[:, -2 : -2 - _REFLECTED : -1]
    padded = np.concatenate([frames, mirrored], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _TRANSFORM, axis=1)[:, ::_HOP]
    return np.abs(np.fft.rfft(windows * _hann(), axis=-1)).astype(np.float32)


def _encode(spectra: Samples, weights: dict[str, Samples]) -> Samples:
    """What the LSTM sees, shape [n, 1, 128]: four convolutions of three taps, with strides 1, 2, 2 and 1."""
    found = spectra
    for index, stride in enumerate((1, 2, 2, 1)):
        found = _convolve(found, weights[f"conv{index}_weight"], weights[f"conv{index}_bias"], stride)
    return found


def _convolve(values: Samples, weight: Samples, bias: Samples, stride: int) -> Samples:
    """``values`` [n, time, channels], ``weight`` [3 * channels, out]; one zero on each side, then ReLU."""
    count, length, channels = values.shape
    padded = np.zeros((count, length + 2, channels), np.float32)
    padded[:, 1:-1] = values
    starts = range(0, length, stride)
    taps = np.stack([padded[:, at : at + 3].reshape(count, 3 * channels) for at in starts], axis=1)
    found: Samples = np.maximum(taps @ weight + bias, 0)
    return found


def _sigmoid(scores: Samples) -> Samples:
    return np.asarray(0.5 * (np.tanh(0.5 * scores) + 1), np.float32)


@cache
def _hann() -> Samples:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_TRANSFORM) / _TRANSFORM)).astype(np.float32)


@cache
def _weights() -> dict[str, Samples]:
    """The weights, in the layouts that the products above want."""
    data = files("fluid_server.content").joinpath("silero_vad.npz").read_bytes()
    with np.load(BytesIO(data)) as stored:
        weights = {name: stored[name].astype(np.float32) for name in stored.files}
    # sigmoid(x) = (tanh(x / 2) + 1) / 2: halved here, the three sigmoid gates need only tanh.
    halves = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), _HIDDEN)
    weights["lstm_bias"] *= halves
    for name in ("lstm_input", "lstm_recurrent"):
        weights[name] = np.ascontiguousarray((weights[name] * halves[:, np.newaxis]).T)
    for index in range(4):
        weight = weights[f"conv{index}_weight"]  # [out, channels, taps]
        weights[f"conv{index}_weight"] = np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight)))
    return weights
