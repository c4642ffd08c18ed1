"""From what was measured to figures: rates, latencies and their percentiles. Pure: no clock, no network."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

MILLI = 1000.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that came to its end. Times in seconds from its own sending on.

    ``chunks``: when each piece of text came, at least one. ``tokens``: as the server counts them; None: it does not.
    """

    chunks: Sequence[float]
    end: float
    tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int = 0

    @property
    def counted(self) -> int:
        """Tokens; chunks where nobody counts."""
        return len(self.chunks) if self.tokens is None else self.tokens

    @property
    def per_token(self) -> float | None:
        """Seconds for each token after the first, in the mean; None where all of them came at once."""
        if len(self.chunks) < 2 or self.counted < 2:
            return None
        return (self.chunks[-1] - self.chunks[0]) / (self.counted - 1)

    @property
    def gaps(self) -> Iterator[float]:
        """Seconds between what arrived and what arrived next; pieces that arrive together are one."""
        return (then - first for first, then in pairwise(self.chunks) if then > first)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one number of streams gave in one run. ``seconds``: from the first request to the end of the last.

    ``cut_chunks``: pieces of text of answers that did not come to their end because the time was over. ``client_cpu``
    and ``machine_cpu`` are shares: of one core, and of all.
    """

    streams: int
    run: int
    seconds: float
    answers: Sequence[Answer]
    failures: Mapping[str, int]
    cut: int = 0
    cut_chunks: int = 0
    client_cpu: float = 0.0
    machine_cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie. Percentiles between two values are interpolated."""

    count: int
    mean: float
    min: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one number of streams. Latencies in milliseconds; None where nothing of the kind was seen."""

    streams: int
    run: int
    seconds: float
    answers: int
    failed: Mapping[str, int]
    cut: int
    tokens_per_second: float
    requests_per_second: float
    stream_tokens_per_second: Spread | None
    ttft_ms: Spread | None
    tpot_ms: Spread | None
    gap_ms: Spread | None
    latency_ms: Spread | None
    answer_tokens: Spread | None
    prompt_tokens: Spread | None
    cached_share: float | None
    tokens_per_chunk: float | None
    client_cpu: float
    machine_cpu: float

    def as_json(self) -> dict[str, Any]:
        """For machines; numbers no longer than what they are worth."""
        told: dict[str, Any] = _rounded(asdict(self))
        return told


def _rounded(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _rounded(value) for name, value in told.items()}
    return round(told, 4) if isinstance(told, float) else told


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies; between two of them, on the line from one to the
    other."""
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(values: Iterable[float]) -> Spread | None:
    """How they lie; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p90, p99 = (percentile(ordered, share) for share in (0.5, 0.9, 0.99))
    return Spread(len(ordered), statistics.fmean(ordered), ordered[0], p50, p90, p99, ordered[-1])


def figures(seen: Measured) -> Figures:
    """What follows from one measurement."""
    answers = seen.answers
    tokens = sum(one.counted for one in answers)
    chunks = sum(len(one.chunks) for one in answers)
    each = tokens / chunks if chunks else 1.0
    seconds = max(seen.seconds, 1e-9)
    told = [one.prompt_tokens for one in answers if one.prompt_tokens is not None]
    cached = sum(one.cached_tokens for one in answers)
    return Figures(
        streams=seen.streams,
        run=seen.run,
        seconds=seen.seconds,
        answers=len(answers),
        failed=dict(seen.failures),
        cut=seen.cut,
        tokens_per_second=(tokens + seen.cut_chunks * each) / seconds,
        requests_per_second=len(answers) / seconds,
        stream_tokens_per_second=spread(one.counted / one.end for one in answers if one.end > 0),
        ttft_ms=spread(one.chunks[0] * MILLI for one in answers),
        tpot_ms=spread(one.per_token * MILLI for one in answers if one.per_token is not None),
        gap_ms=spread(gap * MILLI for one in answers for gap in one.gaps),
        latency_ms=spread(one.end * MILLI for one in answers),
        answer_tokens=spread(float(one.counted) for one in answers),
        prompt_tokens=spread(float(one) for one in told),
        cached_share=cached / sum(told) if sum(told) else None,
        tokens_per_chunk=each if chunks else None,
        client_cpu=seen.client_cpu,
        machine_cpu=seen.machine_cpu,
    )


@dataclass(frozen=True, slots=True)
class OverRuns:
    """One figure over all runs of a number of streams."""

    median: float
    min: float
    max: float


# What is told of several runs: the name, and where it is in the figures.
HEADLINES: Mapping[str, tuple[str, str]] = {
    "tokens_per_second": ("tokens_per_second", ""),
    "requests_per_second": ("requests_per_second", ""),
    "stream_tokens_per_second_p50": ("stream_tokens_per_second", "p50"),
    **{f"{name}_{part}": (name, part) for name in ("ttft_ms", "tpot_ms", "gap_ms", "latency_ms")
       for part in ("p50", "p90", "p99")},
    "client_cpu": ("client_cpu", ""),
}  # fmt: skip


def headline(one: Figures, name: str) -> float | None:
    """One of the figures by its name above."""
    field, part = HEADLINES[name]
    value = getattr(one, field)
    if value is None:
        return None
    return float(getattr(value, part) if part else value)


def over_runs(runs: Sequence[Figures]) -> dict[str, OverRuns]:
    """Median, minimum and maximum of each figure; those that no run has are left out."""
    told: dict[str, OverRuns] = {}
    for name in HEADLINES:
        values = [value for one in runs if (value := headline(one, name)) is not None]
        if values:
            told[name] = OverRuns(statistics.median(values), min(values), max(values))
    return told
