"""What is counted, in Prometheus' form. Each server has a registry of its own.

Names follow Prometheus' rules: base units (seconds, bytes), ``_total`` for what only grows. A model's label is its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0
WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
GAPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """All that is counted as it happens; what is looked at only when asked comes from ``watch``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"fluid_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"fluid_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.requests = counter("requests", "Requests that have ended, by outcome: ok, cancelled or an error code",
                                "model", "ability", "outcome")  # fmt: skip
        self.request_seconds = histogram("request_seconds", "From the request to the end of its answer", LONG,
                                         "model", "ability")  # fmt: skip
        self.queue_seconds = histogram("queue_wait_seconds", "From the request to its place in the engine (a load "
                                       "included)", WAITS, "model")  # fmt: skip
        self.first_token_seconds = histogram("time_to_first_token_seconds", "From the request to its first text",
                                             WAITS, "model")  # fmt: skip
        self.inter_token_seconds = histogram("inter_token_latency_seconds", "Between one piece of text and the next",
                                             GAPS, "model")  # fmt: skip
        self.prompt_tokens = counter("prompt_tokens", "Tokens of prompts", "model")
        self.cached_tokens = counter("cached_prompt_tokens", "Tokens of prompts that the prefix cache saved", "model")
        self.completion_tokens = counter("completion_tokens", "Tokens that were generated", "model")
        self.audio_seconds = counter("audio_seconds", "Seconds of sound that were transcribed", "model")
        self.loads = counter("model_loads", "Models that were loaded", "model", "runtime", "device")
        self.load_seconds = histogram("model_load_seconds", "Loading a model and warming it", LONG, "model")
        self.unloads = counter("model_unloads", "Models that were unloaded, by reason: idle, asked, evicted, expired",
                               "model", "reason")  # fmt: skip
        self.evictions = counter("model_evictions", "Models that made room for another", "model")
        self.failures = counter("model_failures", "Loads that failed and workers that died, by error code",
                                "model", "reason")  # fmt: skip
        self.download_bytes = counter("download_bytes", "Bytes that came from the Hub")
        self.downloads = counter("downloads", "Downloads that have ended, by outcome", "outcome")

    def watch(self, look: Callable[[], Iterable[Metric]]) -> None:
        """Ask ``look`` for gauges at every scrape."""
        self.registry.register(_Watcher(look))

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self.registry)


class _Watcher(Collector):
    def __init__(self, look: Callable[[], Iterable[Metric]]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not look."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What is so now."""
        return self._look()
