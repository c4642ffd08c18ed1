"""Models that speak noise, and looking into sound files."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

FIXTURES = Path(__file__).parent / "fixtures" / "models"
KOKORO = "kokoro"
SPEECHT5 = "speecht5"
VOICES = ("af_heart", "af_nova", "am_echo", "am_puck", "bf_emma", "ff_siwis", "jf_alpha")
GUESTS = ("guest", "torn")  # the second is cut short
SHAPE = (510, 1, 256)
RATE = 24_000


def speech_models(folder: Path) -> Path:
    """A models folder with both, Kokoro with VOICES and SpeechT5 with GUESTS beside its own."""
    for name, voices, size in ((KOKORO, VOICES, SHAPE), (SPEECHT5, GUESTS, (512,))):
        shutil.copytree(FIXTURES / name, folder / name)
        (folder / name / "voices").mkdir()
        for seed, voice in enumerate(voices):
            values = np.random.default_rng(seed).standard_normal(size) * 0.3
            values.astype(np.float32).tofile(folder / name / "voices" / f"{voice}.bin")
    (folder / SPEECHT5 / "voices" / "torn.bin").write_bytes(b"1234")
    return folder


def heard(data: bytes) -> tuple[npt.NDArray[np.float32], int, int]:
    """The samples of a sound file, shape [n], their rate and the number of channels."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        assert isinstance(stream, AudioStream)
        resampler = av.AudioResampler("flt", "mono", stream.rate)
        frames = [part for frame in (*container.decode(audio=0), None) for part in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]), stream.rate, stream.channels


def pcm(data: bytes) -> npt.NDArray[np.float32]:
    """The samples of OpenAI's pcm."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32767)
