"""A sound file, decoded whole: what tests compare. The server itself takes it block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fluid_server.content.sound import SAMPLE_RATE, Samples, blocks


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Mono samples at SAMPLE_RATE, float32 in [-1, 1], ``seconds`` long."""

    samples: Samples
    seconds: float


def decode(source: Path | BinaryIO, *, max_seconds: float, stopped: Callable[[], bool] = lambda: False) -> Sound:
    """All blocks. Errors: those of ``blocks``."""
    with blocks(source, max_seconds=max_seconds, stopped=stopped) as found:
        samples = np.concatenate([np.empty(0, np.float32), *found])
    return Sound(samples, len(samples) / SAMPLE_RATE)
