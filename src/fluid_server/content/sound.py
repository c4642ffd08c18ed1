"""A sound file of nearly any kind becomes mono 16 kHz samples, which is what speech models take.

Decoding is FFmpeg's, through PyAV (https://pyav.basswood.io). Licences, read from the wheels of av 18.1.0:
PyAV is BSD-3-Clause; the FFmpeg 8.1 inside reports LGPL-3.0-or-later; beside it lie libx264, libx265 (video
encoders, GPL-2.0-or-later by their projects, unused here), on every platform. Who ships the wheel ships them.

Uploads are hostile until decoded: FFmpeg gets bytes without a name, only containers that hold their sound
themselves (no playlist, concat or sdp, which name other files or hosts), and no protocol to open more with.

Sound is decoded, mixed and resampled block by block, so that hours of it never lie in memory at once. The resampler
is swresample's, polyphase, with a filter longer than its own choice: from 48 and 44.1 kHz it keeps tones up to 7.4 kHz
as they are and takes 52 dB off those at 8.05 kHz, 94 dB from 8.2 kHz on (12, 15 and up to 26 dB at 8.5 kHz without
it), for 3 s of work an hour of sound instead of 1.5 s.

Damage: an undecodable packet before the first sound (junk in front) or at the very end (a cut-off file) is
passed over; one in between makes the file unreadable. Formats that find their way back by themselves (flac,
ogg, webm, often mp3) skip damage silently, as players do, and a cut-off wav is as long as what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, groupby, takewhile
from os import SEEK_END
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import BinaryIO, Self

import av
import av.logging
import numpy as np
import numpy.typing as npt
from av.audio import AudioFrame, AudioStream
from av.container import InputContainer

from fluid_server.content.signatures import LONGEST, MP4, lacks_index, looks_like
from fluid_server.errors import TooLarge, UnreadableAudio

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
ACCEPTED = "wav, mp3, flac, ogg, opus, m4a, aac, webm, amr, caf, or the sound of an mp4, 3gp, mkv, avi or mpeg"
LOWEST_RATE = 1_000  # below it lies no speech, and one sample would become many
HIGHEST_RATE = 768_000
MOST_CHANNELS = 64  # swresample's own limit

_ISOLATION = {
    "format_whitelist": "aac,aiff,amr,asf,au,avi,caf,flac,matroska,mov,mp3,mpeg,mpegts,ogg,w64,wav",
    "protocol_whitelist": "none",
}
_RESAMPLING = {
    "filter_size": "128",
    # A float mix may exceed full scale unless told otherwise: halve two channels rather than clip their sum.
    "rematrix_maxval": "1.0",
}
_NAMED_CHANNELS = 8  # with more, swresample rarely knows what stands where, and the mix is a plain mean
_GUESSING = {"mp3", "aac", "amr", "mpeg", "mpegts"}  # formats without a length, for which FFmpeg estimates one
_FEWEST_BITS = 200  # a second: silence takes more in every codec, so what claims less has a false length

_FRAMES_A_SECOND = 2_000  # each costs time, however short: real ones are of 2.5 ms and more
_GATHERED = 16_384  # samples
_BARREN = 10_000

_ROUNDING = 1e-3  # seconds, of a sum over many frames
_TAGS = (b"ID3", b"TAG", b"APE")  # stand between the parts of mp3 files that were joined

av.logging.set_level(None)  # FFmpeg would write to stderr; what matters arrives as an exception


class Blocks(Iterator[Samples]):
    """The samples of a file as they are decoded: mono, SAMPLE_RATE, float32 in [-1, 1], about a second each.

    ``seconds_claimed`` is the length that the file gives itself, None where it gives none or cannot be believed. It
    is a context manager: whoever does not read it to its end closes it. Reading raises what ``blocks`` says.
    """

    def __init__(self, source: Path | BinaryIO, max_seconds: float, stopped: Callable[[], bool]) -> None:
        with ExitStack() as opening:
            file = opening.enter_context(source.open("rb")) if isinstance(source, Path) else source
            container = opening.enter_context(_open(file))
            stream = _first_audio(container)
            self.seconds_claimed = _claimed(container, stream, _size(file))
            if (self.seconds_claimed or 0) > max_seconds + _ROUNDING and container.format.name not in _GUESSING:
                raise _too_long(max_seconds)
            self._decoded = _decoded(container, stream, max_seconds, stopped)
            self._opened = opening.pop_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Samples:
        with ExitStack() as ending:
            ending.callback(self.close)
            block = next(self._decoded)
            ending.pop_all()
            return block

    def close(self) -> None:
        """Let go of the file. A file that was given open stays open."""
        self._decoded.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def blocks(source: Path | BinaryIO, *, max_seconds: float, stopped: Callable[[], bool] = lambda: False) -> Blocks:
    """The first audio stream of a file, block by block.

    Raises UnreadableAudio, also where the sound is empty or turns out to be damaged later on, and TooLarge: at once
    where the file says that it is longer than ``max_seconds``, else as soon as it is. ``stopped`` is asked at every
    frame: once it says so, nothing more comes.
    """
    return Blocks(source, max_seconds, stopped)


def _open(file: BinaryIO) -> InputContainer:
    nameless = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)
    with _translated(_unknown_kind(file)):
        return av.open(nameless, mode="r", container_options=_ISOLATION, metadata_errors="replace")


def _unknown_kind(file: BinaryIO) -> str:
    """Why a file cannot be opened, if it cannot."""
    place = file.tell()
    start = file.read(LONGEST)
    seen = looks_like(start)
    cut_off = seen == MP4 and lacks_index(file)
    file.seek(place)
    if not start:
        return "it is empty, without a single byte"
    if cut_off:
        return f"it begins like {seen}, and breaks off before the end of its index, without which no sound is found"
    return (
        f"it begins like {seen}, and no sound is found in it" if seen else "it is of no kind that is known or accepted"
    )


def _first_audio(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise _unreadable(f"no audio stream (container {container.format.name})")
    stream = container.streams.audio[0]
    if getattr(stream, "codec_context", None) is None:
        raise _unreadable(f"an unknown codec (container {container.format.name})")
    return stream


def _size(file: BinaryIO) -> int:
    place = file.tell()
    size = file.seek(0, SEEK_END)
    file.seek(place)
    return size


def _claimed(container: InputContainer, stream: AudioStream, size: int) -> float | None:
    """The length in seconds that a file of ``size`` bytes gives itself, if it can be true."""
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    else:
        return None
    return seconds if 0 < seconds <= size * 8 / _FEWEST_BITS else None


def _decoded(
    container: InputContainer, stream: AudioStream, max_seconds: float, stopped: Callable[[], bool]
) -> Generator[Samples]:
    empty = True
    with _translated(f"it is damaged ({_names(container, stream)})"):
        frames = takewhile(lambda _: not stopped(), _frames(container, stream))
        for block in _in_blocks(_mono(_checked(frames, max_seconds))):
            empty = False
            yield block
    if empty and not stopped():
        raise _unreadable(f"it is empty ({_names(container, stream)})")


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    heard, damage, barren = False, None, 0
    for packet in container.demux(stream):
        if damage and heard and packet.size:
            raise damage
        barren += 1
        if barren > _BARREN:
            raise _unreadable(f"{_BARREN} packets in a row without sound")
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as exc:
            damage = None if bytes(packet)[:3] in _TAGS else exc
            continue
        if frames:
            barren = 0
        if frames and not heard:
            heard, damage = True, None
        yield from frames
    if damage and not heard:
        raise damage


def _checked(frames: Iterable[AudioFrame], max_seconds: float) -> Iterator[AudioFrame]:
    """The same frames, as long as they can be turned into samples and are not too many."""
    seconds, count = 0.0, 0
    for frame in frames:
        if not LOWEST_RATE <= frame.sample_rate <= HIGHEST_RATE:
            raise _unreadable(f"{frame.sample_rate} samples a second; {LOWEST_RATE} to {HIGHEST_RATE} are possible")
        if frame.layout.nb_channels > MOST_CHANNELS:
            raise _unreadable(f"{frame.layout.nb_channels} channels; {MOST_CHANNELS} are possible")
        seconds, count = seconds + frame.samples / frame.sample_rate, count + 1
        if count > _FRAMES_A_SECOND * (seconds + 1):
            raise _unreadable(f"packets of {seconds / count * 1e6:.0f} millionths of a second")
        if seconds > max_seconds + _ROUNDING:
            raise _too_long(max_seconds)
        yield frame


def _mono(frames: Iterable[AudioFrame]) -> Iterator[Samples]:
    """Mixed and resampled, as it comes out of the resampler."""
    for _, alike in groupby(frames, key=_shape):  # a stream may change its rate or channels midway
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE, options=_RESAMPLING)
        for frame in chain(_gathered(_few_channels(alike)), (None,)):
            for part in resampler.resample(frame):
                yield part.to_ndarray()[0]


def _gathered(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """The same samples in larger frames: a call of the resampler costs more than the 20 ms of a frame do."""
    fifo = av.AudioFifo()
    for frame in frames:
        frame.pts = None  # a file's own times are not followed: what it holds is one stretch of sound
        fifo.write(frame)
        if fifo.samples >= _GATHERED and (gathered := fifo.read()):
            yield gathered
    if rest := fifo.read():
        yield rest


def _few_channels(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Frames of one shape; mixed here where they have more channels than swresample knows how to."""
    packer: av.AudioResampler | None = None
    for frame in frames:
        channels = frame.layout.nb_channels
        if channels <= _NAMED_CHANNELS:
            yield frame
            continue
        # Packed, because PyAV reads beyond its arrays where more than eight channels lie in planes of their own.
        packer = packer or av.AudioResampler("flt", frame.layout, frame.sample_rate)
        for part in packer.resample(frame):
            mixed = part.to_ndarray().reshape(-1, channels).mean(axis=1)
            found = AudioFrame.from_ndarray(mixed[np.newaxis], format="flt", layout="mono")
            found.sample_rate = part.sample_rate
            yield found


def _in_blocks(parts: Iterable[Samples]) -> Iterator[Samples]:
    """Joined to about a second each."""
    waiting: list[Samples] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= SAMPLE_RATE:
            yield _tidy(np.concatenate(waiting))
            waiting = []
    if any(map(len, waiting)):
        yield _tidy(np.concatenate(waiting))


def _shape(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _tidy(samples: Samples) -> Samples:
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


def _too_long(max_seconds: float) -> TooLarge:
    message = (
        f"The sound is longer than the {max_seconds:g} seconds that are allowed. Send it in parts, or start the server "
        "with a larger --max-audio-seconds."
    )
    return TooLarge(message, param="file", code="audio_too_long")


def _unreadable(found: str) -> UnreadableAudio:
    return UnreadableAudio(f"The file cannot be read as sound: {found}. Send {ACCEPTED}.", param="file")
