"""Which texts are embedded together: pure, and the same for every engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CPU_TOKENS, CPU_ROWS = 512, 32  # of a batch: a CPU gains little by more, and who leaves waits for its end
GPU_TOKENS, GPU_ROWS = 4096, 128


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a batch: tokens with what shorter texts are padded by, and texts. A single text may always be one."""

    tokens: int
    rows: int


def limits_for(device: str) -> Limits:
    """What a device computes at once."""
    return Limits(CPU_TOKENS, CPU_ROWS) if device == "CPU" else Limits(GPU_TOKENS, GPU_ROWS)


def together(lengths: Sequence[Sequence[int]], limits: Limits) -> list[int]:
    """How many texts of each request go into the next batch, from its front on.

    ``lengths`` are the tokens of each request's texts, the longest first, and the requests in the order of their
    turns. The first one's next text is always taken. Others go with it that are not longer, since all are padded to
    it, and not shorter than half of it, since what is padded is computed for nothing.
    """
    longest = lengths[0][0]
    most = max(1, min(limits.rows, limits.tokens // longest))
    counts: list[int] = []
    for own in lengths:
        room = most - sum(counts)
        fitting = next((place for place, one in enumerate(own[:room]) if not longest <= 2 * one <= 2 * longest), None)
        counts.append(min(len(own), room) if fitting is None else fitting)
    return counts
