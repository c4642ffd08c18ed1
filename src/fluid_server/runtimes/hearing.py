"""HearingRuntime: the one pipeline of all speech-to-text runtimes. A runtime only turns 30 s of samples into text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fluid_server.runtimes.base import BaseRuntime, ReportProgress
from fluid_server.runtimes.hearing_plan import Ask, Hears, Recognised, Say
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions


class HearingRuntime(BaseRuntime):
    """Decodes files, cuts them at silence, has their windows recognised and puts the answers together.

    A subclass gives ``open`` and ``recognise``, and sets ``hears`` in ``open`` (and ``lanes``, where the engine
    gains from several windows at once).
    """

    hears: Hears = Hears()
    lanes: int = 1  # threads that call ``recognise``
    engine: ClassVar[str] = "The engine"  # in words, for failures

    @abstractmethod
    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Bring the model into memory. ``parallel`` of the answer is how many files may be here at once."""

    @abstractmethod
    def recognise(
        self, samples: npt.NDArray[np.float32], ask: Ask, say: Say, stopped: Callable[[], bool]
    ) -> Recognised:
        """What is said in one window: mono samples at 16 kHz, shape [n], 25 ms to 30 s, in [-1, 1].

        Called from ``lanes`` threads, each with one window at a time. ``say`` takes text while it is recognised; it
        may be called for some of the text or never. ``stopped`` is to be asked at every token: once it says so,
        return what there is, which may be nothing. Errors: FluidError; RuntimeError, ValueError, TypeError, OSError
        and MemoryError are taken for the engine's failure at this file. After anything else the worker ends.
        """
