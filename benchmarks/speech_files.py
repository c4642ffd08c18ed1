"""Sound files of every kind that browsers, phones and editors make, through PyAV's encoders.

Vorbis alone is written by libsndfile where the package `soundfile` is there (`uv run --with soundfile …`): the encoder
that PyAV has for it knows no mono.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SNDFILE = "libsndfile"
# A longer filter than FFmpeg's own choice of 32 taps: the masters should lose nothing below their new limit.
SHARP = {"filter_size": "128", "cutoff": "0.97"}
BLOCK = 1024  # samples a frame


@dataclass(frozen=True, slots=True)
class Kind:
    """A container and what is in it. ``rates`` are those its encoder takes, lowest first; none: any."""

    name: str
    suffix: str
    container: str
    codec: str
    rates: tuple[int, ...] = ()
    bit_rate: int | None = None
    picture: bool = False

    def rate_for(self, rate: int) -> int:
        """The lowest of its rates that loses nothing of sound at this one."""
        return next((own for own in self.rates if own >= rate), self.rates[-1] if self.rates else rate)

    def can(self, channels: int) -> bool:
        """Whether it can be written here with this many channels."""
        return self.codec != SNDFILE or channels == 2 or find_spec("soundfile") is not None


MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
FLAC = Kind("flac", "flac", "flac", "flac")
OPUS = Kind("ogg opus", "opus", "opus", "libopus", OPUS_RATES, 32_000)
WAV = Kind("wav 16 bit", "wav", "wav", "pcm_s16le")
KINDS = (
    Kind("wav 8 bit", "wav", "wav", "pcm_u8"),
    WAV,
    Kind("wav 24 bit", "wav", "wav", "pcm_s24le"),
    Kind("wav 32 bit", "wav", "wav", "pcm_s32le"),
    Kind("wav float", "wav", "wav", "pcm_f32le"),
    Kind("wav A-law", "wav", "wav", "pcm_alaw"),
    Kind("wav µ-law", "wav", "wav", "pcm_mulaw"),
    Kind("mp3", "mp3", "mp3", "libmp3lame", MP3_RATES, 64_000),
    Kind("m4a (aac)", "m4a", "ipod", "aac"),
    Kind("aac (adts)", "aac", "adts", "aac"),
    FLAC,
    Kind("ogg vorbis", "ogg", "ogg", SNDFILE),
    OPUS,
    Kind("webm opus", "webm", "webm", "libopus", OPUS_RATES, 32_000),
    Kind("mp4 (aac, video)", "mp4", "mp4", "aac", picture=True),
)


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Mono samples at another rate, through a long filter; as long as they were, to the sample."""
    if rate == wanted:
        return samples
    resampler = av.AudioResampler("flt", "mono", wanted, options=SHARP)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
    frame.sample_rate = rate
    parts = [part.to_ndarray()[0] for given in (frame, None) for part in resampler.resample(given)]
    length = round(len(samples) * wanted / rate)
    made = np.concatenate(parts)[:length]
    return np.pad(made, (0, length - len(made)))


def in_channels(samples: Samples, channels: int) -> Samples:
    """The same sound in one channel, or in two with the speaker left of the middle: shape [channels, n]."""
    return np.stack([samples, samples * np.float32(0.5)][:channels])


def encoded(samples: Samples, rate: int, kind: Kind, channels: int = 1, *, file_rate: int | None = None) -> bytes:
    """Mono samples as a file of this kind, at ``file_rate`` or their own, or the next higher that its encoder has."""
    wanted = kind.rate_for(file_rate or rate)
    sound = in_channels(resampled(resampled(samples, rate, file_rate or rate), file_rate or rate, wanted), channels)
    if kind.codec == SNDFILE and find_spec("soundfile") is not None:
        return _by_sndfile(sound, wanted)
    return _by_ffmpeg(sound, wanted, kind)


def _by_sndfile(sound: Samples, rate: int) -> bytes:
    soundfile: Any = import_module("soundfile")
    target = io.BytesIO()
    soundfile.write(target, sound.T, rate, format="OGG", subtype="VORBIS")
    return target.getvalue()


def _by_ffmpeg(sound: Samples, rate: int, kind: Kind) -> bytes:
    layout = "mono" if len(sound) == 1 else "stereo"
    target = io.BytesIO()
    with av.open(target, "w", format=kind.container) as sink:
        picture = _picture(sink) if kind.picture else []
        codec = "vorbis" if kind.codec == SNDFILE else kind.codec
        stream = sink.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        assert isinstance(stream, av.AudioStream)
        if kind.bit_rate is not None:
            stream.bit_rate = kind.bit_rate * len(sound)
        sink.start_encoding()
        sink.mux(picture)
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
        for frame in [*_frames(sound, rate, layout), None]:
            for part in resampler.resample(frame):
                sink.mux(stream.encode(part))
        sink.mux(stream.encode(None))
    return target.getvalue()


def _frames(sound: Samples, rate: int, layout: str) -> list[av.AudioFrame]:
    frames = []
    for start in range(0, sound.shape[1], BLOCK):
        block = np.ascontiguousarray(sound[:, start : start + BLOCK].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        frames.append(frame)
    return frames


def _picture(sink: av.container.OutputContainer) -> list[av.Packet[av.VideoStream]]:
    """One grey picture, as a film has many."""
    stream = sink.add_stream("mpeg4", rate=10)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
    return [packet for given in (frame, None) for packet in stream.encode(given)]
