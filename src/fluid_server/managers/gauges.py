"""What is so at the moment that Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from fluid_server.managers.memory import memory_of
from fluid_server.managers.slot import Slot, State
from fluid_server.types import Download, DownloadState

OVER = (DownloadState.COMPLETED, DownloadState.CANCELLED)  # counted once and for all; a failed one can be resumed


def gauges(slots: Iterable[Slot], downloads: Sequence[Download]) -> Iterator[Metric]:
    """State, memory and queue of each model that was asked for, and the downloads by state."""
    known = list(slots)
    yield _family("model_state", "1 for the state that a model is in, 0 for the others", ("model", "state"), [
        ((slot.spec.id, str(state)), float(slot.state is state)) for slot in known for state in State
    ])  # fmt: skip
    yield _of_models("model_memory_bytes", "Resident memory of a model's worker, 0 without one", known, memory_of)
    yield _of_models("model_pinned", "1 for a model that is pinned", known, lambda slot: slot.pinned)
    yield _of_models("model_places", "Answers that a model generates at once, 0 until it is loaded", known, _places)
    yield _of_models("requests_running", "Requests that have their turn", known, lambda slot: slot.turnstile.inside)
    yield _of_models("requests_waiting", "Requests in line for their turn", known, lambda slot: slot.turnstile.waiting)
    yield _of_models("requests_loading", "Requests that wait for their model to be loaded", known, _loading)
    yield _family("download_jobs", "Downloads that are not over, by state", ("state",), [
        ((str(state),), float(sum(one.state is state for one in downloads)))
        for state in DownloadState if state not in OVER
    ])  # fmt: skip


def _loading(slot: Slot) -> int:
    return max(0, slot.leases - slot.turnstile.inside - slot.turnstile.waiting)


def _places(slot: Slot) -> int:
    return slot.capacity if slot.state is State.READY else 0


def _of_models(name: str, text: str, slots: Iterable[Slot], value: Callable[[Slot], float]) -> Metric:
    return _family(name, text, ("model",), [((slot.spec.id,), value(slot)) for slot in slots])


def _family(name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"fluid_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
