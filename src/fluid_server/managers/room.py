"""Making room for a model: asks ``eviction`` who must go, and sees to it that they go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

import psutil

from fluid_server.config import ServerConfig
from fluid_server.errors import OutOfMemory
from fluid_server.managers.estimate import estimate
from fluid_server.managers.eviction import Bounds, Resident, Verdict, decide
from fluid_server.managers.memory import claimed, gigabytes, idle_since, promised
from fluid_server.managers.slot import Slot, State


class Room:
    """The memory that all models share. ``evict`` unloads a slot for another one, unless it is in use by now."""

    def __init__(
        self,
        config: ServerConfig,
        slots: Callable[[], Iterable[Slot]],
        evict: Callable[[Slot, Slot], Awaitable[None]],
    ) -> None:
        self._config = config
        self._slots = slots
        self._evict = evict

    async def make(self, slot: Slot) -> int:
        """Unload what must go; returns the bytes that the KV cache may take. Errors: OutOfMemory with figures."""
        while True:
            await self._drained()
            verdict, others = self._judge(slot)
            if not verdict.evict:
                slot.promised_bytes = self._promise(slot, verdict.kv_budget)
                return verdict.kv_budget
            # One at a time: while it goes, another victim may be wanted again.
            await self._evict(next(one for one in others if one.spec.id == verdict.evict[0]), slot)
            await asyncio.sleep(0)  # whatever the reason should be that it stayed: others get their turn

    def _promise(self, slot: Slot, kv_budget: int) -> int:
        """What the model will take: its KV cache has room for ``parallel`` contexts, or for what it may take."""
        one = estimate(slot.spec, self._config.context_length)
        return one.base + one.weights + min(kv_budget, one.kv_cache * self._config.parallel)

    async def _drained(self) -> None:
        leaving = [one.handle.ended.wait() for one in self._slots() if one.state is State.DRAINING and one.handle]
        await asyncio.gather(*leaving)

    def _judge(self, slot: Slot) -> tuple[Verdict, list[Slot]]:
        others = [one for one in self._slots() if one is not slot and one.handle]
        bounds = Bounds(
            limit=self._config.max_memory,
            available=psutil.virtual_memory().available - promised(others),
            max_loaded=self._config.max_loaded,
        )
        residents = [Resident(one.spec.id, claimed(one), idle_since(one), one.load_seconds) for one in others]
        verdict = decide(slot.spec, residents, bounds, now=time.monotonic(), context_length=self._config.context_length)
        if not verdict.fits:
            raise OutOfMemory(self._does_not_fit(slot, verdict, others))
        return verdict, others

    def _does_not_fit(self, slot: Slot, verdict: Verdict, others: list[Slot]) -> str:
        says = (
            f"Model '{slot.spec.id}' needs about {gigabytes(verdict.needed)}, and {gigabytes(verdict.free)} may be used"
        )
        if not others:
            return f"{says}. Use a smaller model, free memory, or raise --max-memory."
        if len(others) >= self._config.max_loaded and verdict.needed <= verdict.free:
            return (
                f"{len(others)} models are in use or pinned, as many as may be loaded. "
                "Wait for one, unload one, or raise --max-loaded."
            )
        return (
            f"{says} beside the {len(others)} that are loaded and in use or pinned. "
            "Wait for them, unload one, use a smaller model, or raise --max-memory."
        )
