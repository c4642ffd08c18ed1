"""Spoken sentences as a live client sends them, and a live session to send them in."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import cache

import av

from tests.front_door import AUDIO

RATE = 24_000
TIMER, TIMER_TEXT = "timer", "Set a timer for ten minutes."
LIGHT, LIGHT_TEXT = "kitchen-light", "Turn on the kitchen light."


@cache
def encoded(name: str, codec: str = "pcm_s16le", rate: int = RATE) -> bytes:
    """A sentence as bare samples in this codec, mono."""
    target = io.BytesIO()
    with av.open(str(AUDIO / f"{name}.wav")) as source, av.open(target, "w", format="wav") as sink:
        stream = sink.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                sink.mux(stream.encode(part))
        sink.mux(stream.encode(None))
    return target.getvalue().partition(b"data")[2][4:]


def silence(seconds: float, rate: int = RATE) -> bytes:
    """Nothing to be heard, as 16-bit PCM."""
    return bytes(2 * int(seconds * rate))


def pieces(data: bytes, size: int = 9_600) -> Iterator[str]:
    """Sound in base64, 0.2 s at a time unless told otherwise."""
    return (base64.b64encode(data[at : at + size]).decode() for at in range(0, len(data), size))
