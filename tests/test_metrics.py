"""A histogram of our own says what Prometheus' would."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from fluid_server.metrics import GAPS, Gaps

SECONDS = (0.0, 0.0004, 0.001, 0.00100001, 0.02, 2.5, 2.6, 100.0)


def test_gaps_are_written_as_prometheus_own_histogram_writes_them() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    gaps = Gaps("gap_seconds", "Between two tokens")
    ours.register(gaps)
    histogram = Histogram("gap_seconds", "Between two tokens", ["model"], buckets=GAPS, registry=theirs)
    for model in ("a", "b"):
        gaps.labels(model)
        histogram.labels(model)
    for count, seconds in enumerate(SECONDS, start=1):
        gaps.labels("a").observe(seconds, count)
        for _ in range(count):
            histogram.labels("a").observe(seconds)
    assert _samples(ours) == _samples(theirs)


def _samples(registry: CollectorRegistry) -> dict[str, float]:
    lines = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}
    return {name: round(value, 6) for name, value in values.items()} | dict.fromkeys(lines[:2], 0.0)
