"""What is counted, in Prometheus' form. Each server has a registry of its own.

Names follow Prometheus' rules: base units (seconds, bytes), ``_total`` for what only grows. A client cannot make up a
label's value: models are named by the catalog's id, routes by their template, failures by their code.
"""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, PlatformCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from fluid_server import __version__

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4  # what every scraper reads; the later one only adds names in other scripts
WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
GAPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)
LONG = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
WHY_UNLOADED = ("idle", "asked", "evicted", "deleted")
WHY_FAILED = ("model_load_failed", "insufficient_memory", "worker_died")
HOW_DOWNLOADED = ("completed", "failed", "cancelled")


class Metrics:
    """All that is counted as it happens; what is looked at only when asked comes from ``watch``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._looks: list[Callable[[], Iterable[Metric]]] = []
        self.registry.register(_Process())
        PlatformCollector(registry=self.registry)
        Info("fluid_build", "Version of the server", registry=self.registry).info({"version": __version__})

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"fluid_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"fluid_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.http_requests = counter("http_requests", "HTTP requests that have ended: status 499 where the client left "
                                     "first, route 'none' where no endpoint was reached (no such path, no key, a "
                                     "file of a page)",
                                     "method", "route", "status")  # fmt: skip
        self.requests = counter("requests", "Requests to a model that have ended: outcome ok, cancelled or an error "
                                "code", "model", "ability", "outcome")  # fmt: skip
        self.request_seconds = histogram("request_duration_seconds", "From the request to the end of its answer, "
                                         "whatever its outcome", LONG, "model", "ability")  # fmt: skip
        self.queue_seconds = histogram("queue_wait_seconds", "Of requests that got their turn: how long they waited in "
                                       "line for it, the model's loading left out", WAITS, "model")  # fmt: skip
        self.first_token_seconds = histogram("time_to_first_token_seconds", "From the request to its first text, "
                                             "loading and waiting included", WAITS, "model")  # fmt: skip
        self.inter_token_seconds = Gaps("fluid_inter_token_latency_seconds", "Between a token's text and the next "
                                        "one's of the same answer")  # fmt: skip
        self.registry.register(self.inter_token_seconds)
        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens of complete answers", "model")
        self.cached_tokens = counter("cached_prompt_tokens", "Prompt tokens of complete answers that a cache saved the "
                                     "work of", "model")  # fmt: skip
        self.completion_tokens = counter("completion_tokens", "Generated tokens of complete answers", "model")
        self.audio_seconds = counter("audio_seconds", "Seconds of sound that were transcribed", "model")
        self.spoken_seconds = counter("spoken_seconds", "Seconds of speech that were made", "model")
        self.loads = counter("model_loads", "Models that were loaded", "model", "runtime", "device")
        self.load_seconds = histogram("model_load_seconds", "Loading and warming, of models that were loaded", LONG,
                                      "model")  # fmt: skip
        self.unloads = counter("model_unloads", f"Models that were unloaded: reason {_either(WHY_UNLOADED)}",
                               "model", "reason")  # fmt: skip
        self.evictions = counter("model_evictions", "Models that made room for another", "model")
        self.failures = counter("model_failures", "Loads that failed and workers that died, by error code",
                                "model", "reason")  # fmt: skip
        self.download_bytes = counter("download_bytes", "Bytes that came from the Hub")
        self.downloads = counter("downloads", f"Downloads that have ended: outcome {_either(HOW_DOWNLOADED)}",
                                 "outcome")  # fmt: skip
        for outcome in HOW_DOWNLOADED:
            self.downloads.labels(outcome)

    def know(self, model: str, abilities: Iterable[str]) -> None:
        """Begin a model's series at 0: Prometheus sees no growth in one whose first value is 1 already."""
        for metric in (
            self.queue_seconds, self.first_token_seconds, self.inter_token_seconds, self.prompt_tokens,
            self.cached_tokens, self.completion_tokens, self.audio_seconds, self.spoken_seconds, self.load_seconds,
            self.evictions,
        ):  # fmt: skip
            metric.labels(model)
        for reason in WHY_UNLOADED:
            self.unloads.labels(model, reason)
        for reason in WHY_FAILED:
            self.failures.labels(model, reason)
        for ability in abilities:
            self.requests.labels(model, ability, "ok")
            self.request_seconds.labels(model, ability)

    def watch(self, look: Callable[[], Iterable[Metric]]) -> None:
        """Ask ``look`` for gauges at every scrape, on the event loop."""
        self._looks.append(look)

    async def text(self) -> bytes:
        """All of it as Prometheus reads it. Written in a thread: with many models it takes tens of milliseconds."""
        gauges = [metric for look in self._looks for metric in look()]
        return await asyncio.to_thread(generate_latest, _Page(self.registry, gauges))


def _either(words: Iterable[str]) -> str:
    return " or ".join(", ".join(words).rsplit(", ", 1))


class Gaps(Collector):
    """A histogram by model for what is counted with every token: Prometheus' own takes 3 µs for each.

    Told of on the event loop, many equal ones at once; read by the thread that writes the page.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._models: dict[str, GapsOfModel] = {}

    def labels(self, model: str) -> GapsOfModel:
        """A model's own, which begins at 0."""
        return self._models.setdefault(model, GapsOfModel())

    def collect(self) -> Iterator[Metric]:
        """All of them, as one histogram."""
        family = HistogramMetricFamily(self._name, self._text, labels=["model"])
        for model, gaps in list(self._models.items()):
            family.add_metric([model], gaps.buckets(), gaps.seconds)
        yield family


class GapsOfModel:
    """How many gaps were how long, and all of them together in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._counts = [0] * (len(GAPS) + 1)

    def observe(self, seconds: float, count: int) -> None:
        """So many of this length."""
        self.seconds += seconds * count
        self._counts[bisect_left(GAPS, seconds)] += count

    def buckets(self) -> list[tuple[str, float]]:
        """How many were at most as long, by bound as Prometheus writes it."""
        bounds = [*map(floatToGoString, GAPS), "+Inf"]
        return list(zip(bounds, accumulate(map(float, self._counts)), strict=True))


class _Page(Collector):
    """What one scrape tells. Without ``_created``: a second series for each, with a time that nobody asks for."""

    def __init__(self, registry: CollectorRegistry, gauges: Iterable[Metric]) -> None:
        self._registry = registry
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """All that is counted, then the gauges."""
        for metric in chain(self._registry.collect(), self._gauges):
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _Process(Collector):
    """The server's own process under the names that Prometheus' client has for it on Linux, on every system."""

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not look."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What the process has used and holds now, its workers not included."""
        process = psutil.Process()
        times, memory = process.cpu_times(), process.memory_info()
        yield CounterMetricFamily("process_cpu_seconds", "CPU time of the server", times.user + times.system)
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory of the server", memory.rss)
        yield GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory of the server", memory.vms)
        yield GaugeMetricFamily("process_start_time_seconds", "When the server started, in epoch seconds",
                                process.create_time())  # fmt: skip
        yield GaugeMetricFamily("process_open_fds", "Files and sockets (Windows: handles) that the server has open",
                                _open_files(process))  # fmt: skip
        if sys.platform == "linux":
            yield GaugeMetricFamily("process_max_fds", "Files and sockets that the server may have open",
                                    process.rlimit(psutil.RLIMIT_NOFILE)[0])  # fmt: skip


def _open_files(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()
