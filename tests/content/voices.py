"""The recording of five short sentences in five voices that the tests of speech detection listen to.

Made by espeak-ng and flite: silences between them, a little noise, and three clicks at the end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fluid_server.content import sound
from tests.decoded import decode

from .tones import Samples

FIXTURES = Path(__file__).parents[1] / "fixtures" / "audio"
SPOKEN = [  # from, to (seconds), what
    (1.200, 1.586, "One."),
    (3.186, 4.423, "Turn on the kitchen light."),
    (5.023, 5.953, "Stop the music."),
    (7.453, 8.182, "Bonjour le monde."),
    (9.482, 10.381, "What time is it?"),
]
CLICKS = 10.381  # from here on


def five_voices() -> Samples:
    """The recording: 12.38 s."""
    return decode(FIXTURES / "five-voices.flac", max_seconds=60).samples


def probabilities() -> Samples:
    """What onnxruntime 1.32 computes of it with silero_vad_16k_op15.onnx of silero-vad 6.2.3, one number a frame."""
    return np.asarray(np.load(FIXTURES / "five-voices.npy"), np.float32)


def spoken(index: int) -> Samples:
    """One of the sentences alone."""
    start, end, _ = SPOKEN[index]
    return five_voices()[round(start * sound.SAMPLE_RATE) : round(end * sound.SAMPLE_RATE)]


def quiet(seconds: float) -> Samples:
    """Silence."""
    return np.zeros(round(seconds * sound.SAMPLE_RATE), np.float32)
