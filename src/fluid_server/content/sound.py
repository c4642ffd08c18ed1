"""A sound file of nearly any kind becomes mono 16 kHz samples, which is what speech models take.

Decoding is FFmpeg's, through PyAV (https://pyav.basswood.io). Licences, read from the wheels of av 18.1.0:
PyAV is BSD-3-Clause; the FFmpeg 8.1 inside reports LGPL-3.0-or-later; beside it lie libx264, libx265 (video
encoders, GPL-2.0-or-later by their projects, unused here), on every platform. Who ships the wheel ships them.

Uploads are hostile until decoded: FFmpeg gets bytes without a name, only containers that hold their sound
themselves (no playlist, concat or sdp, which name other files or hosts), and no protocol to open more with.

Damage: an undecodable packet before the first sound (junk in front) or at the very end (a cut-off file) is
passed over; one in between makes the file unreadable. Formats that find their way back by themselves (flac,
ogg, webm, often mp3) skip damage silently, as players do, and a cut-off wav is as long as what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, groupby, takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import av
import av.logging
import numpy as np
import numpy.typing as npt
from av.audio import AudioFrame, AudioStream
from av.container import InputContainer

from fluid_server.errors import TooLarge, UnreadableAudio

SAMPLE_RATE = 16_000
ACCEPTED = "wav, mp3, flac, ogg, opus, m4a, aac, webm, or the sound of an mp4, mkv, avi or mpeg"

_ISOLATION = {
    "format_whitelist": "aac,aiff,amr,asf,au,avi,caf,flac,matroska,mov,mp3,mpeg,mpegts,ogg,w64,wav",
    "protocol_whitelist": "none",
}
# A float mix may exceed full scale unless told otherwise: halve two channels rather than clip their sum.
_MIXING = {"rematrix_maxval": "1.0"}

_ROUNDING = 1e-3  # seconds, of a sum over many frames
_TAGS = (b"ID3", b"TAG", b"APE")  # stand between the parts of mp3 files that were joined

av.logging.set_level(None)  # FFmpeg would write to stderr; what matters arrives as an exception


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Mono samples at SAMPLE_RATE, float32 in [-1, 1], shape [n] with n > 0; ``seconds`` is their length."""

    samples: npt.NDArray[np.float32]
    seconds: float


def decode(source: Path | BinaryIO, *, max_seconds: float, stopped: Callable[[], bool] = lambda: False) -> Sound:
    """The first audio stream of a file. Raises UnreadableAudio, or TooLarge once past ``max_seconds``.

    ``stopped`` is asked at every frame: once it says so, what was decoded up to there is returned.
    """
    with (
        source.open("rb") if isinstance(source, Path) else nullcontext(source) as file,
        _open(file) as container,
    ):
        stream = _first_audio(container)
        with _translated(f"it is damaged ({_names(container, stream)})"):
            frames = takewhile(lambda _: not stopped(), _frames(container, stream))
            data = _collect(_limited(frames, max_seconds))
        if not data:
            raise _unreadable(f"it is empty ({_names(container, stream)})")
    samples = _tidy(np.frombuffer(data, dtype=np.float32))
    return Sound(samples, len(samples) / SAMPLE_RATE)


def _open(file: BinaryIO) -> InputContainer:
    nameless = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)
    with _translated("it is of no kind that is known or accepted"):
        return av.open(nameless, mode="r", container_options=_ISOLATION, metadata_errors="replace")


def _first_audio(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise _unreadable(f"no audio stream (container {container.format.name})")
    stream = container.streams.audio[0]
    if getattr(stream, "codec_context", None) is None:
        raise _unreadable(f"an unknown codec (container {container.format.name})")
    return stream


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    heard, damage = False, None
    for packet in container.demux(stream):
        if damage and heard and packet.size:
            raise damage
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as exc:
            damage = None if bytes(packet)[:3] in _TAGS else exc
            continue
        if frames and not heard:
            heard, damage = True, None
        yield from frames
    if damage and not heard:
        raise damage


def _limited(frames: Iterable[AudioFrame], max_seconds: float) -> Iterator[AudioFrame]:
    seconds = 0.0
    for frame in frames:
        seconds += frame.samples / max(frame.sample_rate, 1)
        if seconds > max_seconds + _ROUNDING:
            message = f"The sound is longer than the {max_seconds:g} seconds that are allowed; send it in parts."
            raise TooLarge(message, param="file", code="audio_too_long")
        yield frame


def _collect(frames: Iterable[AudioFrame]) -> bytearray:
    """A bytearray grows in place, so hours of sound are never held twice."""
    data = bytearray()
    for _, alike in groupby(frames, key=_shape):  # a stream may change its rate or channels midway
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE, options=_MIXING)
        for frame in chain(alike, (None,)):
            for part in resampler.resample(frame):
                data += part.to_ndarray().tobytes()
    return data


def _shape(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _tidy(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """In place: lossy codecs overshoot full scale, and a float file may hold anything, NaN included."""
    samples[np.isnan(samples)] = 0.0
    return np.clip(samples, -1.0, 1.0, out=samples)


def _names(container: InputContainer, stream: AudioStream) -> str:
    return f"container {container.format.name}, codec {stream.codec_context.name}"


@contextmanager
def _translated(found: str) -> Generator[None]:
    try:
        yield
    except av.FFmpegError as exc:
        raise _unreadable(found) from exc


def _unreadable(found: str) -> UnreadableAudio:
    return UnreadableAudio(f"The file cannot be read as sound: {found}. Send {ACCEPTED}.", param="file")
