"""Where the sound of a recording comes from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluid_server.content.sound import SAMPLE_RATE, decode

Samples = npt.NDArray[np.float32]


class Source(Protocol):
    """Mono samples at SAMPLE_RATE, about a second at a time."""

    @property
    def ready(self) -> bool:
        """Whether ``pull`` would give something now; quick, asked from any thread."""

    @property
    def total(self) -> float | None:
        """The recording's length in seconds, where it is known."""

    def pull(self) -> Samples | None:
        """The next samples, None after the last. Errors: UnreadableAudio, TooLarge, OSError."""

    def close(self) -> None:
        """Let go of whatever it reads; called by the thread that pulls, once."""


class FileSource:
    """A file, or its bytes; opened at the first pull."""

    def __init__(self, audio: Path | bytes, *, max_seconds: float) -> None:
        self._audio = audio
        self._max_seconds = max_seconds
        self._blocks: Iterator[Samples] | None = None
        self.ready = True
        self.total: float | None = None

    def pull(self) -> Samples | None:
        """The next second."""
        if self._blocks is None:
            self._blocks = self._open()
        return next(self._blocks, None)

    def close(self) -> None:
        """Close the file."""
        self._blocks = None

    def _open(self) -> Iterator[Samples]:
        source = io.BytesIO(self._audio) if isinstance(self._audio, bytes) else self._audio
        samples = decode(source, max_seconds=self._max_seconds).samples
        self.total = len(samples) / SAMPLE_RATE
        return (samples[i : i + SAMPLE_RATE] for i in range(0, len(samples), SAMPLE_RATE))
