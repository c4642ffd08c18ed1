"""Speech for tests: sentences that espeak-ng spoke once (tests/fixtures/audio), silence, and samples as wav."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.decoded import decode

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "audio"
RATE = 16_000
# file → what was said, half a second of silence before and after
AUDIO = {
    "bonjour.wav": "Bonjour le monde.",
    "capital-of-france.wav": "What is the capital of France?",
    "hello.wav": "Hello world.",
    "kitchen-light.wav": "Turn on the kitchen light.",
    "timer.wav": "Set a timer for ten minutes.",
}


def spoken(name: str) -> Path:
    """The file of a sentence."""
    return FOLDER / name


def wav(samples: npt.NDArray[np.float32]) -> bytes:
    """Mono float samples at 16 kHz as a 16-bit wav file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def silence(seconds: float) -> bytes:
    """A wav file without a sound."""
    return wav(np.zeros(round(seconds * RATE), np.float32))


def talk(*parts: str | float) -> npt.NDArray[np.float32]:
    """A recording: sentences by the names of their files, and seconds of silence."""
    pieces = [
        decode(spoken(part), max_seconds=60).samples if isinstance(part, str) else np.zeros(round(part * RATE), "f4")
        for part in parts
    ]
    return np.concatenate(pieces)
