"""RuntimeManager: what is in memory, who may use it, what is loaded for it and what has to go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fluid_server.config import ServerConfig
from fluid_server.errors import (
    AbilityMissing,
    Conflict,
    FluidError,
    ModelNotFound,
    QueueFull,
)
from fluid_server.managers.arrivals import Arrivals
from fluid_server.managers.download_manager import DownloadManager
from fluid_server.managers.estimate import Estimate, estimate
from fluid_server.managers.events import EventFeed
from fluid_server.managers.gauges import gauges
from fluid_server.managers.grace import Grace
from fluid_server.managers.herald import Herald
from fluid_server.managers.lease import Lease, measured
from fluid_server.managers.library import Library
from fluid_server.managers.lifecycle import Lifecycle
from fluid_server.managers.loader import MakeHandle, dialect_of
from fluid_server.managers.lookout import Look, Lookout
from fluid_server.managers.slot import Slot, State
from fluid_server.managers.turnstile import Pass
from fluid_server.managers.visitor import Visitor
from fluid_server.managers.warm_up import to_warm
from fluid_server.metrics import Metrics
from fluid_server.types import Ability, ModelSpec
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report, probe

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RuntimeManager:
    """One owner of all slots. Everything happens on one event loop, so nothing here needs a lock."""

    def __init__(self, config: ServerConfig, *, make_handle: MakeHandle = WorkerHandle, look: Look = probe) -> None:
        self._config = config
        self.feed = EventFeed()
        self.metrics = Metrics()
        self._herald = Herald(self.feed, self.metrics)
        self.library = Library(config.model_path, echo=config.echo, shipped=config.shipped_models)
        self.downloads = DownloadManager(config, self.library, self.feed, self.metrics)
        self._arrivals = Arrivals(config, self.library, self.downloads)
        self._lookout = Lookout(look)
        self._slots: dict[Path, Slot] = {}  # a model's place on the disk stays, whatever the catalog calls it
        self._lifecycle = Lifecycle(
            config, self.slots, self.library, self._herald,
            reports=self._lookout.report, make_handle=make_handle, in_background=self._in_background,
        )  # fmt: skip
        self._deleting: set[Slot] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.metrics.watch(lambda: gauges(self.slots(), self.downloads.downloads()))
        self.warming = False

    # --- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the catalog; look for runtimes, go on with downloads and warm up in the background."""
        self._lookout.start()
        specs = await self.library.specs()
        self.library.say_what_is_there(specs)
        known = {name for spec in specs for name in (spec.id, *spec.aliases)}
        for name in sorted(self._config.dialect.keys() - known):
            logger.warning("--dialect is set for '%s', and there is no such model", name)
        await self.downloads.start()
        if self._config.warm_up or self._config.pin:
            self.warming = True
            self._in_background(self._warm_up(), "warm-up")

    async def drain(self, grace: Grace) -> None:
        """Take no more requests; let the running ones finish for a moment, then end them and the loads readably."""
        self._lifecycle.refuse()
        await grace.give(self._all_idle())
        self._lifecycle.end_all()
        await self.downloads.close()  # now, so that those who watch one are told before their connection ends
        self.feed.close()

    async def _all_idle(self) -> None:
        await asyncio.gather(*(slot.handle.idle() for slot in self._slots.values() if slot.handle))

    async def close(self) -> None:
        """Stop every worker, download and background task. No process is left behind."""
        self._lifecycle.refuse()
        await self.downloads.close()
        await self.library.close()
        background = [*self._background]
        for task in background:
            task.cancel()
        await asyncio.gather(self._lookout.close(), self._lifecycle.close())
        await asyncio.gather(*background, return_exceptions=True)

    @property
    def closing(self) -> bool:
        """Whether the server is ending, so that nothing is loaded any more."""
        return self._lifecycle.closing

    # --- what there is -----------------------------------------------------------------------------------

    async def runtimes(self) -> Report:
        """Which runtimes import here, and their devices; waits for the check that began at the start."""
        return await self._lookout.report()

    def runtimes_now(self) -> Report | None:
        """The same without waiting: None while the check runs."""
        return self._lookout.report_now()

    @property
    def default_keep_alive(self) -> float:
        """Seconds that a model stays after its last request where nobody says otherwise, or FOR_EVER."""
        return self._lifecycle.default_keep_alive

    def estimate(self, spec: ModelSpec) -> Estimate:
        """What the model would take of memory with the configured context and number of requests."""
        return estimate(spec, self._config.context_length, parallel=self._config.parallel)

    def dialect(self, spec: ModelSpec) -> str | None:
        """The dialect that the configuration sets for a model."""
        return dialect_of(spec, self._config.dialect)

    def slot(self, model: str) -> Slot | None:
        """The slot of a model that was asked for at least once, by its id."""
        return next((slot for slot in self._slots.values() if slot.spec.id == model), None)

    def slot_at(self, spec: ModelSpec) -> Slot | None:
        """The same by where the model lies."""
        return self._slots.get(spec.path)

    def slots(self) -> Iterable[Slot]:
        """All slots."""
        return self._slots.values()

    def vanished(self, specs: Iterable[ModelSpec]) -> list[ModelSpec]:
        """What is in memory and not on the disk any more."""
        there = {spec.path for spec in specs}
        return [slot.spec for slot in self._slots.values() if slot.handle and slot.spec.path not in there]

    def _slot_of(self, spec: ModelSpec) -> Slot:
        slot = self._slots.get(spec.path)
        if slot is None:
            slot = Slot(spec, self._herald.moved, keep_alive=self.default_keep_alive)
            self._slots[spec.path] = slot
            self.metrics.know(spec.id, spec.abilities)
        if slot.spec.id != spec.id or slot.state in (State.ABSENT, State.FAILED):
            slot.spec = spec  # the catalog may call it something else by now: a second quantisation came beside it
            self.metrics.know(spec.id, spec.abilities)
        return slot

    # --- leases ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lease(
        self, model: str, ability: Ability, places: int = 1, visitor: Visitor | None = None
    ) -> AsyncGenerator[Lease, None]:
        """A loaded model that can do this; fetches and loads it if it must. Errors: why it cannot be had.

        ``places`` is how many sequences the lease will run: what is queued is counted and bounded in them.
        """
        visitor = visitor or Visitor()
        spec = await self.capable(model, ability, visitor)
        slot = self._slot_of(spec)
        with measured(self.metrics, spec.id, ability, visitor), self._counted(slot, places):
            await self._within(visitor, self._lifecycle.room.give_way(slot, visitor))
            with self._held(slot, visitor):
                passing, handle = await self._within(visitor, self._admitted(slot, visitor, places))
                assert handle.info is not None
                inside = time.monotonic()
                try:
                    yield Lease(slot.spec, handle.info, handle, slot, visitor, self.metrics)
                finally:
                    slot.took(time.monotonic() - inside)
                    passing.leave()

    async def capable(self, model: str, ability: Ability, visitor: Visitor) -> ModelSpec:
        """The model of that name, which can do this. Errors: ModelNotFound and its like, AbilityMissing."""
        spec = await self._found(model, visitor)
        if ability not in spec.abilities:
            can = ", ".join(sorted(spec.abilities)) or "nothing that this server knows"
            raise AbilityMissing(f"Model '{spec.id}' cannot do {ability}: it is made for {can}.", param="model")
        return spec

    async def _found(self, model: str, visitor: Visitor) -> ModelSpec:
        return await self._within(visitor, self._arrivals.find(model, visitor))

    async def _within(self, visitor: Visitor, work: Coroutine[Any, Any, T]) -> T:
        """Do it before the deadline. Errors: DeadlineExceeded."""
        try:
            async with asyncio.timeout(visitor.remaining) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise  # somebody else's
            raise visitor.too_late() from None

    @contextmanager
    def _counted(self, slot: Slot, places: int) -> Generator[None, None, None]:
        """One of those who want the model. Errors: QueueFull."""
        self._check_queue(slot, places)
        slot.places += places
        try:
            yield
        finally:
            slot.places -= places

    @contextmanager
    def _held(self, slot: Slot, visitor: Visitor) -> Generator[None, None, None]:
        """While this lasts the model is not unloaded. Errors: ModelNotFound for one that is being deleted."""
        if slot in self._deleting:
            raise ModelNotFound(f"Model '{slot.spec.id}' is being deleted.", param="model")
        slot.leases += 1
        self._lifecycle.taken(slot)
        try:
            yield
            if visitor.keep_alive is not None:
                slot.keep_alive = visitor.keep_alive
        finally:
            slot.leases -= 1
            self._lifecycle.released(slot)

    async def _admitted(self, slot: Slot, visitor: Visitor, places: int) -> tuple[Pass, WorkerHandle]:
        """Wait until the model is loaded and it is the client's turn. Errors: those of the load, DeadlineExceeded."""
        await self._lifecycle.ready(slot, visitor)
        passing = slot.turnstile.line_up(visitor.client, places)
        return passing, await self._turn(slot, visitor, passing)

    async def _turn(self, slot: Slot, visitor: Visitor, passing: Pass) -> WorkerHandle:
        visitor.activity = lambda: f"queued {passing.position}"
        admitted, lined_up = False, time.monotonic()
        try:
            await passing.turn()
            self.metrics.queue_seconds.labels(slot.spec.id).observe(time.monotonic() - lined_up)
            handle = await self._lifecycle.ready(slot, visitor)  # it may have died while others had their turn
            admitted = True
        finally:
            if not admitted:
                passing.leave()
        return handle

    def _check_queue(self, slot: Slot, places: int) -> None:
        limit = (slot.info.parallel if slot.info else self._config.parallel) + self._config.max_queue
        if slot.places and slot.places + places > limit:
            raise QueueFull(
                f"Model '{slot.spec.id}' has {slot.places} unfinished answers, and at most {limit} may run and wait. "
                "Try again later, or start the server with a larger --max-queue.",
                retry_after=slot.next_place,
            )

    # --- by hand -----------------------------------------------------------------------------------------

    async def load(self, model: str, visitor: Visitor, *, pin: bool | None = None) -> ModelSpec:
        """Load a model and keep it; returns when it is ready. Errors: why it cannot be had."""
        slot = self._slot_of(await self._found(model, visitor))
        with self._held(slot, visitor):
            await self._within(visitor, self._lifecycle.ready(slot, visitor))
            slot.pinned = slot.pinned if pin is None else pin
        return slot.spec

    async def unload(self, model: str) -> ModelSpec:
        """Let a model go now; one that failed may be tried again at once. Errors: Conflict while it is in use."""
        spec = await self._known(model)
        slot = self._slots.get(spec.path)
        if slot is not None:
            self._check_unused(slot, "unloaded")
            await self._lifecycle.unload(slot, "asked")
            if slot.state is State.FAILED:
                slot.move(State.ABSENT)
        return spec

    async def pin(self, model: str, *, pinned: bool = True) -> ModelSpec:
        """Keep a model from being unloaded by anything but an order, or no longer. Errors: ModelNotFound."""
        slot = self._slot_of(await self._known(model))
        slot.pinned = pinned
        self._lifecycle.taken(slot)
        self._lifecycle.released(slot)
        return slot.spec

    async def delete(self, model: str) -> ModelSpec:
        """Remove a model from the disk. Errors: ModelNotFound, Conflict while it is in use, InvalidRequest."""
        spec = await self.library.describe(model)
        slot = self._slot_of(spec)
        self._check_unused(slot, "deleted")
        self._deleting.add(slot)  # from here on nobody gets a lease
        try:
            await self._lifecycle.unload(slot, "deleted")
            if slot.handle:  # it was leaving already
                await self._lifecycle.gone(slot, slot.handle)
            await self.library.remove(spec)
        finally:
            self._deleting.discard(slot)
        self._slots.pop(spec.path, None)
        self._herald.deleted(spec.id)
        return spec

    async def _known(self, model: str) -> ModelSpec:
        """A model of the catalog, or one that is in memory and not on the disk any more. Errors: ModelNotFound."""
        slot = self.slot(model)
        if slot is not None and slot.handle is not None:
            return slot.spec
        return await self.library.describe(model)

    def _check_unused(self, slot: Slot, what: str) -> None:
        if slot in self._deleting:
            raise Conflict(f"Model '{slot.spec.id}' is being deleted already.", param="model")
        if slot.leases or slot.state in (State.LOADING, State.WARMING):
            raise Conflict(
                f"Model '{slot.spec.id}' is in use and cannot be {what} now (requests: {slot.leases}). "
                "Wait until they have ended, and ask again.",
                param="model",
            )

    # --- background --------------------------------------------------------------------------------------

    async def _warm_up(self) -> None:
        """Load what was asked for, else the default of each kind; Whisper first, since it is the smaller."""
        try:
            here = {name for spec in await self.library.specs() for name in (spec.id, *spec.aliases)}
            for name in self._config.pin:
                if name in here or not self._config.auto_download:
                    await self._warm(name, pin=True)
                else:  # fetching it may take hours: that is no warm-up
                    self._in_background(self._warm(name, pin=True), f"fetch {name}")
            if self._config.warm_up:
                for name in to_warm(await self.library.specs(), await self.runtimes(), self._config):
                    await self._warm(name)
        finally:
            self.warming = False

    async def _warm(self, name: str, *, pin: bool | None = None) -> None:
        try:
            await self.load(name, Visitor(waits=True), pin=pin)
        except FluidError as error:
            logger.error("model was not warmed up: %s", error.message, extra={"model": name})

    def _in_background(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
