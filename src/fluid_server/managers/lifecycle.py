"""How a slot comes into memory and how it leaves: its load, its idle time, the end of its worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from fluid_server.config import ServerConfig
from fluid_server.errors import FluidError, ModelFailed, OutOfMemory, ShuttingDown, WorkerDied
from fluid_server.managers.herald import Herald
from fluid_server.managers.library import Library
from fluid_server.managers.loader import Loader, MakeHandle
from fluid_server.managers.room import Room
from fluid_server.managers.slot import DEATHS_IN_A_ROW, Slot, State
from fluid_server.managers.visitor import FOR_EVER, Visitor
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report

STOP_TIMEOUT = 1.0
UNKILLABLE = 10.0  # seconds after which a process that was killed, and is still there, is not waited for any more
SHUTTING_DOWN = "The server is shutting down."


class Lifecycle:
    """Loads and unloads the manager's slots; it knows no names and grants no leases.

    ``slots`` are all of them; ``reports`` says what runs here; ``in_background`` runs what nobody waits for.
    """

    def __init__(
        self,
        config: ServerConfig,
        slots: Callable[[], Iterable[Slot]],
        library: Library,
        herald: Herald,
        *,
        reports: Callable[[], Awaitable[Report]],
        make_handle: MakeHandle,
        in_background: Callable[[Coroutine[Any, Any, Any], str], None],
    ) -> None:
        self._slots = slots
        self._library = library
        self._herald = herald
        self._in_background = in_background
        self.room = Room(config, slots, self._evict)
        self._loader = Loader(config, reports, herald.progressed, make_handle)
        self._loads: dict[Slot, asyncio.Task[None]] = {}
        self._timers: dict[Slot, asyncio.TimerHandle] = {}
        self.default_keep_alive = config.idle_timeout or FOR_EVER
        self.closing = False

    def refuse(self) -> None:
        """From here on nothing is loaded any more, and nothing goes because it is idle."""
        self.closing = True
        for timer in self._timers.values():
            timer.cancel()

    def end_all(self) -> None:
        """End the running requests and the loads readably."""
        error = ShuttingDown(f"{SHUTTING_DOWN} Send the request again when it is back.")
        for slot in self._slots():
            if slot.handle:
                slot.handle.end_all(error)
        for load in self._loads.values():
            load.cancel()

    async def close(self) -> None:
        """Stop every load and worker. No process is left behind."""
        self.refuse()
        loads = [*self._loads.values()]
        for load in loads:
            load.cancel()
        handles = [slot.handle for slot in self._slots() if slot.handle]
        await asyncio.gather(*(handle.stop(STOP_TIMEOUT) for handle in handles))
        await asyncio.gather(*loads, return_exceptions=True)

    # --- into memory -------------------------------------------------------------------------------------

    async def ready(self, slot: Slot, visitor: Visitor) -> WorkerHandle:
        """The worker of a model, which is loaded if it must be. Errors: those of the load, ShuttingDown."""
        if self.closing:
            raise ShuttingDown(SHUTTING_DOWN)
        if slot.state in (State.READY, State.DRAINING) and slot.handle and not slot.usable:
            visitor.activity = slot.activity
            await self.gone(slot, slot.handle)
        if slot.usable and slot.handle:
            return slot.handle
        self._check_rest(slot)
        visitor.activity = slot.activity
        await self._loaded(self._load_task(slot))
        if slot.handle is None or slot.state is not State.READY:
            raise slot.failure or ShuttingDown("The model was unloaded before it could be used. Try again.")
        return slot.handle

    async def gone(self, slot: Slot, handle: WorkerHandle) -> None:
        """Wait until a worker that is leaving has left. Errors: ModelFailed for one that does not."""
        try:
            async with asyncio.timeout(UNKILLABLE):
                await handle.ended.wait()
        except TimeoutError:
            raise ModelFailed(
                f"The former process of model '{slot.spec.id}' does not end. Restart the server, or the machine where "
                "a driver holds it.",
                retry_after=UNKILLABLE,
            ) from None

    async def _loaded(self, load: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(load)
        except asyncio.CancelledError:
            if not load.cancelled():
                raise  # it is we who were cancelled: the load goes on for others
            raise ShuttingDown(SHUTTING_DOWN) from None

    def _check_rest(self, slot: Slot) -> None:
        if slot.resting > 0 and slot.failure is not None:
            raise ModelFailed(
                f"{slot.failure.message} The next try is in {slot.resting:.0f} s.", retry_after=slot.resting
            )

    def _load_task(self, slot: Slot) -> asyncio.Task[None]:
        """The load that is under way, or a new one: one at a time for each model, joined by all who wait."""
        task = self._loads.get(slot)
        if task is None:
            task = asyncio.create_task(self._load(slot), name=f"load {slot.spec.id}")
            self._loads[slot] = task
            task.add_done_callback(lambda done: self._load_over(slot, done))
        return task

    def _load_over(self, slot: Slot, task: asyncio.Task[None]) -> None:
        self._loads.pop(slot, None)
        if not task.cancelled():
            task.exception()  # marks it as seen: all who waited may have left

    async def _load(self, slot: Slot) -> None:
        slot.spec = await self._library.at(slot.spec.path)
        slot.notes.clear()
        slot.move(State.LOADING)
        started = time.monotonic()
        try:
            slot.handle = await self._loader.load(slot, self.room.make, self._worker_ended)
            if not slot.handle.alive:  # it died as it became ready, which is the load's failure
                raise ModelFailed(f"Model '{slot.spec.id}' did not load: its process ended right after.")
            slot.load_seconds = time.monotonic() - started
            slot.move(State.READY)
        except FluidError as error:
            await self._give_up(slot, error)
            error.retry_after = slot.resting or None
            raise
        finally:
            if slot.state in (State.LOADING, State.WARMING):  # cancelled, or a defect of ours
                await self._give_up(slot, ShuttingDown("The load was broken off. Try again."))
        self._herald.loaded(slot)
        self.released(slot)

    async def _give_up(self, slot: Slot, error: FluidError) -> None:
        handle = slot.handle
        slot.keep_alive = self.default_keep_alive
        passing_ = isinstance(error, OutOfMemory | ShuttingDown)
        slot.move(State.ABSENT if passing_ else State.FAILED, failure=error)
        if handle:
            await handle.stop(0)
        self.room.changed()
        if not isinstance(error, ShuttingDown):
            self._herald.not_loaded(slot, error)

    # --- out of memory -----------------------------------------------------------------------------------

    def taken(self, slot: Slot) -> None:
        """Somebody has a lease: idle time is over."""
        self._cancel_timer(slot)

    def released(self, slot: Slot) -> None:
        """The last lease has ended: idle time begins."""
        if slot.leases or slot.state is not State.READY:
            return
        slot.idle_since = time.monotonic()
        self.room.changed()
        self._cancel_timer(slot)
        if slot.keep_alive != FOR_EVER and not slot.pinned and not self.closing:
            self._timers[slot] = asyncio.get_running_loop().call_later(
                slot.keep_alive, lambda: self._in_background(self.unload(slot, "idle"), "unload")
            )

    def _cancel_timer(self, slot: Slot) -> None:
        timer = self._timers.pop(slot, None)
        if timer:
            timer.cancel()

    async def _evict(self, slot: Slot, other: Slot) -> None:
        """Unload a model to make room for another, unless it is in use by now."""
        if await self.unload(slot, "evicted"):
            self._herald.evicted(slot, other)

    async def unload(self, slot: Slot, why: str) -> bool:
        """End a model's worker, unless it is in use by now, or pinned and nobody has ordered it."""
        if slot.leases or slot.state is not State.READY or slot.handle is None or (why == "idle" and slot.pinned):
            return False
        self._cancel_timer(slot)
        handle = slot.handle
        slot.move(State.DRAINING)
        slot.keep_alive = self.default_keep_alive
        await handle.stop(STOP_TIMEOUT)
        if slot.handle is handle and handle.ended.is_set():
            slot.move(State.ABSENT)  # it had died before it was told to go, and says so no second time
        self._herald.unloaded(slot, why)
        return True

    def _worker_ended(self, slot: Slot, handle: WorkerHandle) -> None:
        """A worker has gone, told to or not; while loading, the load itself hears of it."""
        if slot.handle is not handle or slot.state not in (State.READY, State.DRAINING):
            return
        self._cancel_timer(slot)
        slot.keep_alive = self.default_keep_alive
        if slot.state is State.READY and not self.closing:
            self._died(slot, handle)
        else:
            slot.move(State.ABSENT)
        self.room.changed()

    def _died(self, slot: Slot, handle: WorkerHandle) -> None:
        slot.deaths += 1
        often = f", {slot.deaths} times in a row" if slot.deaths > 1 else ""
        resting = slot.deaths >= DEATHS_IN_A_ROW
        error = WorkerDied(f"The process of model '{slot.spec.id}' has ended unexpectedly{often}. Send it again.")
        slot.move(State.FAILED if resting else State.ABSENT, failure=error)
        self._herald.died(slot, handle, error)
