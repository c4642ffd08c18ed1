"""Sound without a container, in pieces of any size."""

from __future__ import annotations

import av
import numpy as np
import pytest

from fluid_server.content.live_sound import LiveSound
from fluid_server.content.sound import SAMPLE_RATE

CODES = bytes(range(256))


def tone(rate: int, seconds: float = 1.0) -> bytes:
    times = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * 440 * times) * 16_000).astype("<i2").tobytes()


@pytest.mark.parametrize(("encoding", "codec"), [("pcmu", "pcm_mulaw"), ("pcma", "pcm_alaw")])
def test_every_code_of_g711_is_what_ffmpeg_makes_of_it(encoding: str, codec: str) -> None:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = SAMPLE_RATE, "mono"
    (frame,) = context.decode(av.Packet(CODES))
    assert np.array_equal(LiveSound(encoding, SAMPLE_RATE).feed(CODES) * 32_768, frame.to_ndarray()[0])


@pytest.mark.parametrize("size", [5, 4_801, 100_000])
def test_how_it_is_cut_does_not_matter(size: int) -> None:
    data = tone(24_000)
    whole, cut = LiveSound("pcm", 24_000), LiveSound("pcm", 24_000)
    parts = [cut.feed(data[at : at + size]) for at in range(0, len(data), size)]
    together = whole.feed(data)
    joined = np.concatenate(parts)
    assert len(joined) == pytest.approx(len(together), abs=32)
    shorter = min(len(joined), len(together))
    assert np.abs(joined[:shorter] - together[:shorter]).max() < 1e-3


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_any_rate_becomes_the_models_own(rate: int) -> None:
    samples = LiveSound("pcm", rate).feed(tone(rate, 2.0))
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=100)
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE]))
    assert int(spectrum.argmax()) == 440
    assert samples.dtype == np.float32


def test_nothing_is_nothing() -> None:
    assert len(LiveSound("pcm", 24_000).feed(b"")) == 0
    assert len(LiveSound("pcm", 24_000).feed(b"\x01")) == 0


def test_another_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="opus"):
        LiveSound("opus", 48_000)
