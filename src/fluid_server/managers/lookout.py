"""Which runtimes import here, and their devices: looked at in the background, once, and again where nothing was."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fluid_server.workers.probe import Report, broken, probe

logger = logging.getLogger(__name__)
Look = Callable[[], Coroutine[Any, Any, Report]]


class Lookout:
    """Looks around by ``look``, for all who want to know."""

    def __init__(self, look: Look = probe) -> None:
        self._look = look
        self._probe: asyncio.Task[Report] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._probe = self._begun()

    async def close(self) -> None:
        """Stop looking."""
        if self._probe:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    async def report(self) -> Report:
        """Which runtimes import here, and their devices; waits for the check that began at the start."""
        if self._probe is None or (
            self._probe.done() and not any(one.available for one in self._probe.result().values())
        ):
            self._probe = self._begun()
        return await asyncio.shield(self._probe)

    def _begun(self) -> asyncio.Task[Report]:
        return asyncio.create_task(self._look_around(), name="probe")

    async def _look_around(self) -> Report:
        report = await self._look()
        for reason in broken(report):
            logger.warning("an engine cannot be used: %s", reason)
        return report

    def report_now(self) -> Report | None:
        """The same without waiting: None while the check runs."""
        done = self._probe is not None and self._probe.done() and not self._probe.cancelled()
        return self._probe.result() if done and self._probe else None
