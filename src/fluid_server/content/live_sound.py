"""Sound that comes piece by piece without a container: PCM at any rate, or G.711."""

from __future__ import annotations

from functools import cache

import av
import numpy as np
import numpy.typing as npt

from fluid_server.content.sound import SAMPLE_RATE

FULL_SCALE = 32_768


class LiveSound:
    """Decodes one stream of mono sound: ``pcm`` is 16-bit little-endian, ``pcmu`` and ``pcma`` are G.711.

    A piece may end in the middle of a sample. Errors: ValueError for another encoding.
    """

    def __init__(self, encoding: str, rate: int) -> None:
        if encoding not in ("pcm", "pcmu", "pcma"):
            raise ValueError(f"unknown encoding {encoding}")
        self._encoding = encoding
        self._rate = rate
        self._half = b""
        self._resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)

    def feed(self, data: bytes) -> npt.NDArray[np.float32]:
        """The samples that can be told now, at SAMPLE_RATE, in [-1, 1]; a millisecond or so stays behind."""
        samples = self._samples(data)
        if not len(samples):
            return np.empty(0, np.float32)
        if self._rate == SAMPLE_RATE:
            return samples.astype(np.float32) / np.float32(FULL_SCALE)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._rate
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        return np.clip(np.concatenate(parts), -1.0, 1.0) if parts else np.empty(0, np.float32)

    def _samples(self, data: bytes) -> npt.NDArray[np.int16]:
        if self._encoding != "pcm":
            return _expanded(self._encoding)[np.frombuffer(data, np.uint8)]
        data = self._half + data
        whole = len(data) // 2 * 2
        self._half = data[whole:]
        return np.frombuffer(data[:whole], "<i2").astype(np.int16)


@cache
def _expanded(encoding: str) -> npt.NDArray[np.int16]:
    """The sample of each of G.711's 256 codes (ITU-T G.711, tables 1 and 2), at 16 bits."""
    codes = np.arange(256, dtype=np.int32) ^ (0xFF if encoding == "pcmu" else 0x55)
    exponent, mantissa = codes >> 4 & 7, codes & 15
    if encoding == "pcmu":
        size = ((2 * mantissa + 33) << exponent) - 33
        found = np.where(codes & 0x80, -size, size) * 4
    else:
        size = np.where(exponent > 0, (2 * mantissa + 33) << np.maximum(exponent - 1, 0), 2 * mantissa + 1)
        found = np.where(codes & 0x80, size, -size) * 8
    return found.astype(np.int16)
