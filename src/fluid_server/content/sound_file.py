"""Samples become a sound file of the formats that OpenAI's speech has, as they come: nothing is written twice.

Everything is mono at SAMPLE_RATE, as OpenAI's is. Encoding is FFmpeg's, through PyAV; what its wheels hold and under
which licences says content.sound. A stream cannot be gone back in, so a wav says that its length is unknown (as FFmpeg
and OpenAI do), and a flac, mp3 or aac has no length in its header either: players count.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.audio import AudioFrame, AudioStream

from fluid_server.errors import EngineFailed

SAMPLE_RATE = 24_000
Samples = npt.NDArray[np.float32]

_UNKNOWN = 0xFFFFFFFF  # a length in a wav's header
_MIXING = {"rematrix_maxval": "1.0"}


@dataclass(frozen=True, slots=True)
class _Codec:
    container: str
    name: str
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


_CODECS: Mapping[str, _Codec] = MappingProxyType(
    {
        # Its first frame would hold the file's length, and cannot be filled in afterwards.
        "mp3": _Codec("mp3", "libmp3lame", 96_000, {"write_xing": "0", "id3v2_version": "0"}),
        "opus": _Codec("ogg", "libopus", 48_000, {"page_duration": "100000"}),
        "aac": _Codec("adts", "aac", 96_000),
        "flac": _Codec("flac", "flac"),
    }
)


class SoundFile(ABC):
    """A file that is being written. ``add`` and ``end`` give the bytes that have become ready."""

    @abstractmethod
    def add(self, samples: Samples) -> bytes:
        """Write samples of shape [n], in [-1, 1]."""

    @abstractmethod
    def end(self) -> bytes:
        """Write what is left; nothing when called again. Lets go of the encoder, so it is called on every way out."""


def sound_file(form: str) -> SoundFile:
    """A new file: mp3, opus, aac, flac, wav or pcm (16-bit little-endian). Errors: KeyError for any other."""
    return _Raw(header=form == "wav") if form in ("wav", "pcm") else _Encoded(_CODECS[form])


class _Raw(SoundFile):
    def __init__(self, *, header: bool) -> None:
        self._before = _wav_header() if header else b""

    def add(self, samples: Samples) -> bytes:
        data = self._before + np.rint(samples * 32767).astype("<i2").tobytes()
        self._before = b""
        return data

    def end(self) -> bytes:
        data, self._before = self._before, b""
        return data


def _wav_header() -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, SAMPLE_RATE * 2, 2, 16)
    return struct.pack("<4sI4s4sI16s4sI", b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", len(form), form, b"data", _UNKNOWN)


class _Encoded(SoundFile):
    def __init__(self, codec: _Codec) -> None:
        self._sink = _Sink()
        options = {"flush_packets": "1", **codec.options}
        self._container = av.open(self._sink, "w", format=codec.container, container_options=options)
        stream = self._container.add_stream(codec.name, rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, AudioStream)
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        self._stream = stream
        self._written = 0
        self._ended = False

    def add(self, samples: Samples) -> bytes:
        frame = _frame(samples, SAMPLE_RATE)
        frame.pts = self._written
        self._written += len(samples)
        self._mux(frame)
        return self._sink.take()

    def end(self) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        with self._container:
            self._mux(None)
        return self._sink.take()

    def _mux(self, frame: AudioFrame | None) -> None:
        """Errors: EngineFailed, of this file alone."""
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            raise EngineFailed("The sound could not be written in this format: choose another.") from error


class _Sink:
    """Takes what FFmpeg writes. It has no ``seek``, which tells FFmpeg that it cannot go back."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


def _frame(samples: Samples, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="fltp", layout="mono")
    frame.sample_rate = rate
    return frame


def at_sample_rate(samples: Samples, rate: int) -> Samples:
    """Samples of any rate at SAMPLE_RATE."""
    if rate == SAMPLE_RATE or not len(samples):
        return samples
    resampler = av.AudioResampler("fltp", "mono", SAMPLE_RATE, options=_MIXING)
    parts = [part.to_ndarray()[0] for frame in (_frame(samples, rate), None) for part in resampler.resample(frame)]
    return np.concatenate(parts)


def stretched(samples: Samples, rate: int, speed: float) -> Samples:
    """The same speech at ``speed`` times its pace (0.25 to 4), its pitch kept: FFmpeg's filter atempo."""
    if speed == 1 or not len(samples):
        return samples
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout="mono")
    steps = [speed] if speed >= 0.5 else [0.5, speed / 0.5]  # what one filter does in one go
    filters = [graph.add("atempo", f"{step:.6f}") for step in steps]
    graph.link_nodes(source, *filters, graph.add("abuffersink")).configure()
    graph.push(_frame(samples, rate))
    graph.push(None)
    return np.concatenate([samples[:0], *_pulled(graph)])


def _pulled(graph: av.filter.Graph) -> Iterator[Samples]:
    """All that has come out of a graph that was told the end."""
    with suppress(EOFError):
        while True:
            frame = graph.pull()
            assert isinstance(frame, AudioFrame)
            yield frame.to_ndarray()[0]
