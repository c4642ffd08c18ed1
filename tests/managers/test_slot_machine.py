"""Slots under random interleavings: requests, loads that end well or badly, deaths, unloads, pins, in any order.

Only the worker process is a fake, and everything that it does is a step of the test: the manager, its slots, queue,
eviction and loader are the real ones.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fluid_server.config import load_config
from fluid_server.errors import EngineFailed, FluidError
from fluid_server.managers.grace import Grace
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.slot import State
from fluid_server.managers.visitor import FOR_EVER, Visitor
from fluid_server.types import Ability, Done, Event, ModelInfo, Request, Usage
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report, RuntimeReport
from fluid_server.workers.protocol import Load, Progress

T = TypeVar("T")
GGUF = Path(__file__).resolve().parents[2] / "models" / "llm" / "fluid-tiny-gguf" / "fluid-tiny-Q8_0.gguf"
MODELS = ("a", "b", "c")
MAX_LOADED = 2
PARALLEL = 2
UNTIL_QUIET = 40  # turns of the event loop in which everything that can go on has gone on
NAMES = st.sampled_from(MODELS)
WHICH = st.integers(0, 5)  # of those there are: what is drawn must not depend on how many that is


def picked(items: Sequence[T], which: int) -> Sequence[T]:
    """One of them, or none where there is none."""
    return [items[which % len(items)]] if items else []


class FakeWorker(WorkerHandle):
    """A worker that does nothing by itself. ``told_to_stop`` while a lease runs would be a defect."""

    everyone: list[FakeWorker]

    def __init__(
        self,
        model: str,
        on_end: Callable[[WorkerHandle], None],
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        super().__init__(model, on_end, on_progress)
        self.running = False
        self.told_to_stop = False
        self.loading: asyncio.Future[ModelInfo] | None = None
        self.everyone.append(self)

    @property
    def alive(self) -> bool:
        return self.running and not self.ended.is_set()

    async def start(self, load: Load, timeout: float) -> ModelInfo:
        self.running = True
        self.loading = asyncio.get_running_loop().create_future()
        try:
            self.info = await self.loading
        finally:
            if self.info is None:
                self.end()
        return self.info

    async def run(
        self, request: Request, *, timeout: float | None = None, too_late: Callable[[], FluidError] | None = None
    ) -> AsyncGenerator[list[Event], None]:
        yield [Done(Usage())]

    async def stop(self, timeout: float) -> None:
        self.told_to_stop = True
        if timeout == 0:  # it is killed
            self.end()
        await self.ended.wait()

    def end(self) -> None:
        """The process is gone."""
        if not self.ended.is_set():
            self.ended.set()
            self._on_end(self)


class Client:
    """One request: waits for its lease, then holds it until it is told to go."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, manager: RuntimeManager, model: str, visitor: Visitor, places: int
    ) -> None:
        self.model = model
        self.visitor = visitor
        self.places = places
        self.worker: WorkerHandle | None = None
        self.done = asyncio.Event()
        self.task = loop.create_task(self._ask(manager, visitor))

    async def _ask(self, manager: RuntimeManager, visitor: Visitor) -> None:
        async with manager.lease(self.model, Ability.CHAT, self.places, visitor):
            slot = manager.slot(self.model)
            assert slot is not None
            self.worker = slot.handle
            await self.done.wait()
            self.worker = None


class Slots(RuleBasedStateMachine):
    """The real manager with three models, of which two fit."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.workers: list[FakeWorker] = []
        FakeWorker.everyone = self.workers
        self.clients: list[Client] = []
        self.turns = UNTIL_QUIET
        self.defects: list[dict[str, Any]] = []
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self.defects.append(context))
        self.run(self._begin())

    async def _begin(self) -> None:
        config = load_config(
            {
                "model_path": self.folder,
                "warm_up": False,
                "max_loaded": MAX_LOADED,
                "parallel": PARALLEL,
                "max_queue": 3,
                "idle_timeout": 0,
                "offline": True,
            }
        )
        self.manager = RuntimeManager(config, make_handle=FakeWorker, look=self._look)
        await self.manager.start()
        await self.manager.runtimes()

    async def _look(self) -> Report:
        return {"llamacpp": RuntimeReport(True, devices=("CPU",))}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def settle(self) -> None:
        async def turns() -> None:
            for _ in range(self.turns):
                await asyncio.sleep(0)

        self.run(turns())

    def order(self, work: Coroutine[Any, Any, object]) -> None:
        """Something that a person asks for: it may be refused, and nothing else may go wrong."""
        task = self.loop.create_task(work)
        task.add_done_callback(self._check)
        self.settle()

    def _check(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, FluidError):
            self.defects.append({"exception": error})

    def loading(self) -> list[asyncio.Future[ModelInfo]]:
        return [one.loading for one in self.workers if one.loading is not None and not one.loading.done()]

    def alive(self) -> list[FakeWorker]:
        return [one for one in self.workers if one.alive]

    def waiting_or_inside(self) -> list[Client]:
        return [one for one in self.clients if not one.task.done()]

    @rule(turns=st.sampled_from([0, 1, 2, 3, 5, UNTIL_QUIET]))
    def hurry(self, turns: int) -> None:
        """From now on, the next thing happens after so many turns of the event loop."""
        self.turns = turns
        self.settle()

    # --- what clients do -----------------------------------------------------------------------------------

    @rule(
        model=NAMES,
        client=st.sampled_from(["ann", "bob"]),
        places=st.integers(1, 3),
        keep_alive=st.sampled_from([None, None, 0.0, FOR_EVER]),
    )
    def request(self, model: str, client: str, places: int, keep_alive: float | None) -> None:
        visitor = Visitor(client=client, keep_alive=keep_alive)
        asked = Client(self.loop, self.manager, model, visitor, places)
        asked.task.add_done_callback(self._check)
        self.clients.append(asked)
        self.settle()

    @rule(which=WHICH)
    def finish(self, which: int) -> None:
        for client in picked([one for one in self.waiting_or_inside() if one.worker], which):
            client.done.set()
        self.settle()

    @rule(which=WHICH, turns=st.integers(0, 4))
    def come_as_another_goes(self, which: int, turns: int) -> None:
        """Just as a model becomes idle, and is to go at once, it is wanted again."""
        for client in picked([one for one in self.waiting_or_inside() if one.worker], which):
            before, self.turns = self.turns, turns
            client.visitor.keep_alive = 0.0
            client.done.set()
            self.settle()
            self.turns = before
            self.request(client.model, "ann", 1, None)

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        for client in picked(self.waiting_or_inside(), which):
            client.task.cancel()
        self.settle()

    # --- what workers do -----------------------------------------------------------------------------------

    @rule(which=WHICH)
    def load_ends_well(self, which: int) -> None:
        for loading in picked(self.loading(), which):
            loading.set_result(ModelInfo(runtime="llamacpp", device="CPU", parallel=PARALLEL))
        self.settle()

    @rule(which=WHICH)
    def load_fails(self, which: int) -> None:
        for loading in picked(self.loading(), which):
            loading.set_exception(EngineFailed("broken"))
        self.settle()

    @rule(which=WHICH)
    def worker_ends(self, which: int) -> None:
        """It dies, or ends since it was told to."""
        for worker in picked(self.alive(), which):
            if worker.loading is not None and not worker.loading.done():
                worker.loading.set_exception(EngineFailed("died"))
            else:
                self.loop.call_soon(worker.end)
        self.settle()

    @rule(model=NAMES)
    def rest_is_over(self, model: str) -> None:
        slot = self.manager.slot(model)
        if slot is not None:
            slot.retry_at = 0.0

    # --- what people do ------------------------------------------------------------------------------------

    @rule(model=NAMES)
    def load(self, model: str) -> None:
        self.order(self.manager.load(model, Visitor()))

    @rule(model=NAMES)
    def unload(self, model: str) -> None:
        self.order(self.manager.unload(model))

    @rule(model=NAMES, pinned=st.booleans())
    def pin(self, model: str, pinned: bool) -> None:
        self.order(self.manager.pin(model, pinned=pinned))

    # --- what must always be so ----------------------------------------------------------------------------

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert not self.defects, self.defects

    @invariant()
    def each_model_is_loaded_once(self) -> None:
        names = [worker.model for worker in self.alive()]
        assert len(names) == len(set(names)), names
        assert len(names) <= MAX_LOADED

    @invariant()
    def nobody_holds_a_lease_on_an_unloaded_model(self) -> None:
        for client in self.waiting_or_inside():
            worker = client.worker
            if isinstance(worker, FakeWorker):
                assert not worker.told_to_stop, f"{client.model} was unloaded under a lease"

    @invariant()
    def the_slots_know_who_is_here(self) -> None:
        for slot in self.manager.slots():
            here = [one for one in self.waiting_or_inside() if one.model == slot.spec.id]
            inside = sum(one.worker is not None for one in here)
            assert inside <= slot.turnstile.inside <= slot.leases  # one whose turn it is may wait for a new worker
            assert slot.leases >= inside
            if self.turns == UNTIL_QUIET:
                assert slot.places == sum(one.places for one in here)
            assert slot.turnstile.taken <= slot.turnstile.capacity
            if slot.state in (State.ABSENT, State.FAILED):
                assert slot.handle is None
            if slot.state in (State.WARMING, State.READY, State.DRAINING):
                assert slot.handle is not None

    # --- the end -------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Whatever the state is, everybody gets an answer, and no worker is left."""
        self.run(asyncio.wait_for(self._end(), 20))
        self.loop.close()
        self.nothing_went_wrong()

    async def _end(self) -> None:
        async def serve() -> None:
            while True:
                for loading in self.loading():
                    loading.set_result(ModelInfo(runtime="llamacpp", device="CPU", parallel=PARALLEL))
                for worker in self.alive():
                    if worker.told_to_stop:
                        worker.end()
                await asyncio.sleep(0)

        serving = asyncio.ensure_future(serve())
        for client in self.clients:
            client.done.set()
        await asyncio.gather(*(client.task for client in self.clients), return_exceptions=True)
        await self.manager.drain(Grace(0))
        await self.manager.close()
        serving.cancel()
        assert not self.alive()


@pytest.fixture(scope="module")
def folder() -> Iterable[Path]:
    with tempfile.TemporaryDirectory() as made:
        for model in MODELS:
            place = Path(made) / model
            place.mkdir()
            shutil.copy(GGUF, place)
        yield Path(made)


@pytest.mark.parametrize(("seed", "patience"), [(1, 2.0), (2, 0.0)])
def test_no_interleaving_breaks_a_slot(
    folder: Path, seed: int, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluid_server.managers.room.PATIENCE", patience)
    from hypothesis import seed as seeded
    from hypothesis.stateful import run_state_machine_as_test

    Slots.folder = folder
    chosen = settings(
        phases=[Phase.generate],  # a failure is printed as it was found: making it short takes minutes
        max_examples=150,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seeded(seed)(Slots), settings=chosen)
