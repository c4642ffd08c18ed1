"""Sound files made on the spot: sines, written by the wave module or by PyAV's encoders."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping

import av
import numpy as np
import numpy.typing as npt
from av.audio import AudioStream
from av.container import OutputContainer
from av.video import VideoStream

Samples = npt.NDArray[np.float32]


def sine(frequency: float, rate: int, seconds: float, level: float = 0.5) -> Samples:
    """A sine of that peak level."""
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def wav(samples: Samples, rate: int, *, channels: int = 1, width: int = 2) -> bytes:
    """The same samples in every channel, as integers of ``width`` bytes."""
    full = np.round(samples.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype("<i8")
    integers = full + 128 if width == 1 else full  # 8 bit wav is unsigned
    low_bytes = integers.view(np.uint8).reshape(-1, 8)[:, :width]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(np.repeat(low_bytes, channels, axis=0).tobytes())
    return file.getvalue()


def encoded(
    container: str,
    codec: str,
    samples: Samples,
    rate: int,
    *,
    channels: int = 1,
    picture: bool = False,
    streamed: bool = False,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """A file of that kind, the same samples in every channel; with ``picture`` a video stream comes before the sound.

    ``streamed``: as a recorder writes it that cannot go back to fill in lengths. ``options`` are the container's.
    """
    file = _OnlyForward() if streamed else io.BytesIO()
    layout = "mono" if channels == 1 else "stereo" if channels == 2 else f"{channels}c"
    with av.open(file, "w", format=container, options=dict(options or {})) as output:
        video = _add_video(output) if picture else None
        audio = output.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        assert isinstance(audio, AudioStream)
        frame = av.AudioFrame.from_ndarray(np.tile(samples, (channels, 1)), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        if video:
            _draw(output, video)
        output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    return file.getvalue()


class _OnlyForward(io.BytesIO):
    def seekable(self) -> bool:
        return False


def silent_picture() -> bytes:
    """A video without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        _draw(output, _add_video(output))
    return file.getvalue()


def _add_video(output: OutputContainer) -> VideoStream:
    video = output.add_stream("mpeg4", rate=10)
    assert isinstance(video, VideoStream)
    video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
    return video


def _draw(output: OutputContainer, video: VideoStream) -> None:
    frame = av.VideoFrame(32, 32, "yuv420p")
    frame.pts = 0
    output.mux(video.encode(frame))
    output.mux(video.encode(None))
