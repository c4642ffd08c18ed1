"""Making room for a model: asks ``eviction`` who must go, and sees to it that they go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import psutil

from fluid_server.config import ServerConfig
from fluid_server.errors import OutOfMemory
from fluid_server.managers.estimate import estimate
from fluid_server.managers.eviction import Bounds, Resident, Verdict, decide
from fluid_server.managers.memory import amount, claimed, idle_since, promised
from fluid_server.managers.slot import Slot, State
from fluid_server.managers.visitor import Visitor

PATIENCE = 2.0  # seconds that a model waits for room before the requests of others that take it give way
LOOK_AGAIN = 3.0
WITH_SHELF = 1.25  # of a KV cache: llama.cpp's ended conversations may take a quarter of it beside it
STUCK = 5.0  # seconds in which a worker that was told to go must have gone


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
        self._waiting: dict[Slot, float] = {}  # who waits for room, and since when
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Somebody has become idle or has gone: those who wait may look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def make(self, slot: Slot) -> int:
        """Unload what must go; returns the bytes that the KV cache may take.

        Where there would be room if others were not in use, it is waited for. Errors: OutOfMemory with figures, for
        what can never fit, and for what has waited as long as a load may take.
        """
        try:
            async with asyncio.timeout(self._config.load_timeout):
                return await self._made(slot)
        except TimeoutError:
            verdict, others = self._judge(slot)
            raise OutOfMemory(self._does_not_fit(slot, verdict, others)) from None
        finally:
            slot.crowded = False
            if self._waiting.pop(slot, None) is not None:
                self.changed()

    async def _made(self, slot: Slot) -> int:
        while True:
            await self._drained()
            verdict, others = self._judge(slot)
            if verdict.evict:
                # One at a time: while it goes, another victim may be wanted again.
                await self._evict(next(one for one in others if one.spec.id == verdict.evict[0]), slot)
                await asyncio.sleep(0)  # whatever the reason should be that it stayed: others get their turn
            elif verdict.fits:
                slot.promised_bytes = self._promise(slot, verdict.kv_budget)
                return verdict.kv_budget
            elif not self._decide(slot, others, all_may_go=True).fits:
                raise OutOfMemory(self._does_not_fit(slot, verdict, others))
            else:
                self._waiting.setdefault(slot, time.monotonic())
                slot.crowded = True
                with suppress(TimeoutError):  # other programs free memory without telling
                    async with asyncio.timeout(LOOK_AGAIN):
                        await self._changed.wait()

    async def give_way(self, slot: Slot, visitor: Visitor) -> None:
        """Wait where another model has waited long for the room that this one takes: so neither starves the other."""
        while (first := self._first()) is not None and first is not slot and slot.usable and not slot.pinned:
            visitor.activity = lambda one=first: f"waiting: {one.spec.id} has its turn first"  # type: ignore[misc]
            await self._changed.wait()

    def _first(self) -> Slot | None:
        """Who has waited for room the longest, if that is long."""
        long_ago = time.monotonic() - PATIENCE
        return next((slot for slot, since in self._waiting.items() if since <= long_ago), None)

    def _promise(self, slot: Slot, kv_budget: int) -> int:
        """What the model will take: its KV cache has room for ``parallel`` contexts, or for what it may take."""
        parallel = self._config.parallel
        one = estimate(slot.spec, self._config.context_length, parallel=parallel)
        return one.base + one.weights + one.states + min(kv_budget, round(one.kv_cache * parallel * WITH_SHELF))

    async def _drained(self) -> None:
        """Wait for those that are leaving; one that never does is counted as one that stays."""
        leaving = [
            asyncio.ensure_future(one.handle.ended.wait())
            for one in self._slots()
            if one.state is State.DRAINING and one.handle
        ]
        if leaving:
            _, staying = await asyncio.wait(leaving, timeout=STUCK)
            for one in staying:
                one.cancel()

    def _judge(self, slot: Slot) -> tuple[Verdict, list[Slot]]:
        others = [one for one in self._slots() if one is not slot and one.handle]
        return self._decide(slot, others), others

    def _decide(self, slot: Slot, others: list[Slot], *, all_may_go: bool = False) -> Verdict:
        """What is to be done now; or, with ``all_may_go``, once those that are not pinned have become idle."""
        bounds = Bounds(
            limit=self._config.max_memory,
            available=psutil.virtual_memory().available - promised(others),
            max_loaded=self._config.max_loaded,
        )
        now = time.monotonic()
        residents = [
            Resident(
                one.spec.id,
                claimed(one),
                now if all_may_go and not one.pinned else idle_since(one),
                one.load_seconds,
            )
            for one in others
        ]
        context_length, parallel = self._config.context_length, self._config.parallel
        return decide(slot.spec, residents, bounds, now=now, context_length=context_length, parallel=parallel)

    def _does_not_fit(self, slot: Slot, verdict: Verdict, others: list[Slot]) -> str:
        staying = sum(idle_since(one) is None for one in others)
        held = "one that is" if staying == 1 else f"{staying} that are"
        if staying >= self._config.max_loaded and verdict.needed <= verdict.free:
            return (
                f"No more than {self._config.max_loaded} models may be loaded, and all of them are in use or pinned. "
                "Wait for one, unload one, or raise --max-loaded."
            )
        says = f"Model '{slot.spec.id}' needs about {amount(verdict.needed)}, and {amount(verdict.free)} may be used"
        if not staying:
            return f"{says}. Use a smaller model, free memory, or raise --max-memory."
        return (
            f"{says} beside the {held} in use or pinned. Wait, unload one, use a smaller model, or raise --max-memory."
        )
