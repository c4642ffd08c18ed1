"""What is counted: of one request, and of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of one request; ``audio_seconds`` is the decoded length of a transcribed file.

    ``cached_tokens`` are those of the prompt that were not computed again; ``reasoning_tokens`` those of the
    completion that are reasoning. Of speech that was made, ``characters`` are the text's and ``spoken_seconds`` is its
    length.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    audio_seconds: float = 0.0
    reasoning_tokens: int = 0
    characters: int = 0
    spoken_seconds: float = 0.0


class Counters(NamedTuple):
    """What a worker has done so far, counted by the worker itself and told with each of its steps."""

    running: int = 0
    waiting: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
