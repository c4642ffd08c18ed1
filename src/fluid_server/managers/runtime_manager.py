"""RuntimeManager: what is in memory, who may use it, what is loaded for it and what has to go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from fluid_server.config import ServerConfig
from fluid_server.errors import (
    AbilityMissing,
    FluidError,
    ModelFailed,
    OutOfMemory,
    QueueFull,
    ShuttingDown,
)
from fluid_server.managers.eviction import Resident, Verdict, decide
from fluid_server.managers.library import Library
from fluid_server.managers.loader import Loader
from fluid_server.managers.memory import gigabytes, idle_since, memory_of, promised
from fluid_server.managers.slot import Slot, State
from fluid_server.managers.warm_up import to_warm
from fluid_server.types import Ability, Event, ModelInfo, ModelSpec, Request
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report, probe

logger = logging.getLogger(__name__)
STOP_TIMEOUT = 1.0
QUEUE_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a loaded model now. As long as it is held, the model stays."""

    spec: ModelSpec
    info: ModelInfo
    _handle: WorkerHandle

    async def run(self, request: Request) -> AsyncGenerator[list[Event], None]:
        """The answer's events in batches. Errors: the request's failure; leaving early cancels it."""
        async with aclosing(self._handle.run(request)) as batches:
            async for events in batches:
                yield events


class RuntimeManager:
    """One owner of all slots. Everything happens on one event loop, so nothing here needs a lock."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.library = Library(config.model_path, echo=config.echo)
        self._slots: dict[str, Slot] = {}
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._probe: asyncio.Task[Report] | None = None
        self._loader = Loader(config, self.runtimes)
        self.closing = False
        self.warming = False

    # --- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the catalog; look for runtimes and warm up in the background."""
        self._probe = asyncio.create_task(probe(), name="probe")
        self.library.say_what_is_there(await self.library.specs())
        if self._config.warm_up:
            self.warming = True
            self._in_background(self._warm_up(), "warm-up")

    async def drain(self) -> None:
        """Take no more requests; let the running ones finish for a moment, then end them and the loads readably."""
        self.closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.shutdown_grace):
                await asyncio.gather(*(slot.handle.idle() for slot in self._slots.values() if slot.handle))
        error = ShuttingDown("The server is shutting down. Send the request again when it is back.")
        for slot in self._slots.values():
            if slot.handle:
                slot.handle.end_all(error)
        for load in self._loads.values():
            load.cancel()

    async def close(self) -> None:
        """Stop every worker and every background task. No process is left behind."""
        self.closing = True
        for timer in self._timers.values():
            timer.cancel()
        await self.library.close()
        tasks = [*self._background, *self._loads.values(), *([self._probe] if self._probe else [])]
        for task in tasks:
            task.cancel()
        handles = [slot.handle for slot in self._slots.values() if slot.handle]
        await asyncio.gather(*(handle.stop(STOP_TIMEOUT) for handle in handles))
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what there is -----------------------------------------------------------------------------------

    async def runtimes(self) -> Report:
        """Which runtimes import here, and their devices; waits for the check that began at the start."""
        if self._probe is None or (
            self._probe.done() and not any(one.available for one in self._probe.result().values())
        ):
            self._probe = asyncio.create_task(probe(), name="probe")
        return await asyncio.shield(self._probe)

    def runtimes_now(self) -> Report | None:
        """The same without waiting: None while the check runs."""
        done = self._probe is not None and self._probe.done() and not self._probe.cancelled()
        return self._probe.result() if done and self._probe else None

    def slot(self, model: str) -> Slot | None:
        """The slot of a model that was asked for at least once."""
        return self._slots.get(model)

    def slots(self) -> Iterable[Slot]:
        """All slots."""
        return self._slots.values()

    # --- leases ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lease(self, model: str, ability: Ability, places: int = 1) -> AsyncGenerator[Lease, None]:
        """A loaded model that can do this; loads it if it must. Errors: why it cannot be had.

        ``places`` is how many sequences the lease will run: what is queued is counted and bounded in them.
        """
        spec = await self.library.find(model)
        if ability not in spec.abilities:
            can = ", ".join(sorted(spec.abilities)) or "nothing that this server knows"
            raise AbilityMissing(f"Model '{spec.id}' cannot do {ability}: it is made for {can}.", param="model")
        slot = self._slots.setdefault(spec.id, Slot(spec))
        self._check_queue(slot, places)
        slot.leases += 1
        slot.places += places
        self._cancel_timer(spec.id)
        try:
            handle = await self._ready(slot)
            assert handle.info is not None
            yield Lease(slot.spec, handle.info, handle)
        finally:
            slot.leases -= 1
            slot.places -= places
            self._released(slot)

    def activity(self, model: str) -> str:
        """What happens with a model now, in a few words for a waiting client."""
        found = next((slot for slot in self._slots.values() if model in (slot.spec.id, *slot.spec.aliases)), None)
        return found.activity() if found else "waiting"

    def _check_queue(self, slot: Slot, places: int) -> None:
        limit = (slot.info.parallel if slot.info else self._config.parallel) + self._config.max_queue
        if slot.places and slot.places + places > limit:
            raise QueueFull(
                f"Model '{slot.spec.id}' has {slot.places} unfinished answers, and at most {limit} may run and wait. "
                "Try again later, or start the server with a larger --max-queue.",
                retry_after=QUEUE_RETRY_AFTER,
            )

    async def _ready(self, slot: Slot) -> WorkerHandle:
        if self.closing:
            raise ShuttingDown("The server is shutting down.")
        if slot.state in (State.READY, State.DRAINING) and slot.handle and not slot.usable:
            await slot.handle.ended.wait()
        if slot.usable and slot.handle:
            return slot.handle
        self._check_rest(slot)
        await self._loaded(self._load_task(slot))
        if slot.handle is None or slot.state is not State.READY:
            raise slot.failure or ShuttingDown("The model was unloaded before it could be used. Try again.")
        return slot.handle

    async def _loaded(self, load: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(load)
        except asyncio.CancelledError:
            if not load.cancelled():
                raise  # it is we who were cancelled: the load goes on for others
            raise ShuttingDown("The server is shutting down.") from None

    def _check_rest(self, slot: Slot) -> None:
        if slot.resting > 0 and slot.failure is not None:
            raise ModelFailed(
                f"{slot.failure.message} The next try is in {slot.resting:.0f} s.", retry_after=slot.resting
            )

    def _released(self, slot: Slot) -> None:
        if slot.leases or slot.state is not State.READY:
            return
        slot.idle_since = time.monotonic()
        if self._config.idle_timeout and not self.closing:
            loop = asyncio.get_running_loop()
            self._timers[slot.spec.id] = loop.call_later(
                self._config.idle_timeout, lambda: self._in_background(self._unload(slot, "idle"), "unload")
            )

    def _cancel_timer(self, model: str) -> None:
        timer = self._timers.pop(model, None)
        if timer:
            timer.cancel()

    # --- loading -----------------------------------------------------------------------------------------

    def _load_task(self, slot: Slot) -> asyncio.Task[None]:
        """The load that is under way, or a new one: one at a time for each model, joined by all who wait."""
        task = self._loads.get(slot.spec.id)
        if task is None:
            task = asyncio.create_task(self._load(slot), name=f"load {slot.spec.id}")
            self._loads[slot.spec.id] = task
            task.add_done_callback(lambda done: self._load_over(slot, done))
        return task

    def _load_over(self, slot: Slot, task: asyncio.Task[None]) -> None:
        self._loads.pop(slot.spec.id, None)
        if not task.cancelled():
            task.exception()  # marks it as seen: all who waited may have left

    async def _load(self, slot: Slot) -> None:
        slot.spec = await self.library.find(slot.spec.id)
        slot.notes.clear()
        slot.move(State.LOADING)
        started = time.monotonic()
        try:
            slot.handle = await self._loader.load(slot, self._make_room, self._worker_ended)
            slot.load_seconds = time.monotonic() - started
            slot.move(State.READY)
        except FluidError as error:
            logger.error("model did not load: %s", error.message, extra={"model": slot.spec.id})
            await self._give_up(slot, error)
            error.retry_after = slot.resting or None
            raise
        finally:
            if slot.state in (State.LOADING, State.WARMING):  # cancelled, or a defect of ours
                await self._give_up(slot, ShuttingDown("The load was broken off. Try again."))
        info = slot.handle.info
        assert info is not None
        logger.info(
            "model ready in %.1f s",
            slot.load_seconds,
            extra={"model": slot.spec.id, "runtime": info.runtime, "device": info.device},
        )
        self._released(slot)

    async def _give_up(self, slot: Slot, error: FluidError) -> None:
        handle = slot.handle
        if isinstance(error, OutOfMemory | ShuttingDown):
            slot.failure = error
            slot.move(State.ABSENT)
        else:
            slot.move(State.FAILED, failure=error)
        if handle:
            await handle.stop(0)

    async def _make_room(self, slot: Slot) -> int:
        """Unload what must go; returns the bytes that the KV cache may take. Errors: OutOfMemory with figures."""
        while True:
            await self._drained()
            verdict = self._judge(slot)
            if not verdict.evict:
                return verdict.kv_budget
            # One at a time: while it goes, another victim may be wanted again.
            await self._unload(self._slots[verdict.evict[0]], "made room for " + slot.spec.id)

    async def _drained(self) -> None:
        leaving = [
            one.handle.ended.wait() for one in self._slots.values() if one.state is State.DRAINING and one.handle
        ]
        await asyncio.gather(*leaving)

    def _judge(self, slot: Slot) -> Verdict:
        others = [one for one in self._slots.values() if one is not slot and one.handle]
        verdict = decide(
            slot.spec,
            [Resident(one.spec.id, memory_of(one), idle_since(one), one.load_seconds) for one in others],
            limit=self._config.max_memory,
            available=psutil.virtual_memory().available - promised(others),
            max_loaded=self._config.max_loaded,
            now=time.monotonic(),
        )
        if not verdict.fits:
            raise OutOfMemory(self._does_not_fit(slot.spec, verdict, len(others)))
        return verdict

    def _does_not_fit(self, spec: ModelSpec, verdict: Verdict, loaded: int) -> str:
        says = f"Model '{spec.id}' needs about {gigabytes(verdict.needed)}, and {gigabytes(verdict.free)} may be used"
        if not loaded:
            return f"{says}. Use a smaller model, free memory, or raise --max-memory."
        if loaded >= self._config.max_loaded and verdict.needed <= verdict.free:
            return f"{loaded} models are in use, as many as may be loaded. Wait for one, or raise --max-loaded."
        return (
            f"{says} beside the {loaded} that are loaded and in use. "
            "Wait for them, use a smaller model, or raise --max-memory."
        )

    # --- unloading ---------------------------------------------------------------------------------------

    async def _unload(self, slot: Slot, why: str) -> None:
        """End a model's worker, unless it is in use by now."""
        if slot.leases or slot.state is not State.READY or slot.handle is None:
            return
        self._cancel_timer(slot.spec.id)
        handle = slot.handle
        slot.move(State.DRAINING)
        await handle.stop(STOP_TIMEOUT)
        logger.info("model unloaded (%s)", why, extra={"model": slot.spec.id})

    def _worker_ended(self, slot: Slot, handle: WorkerHandle) -> None:
        """A worker has gone, told to or not; while loading, the load itself hears of it."""
        if slot.handle is not handle or slot.state not in (State.READY, State.DRAINING):
            return
        if slot.state is State.READY and not self.closing:
            logger.error("worker died", extra={"model": slot.spec.id, "pid": handle.pid, "exit_code": handle.exit_code})
        self._cancel_timer(slot.spec.id)
        slot.move(State.ABSENT)

    # --- background --------------------------------------------------------------------------------------

    async def _warm_up(self) -> None:
        """Load what was asked for, else the default of each kind; Whisper first, since it is the smaller."""
        try:
            wanted = to_warm(await self.library.specs(), await self.runtimes(), self._config)
            for spec, ability in wanted:
                with suppress(FluidError):  # it has been logged, and the model's state says so
                    async with self.lease(spec.id, ability):
                        pass
        finally:
            self.warming = False

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
