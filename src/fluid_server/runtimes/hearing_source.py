"""Where the sound of a recording comes from."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluid_server.content.sound import Blocks, blocks

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

    def stop(self) -> None:
        """Nobody listens any more: ``pull`` is to come to its end, now if it can. Called from any thread."""

    def close(self) -> None:
        """Let go of whatever it reads; called by the thread that pulls, once."""


class FileSource:
    """A file, or its bytes; opened at the first pull."""

    def __init__(self, audio: Path | bytes, *, max_seconds: float) -> None:
        self._audio = audio
        self._max_seconds = max_seconds
        self._stopped = threading.Event()
        self._blocks: Blocks | None = None
        self.ready = True

    @property
    def total(self) -> float | None:
        """What the file says of itself."""
        return self._blocks.seconds_claimed if self._blocks else None

    def pull(self) -> Samples | None:
        """The next second. Errors: UnreadableAudio, TooLarge, OSError."""
        if self._blocks is None:
            source = io.BytesIO(self._audio) if isinstance(self._audio, bytes) else self._audio
            self._blocks = blocks(source, max_seconds=self._max_seconds, stopped=self._stopped.is_set)
        return next(self._blocks, None)

    def stop(self) -> None:
        """Decode no further frame."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file."""
        if self._blocks is not None:
            self._blocks.close()
