"""What becomes of models, told to the log, the metrics and the event feed at once."""

from __future__ import annotations

import logging

from fluid_server.errors import FluidError
from fluid_server.managers.events import EventFeed
from fluid_server.managers.slot import Slot, State
from fluid_server.metrics import Metrics
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.protocol import Progress

logger = logging.getLogger(__name__)


class Herald:
    """Knows who wants to hear of what; decides nothing."""

    def __init__(self, feed: EventFeed, metrics: Metrics) -> None:
        self._feed = feed
        self._metrics = metrics

    def moved(self, slot: Slot, before: State) -> None:
        """A slot has another state."""
        self._feed.publish("model.state", model=slot.spec.id, state=str(slot.state), previous=str(before))

    def progressed(self, model: str, progress: Progress) -> None:
        """A load has come further."""
        self._feed.publish("model.progress", model=model, text=progress.text, fraction=progress.fraction)

    def loaded(self, slot: Slot) -> None:
        """A model is ready."""
        info, model = slot.info, slot.spec.id
        assert info is not None
        self._metrics.loads.labels(model, info.runtime, info.device).inc()
        self._metrics.load_seconds.labels(model).observe(slot.load_seconds)
        extra = {"model": model, "runtime": info.runtime, "device": info.device}
        logger.info("model ready in %.1f s", slot.load_seconds, extra=extra)
        for note in slot.notes:  # of what did not load
            logger.warning("%s", note, extra=extra)
        for note in info.notes:
            logger.info("%s", note, extra=extra)

    def not_loaded(self, slot: Slot, error: FluidError) -> None:
        """A load has failed."""
        logger.error("model did not load: %s", error.message, extra={"model": slot.spec.id})
        self._failed(slot, error)

    def died(self, slot: Slot, handle: WorkerHandle, error: FluidError) -> None:
        """A worker has ended that nobody had told to."""
        extra = {"model": slot.spec.id, "pid": handle.pid, "exit_code": handle.exit_code}
        logger.error("worker died", extra=extra)
        self._failed(slot, error)

    def unloaded(self, slot: Slot, why: str) -> None:
        """A model has left memory."""
        self._metrics.unloads.labels(slot.spec.id, why).inc()
        logger.info("model unloaded (%s)", why, extra={"model": slot.spec.id})

    def evicted(self, slot: Slot, other: Slot) -> None:
        """It did so for another."""
        self._metrics.evictions.labels(slot.spec.id).inc()
        self._feed.publish("model.evicted", model=slot.spec.id, **{"for": other.spec.id})

    def deleted(self, model: str) -> None:
        """A model has left the disk."""
        logger.info("model deleted", extra={"model": model})
        self._feed.publish("models.changed", removed=[model])

    def _failed(self, slot: Slot, error: FluidError) -> None:
        code = error.code or "server_error"
        self._metrics.failures.labels(slot.spec.id, code).inc()
        retry = round(slot.resting, 1) or None
        self._feed.publish("model.failed", model=slot.spec.id, code=code, message=error.message, retry_in_seconds=retry)
