"""Downloads: one job for each model, however many ask for it, and through the end of the program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from fluid_server.catalog import hub
from fluid_server.catalog.presets import preset
from fluid_server.catalog.resolve import find
from fluid_server.catalog.wanted import choose, parse, unknown
from fluid_server.config import ServerConfig
from fluid_server.errors import Conflict, FluidError, InvalidRequest, ModelNotFound, Offline, ShuttingDown
from fluid_server.managers import disk
from fluid_server.managers.disk import in_thread
from fluid_server.managers.download_job import RESUMABLE, Job
from fluid_server.managers.download_record import Order
from fluid_server.managers.download_register import Register
from fluid_server.managers.download_run import Run, Tools
from fluid_server.managers.events import EventFeed
from fluid_server.managers.library import Library
from fluid_server.managers.model_folder import Content, is_broken, is_complete
from fluid_server.managers.transfer import Patience
from fluid_server.metrics import Metrics
from fluid_server.types import Download, DownloadState

logger = logging.getLogger(__name__)
PACE, HEARTBEAT = 0.2, 1.0
UNEXPECTED = "The download failed in a way that nobody expected: the log says how. Pull it again to go on."
OFFLINE = "Nothing is fetched since --offline (FLUID_OFFLINE) is on."
T = TypeVar("T")


class DownloadManager:
    """Fetches models from the Hub. Used on the event loop; what blocks runs in threads."""

    def __init__(
        self,
        config: ServerConfig,
        library: Library,
        feed: EventFeed,
        metrics: Metrics,
        *,
        patience: Patience | None = None,
    ) -> None:
        self._offline = config.offline
        patience = patience or Patience(stall=config.download_stall, retries=config.download_retries)
        self._tools = Tools(library, feed, metrics, patience, at_once=config.max_downloads)
        self._jobs = Register(config.model_path)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._asked: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def start(self) -> None:
        """Go on with what a former program left. What it was about to install is there when this returns."""
        jobs = await in_thread(self._jobs.left)
        for job in jobs:
            self._jobs.add(job)
        for job in jobs:
            if job.state is DownloadState.INSTALLING and not job.missing:
                await asyncio.wait((self._begin(job, "resumed"),))
        for job in jobs:
            if job.active and self._offline:
                job.move(DownloadState.PAUSED)
                job.note = "nothing is fetched since --offline is on"
            elif job.active:
                self._begin(job, "resumed")

    async def close(self) -> None:
        """Stop at once. What has come stays, and goes on at the next start."""
        self._closed = True
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
        await asyncio.gather(*(self._stop(job) for job in self._jobs))
        for job in self._jobs:
            job.resting.set()
            job.touch()
            await in_thread(job.release)

    async def pull(self, name: str) -> Download:
        """Fetch a model by its repository's name or a preset's, or say how far that is.

        A paused or failed download of it goes on; one that is here already is COMPLETED at once. Errors: those of
        hub.listing and wanted.choose, Offline, OutOfDisk with nothing fetched, Conflict.
        """
        known = preset(name)
        if known is None and "/" not in name and name.strip():
            return await self._here_by_name(name)
        self._check_may_fetch()
        wanted = parse(known.name if known else name)
        listing = await hub.listing(wanted.repo, wanted.revision)
        chosen = choose(listing, wanted)
        content = Content(repo=listing.repo, revision=listing.revision, files=chosen.files)
        order = Order(name=name, folder=chosen.folder, content=content)
        return await self._in_turn(order.id, lambda: self._pull(order))

    async def _here_by_name(self, name: str) -> Download:
        """What is no name on the Hub may be that of a model that is here: nothing is to be done then."""
        try:
            spec = find(await self._tools.library.specs(fresh=True), name)
        except ModelNotFound:
            raise unknown(name) from None
        if spec.problem:
            raise InvalidRequest(
                f"'{spec.id}' is here, but cannot be used: {spec.problem}. To fetch it again, name its repository on "
                "the Hub: owner/repo.",
                param="model",
            )
        job = self._jobs.new(Order(name=name, folder=name, content=Content(repo=name, revision="", files=())))
        job.model = spec.id
        job.move(DownloadState.COMPLETED)
        self._jobs.add(job)
        return job.snapshot()

    def downloads(self) -> list[Download]:
        """All that are known, the newest first. Those that have ended are remembered for a while."""
        return sorted((job.snapshot() for job in self._jobs), key=lambda each: each.created, reverse=True)

    def download(self, id: str) -> Download:  # noqa: A002 - its name everywhere
        """One of them. Errors: DownloadNotFound."""
        return self._jobs.get(id).snapshot()

    async def pause(self, id: str) -> Download:  # noqa: A002
        """Stop until it is resumed, also over a restart. Errors: DownloadNotFound, Conflict where it has ended."""
        return await self._in_turn(id, lambda: self._pause(self._jobs.get(id)))

    async def resume(self, id: str) -> Download:  # noqa: A002
        """Go on after a pause or a failure. Errors: DownloadNotFound, Conflict, OutOfDisk, Offline."""
        return await self._in_turn(id, lambda: self._resume(self._jobs.get(id)))

    async def cancel(self, id: str) -> Download:  # noqa: A002
        """End it and delete what has come. Errors: DownloadNotFound, Conflict where it has ended."""
        return await self._in_turn(id, lambda: self._cancel(self._jobs.get(id)))

    async def watch(self, id: str) -> AsyncGenerator[Download, None]:  # noqa: A002
        """The state now, then whenever it has changed, at last how it ended or that it is paused.

        Errors: DownloadNotFound, ShuttingDown.
        """
        job = self._jobs.get(id)
        shown: Download | None = None
        while True:
            changed, now = job.changed, job.snapshot()
            if now != shown:
                yield now
            shown = now
            if not job.active and now.state is job.state:
                return
            if self._closed:
                raise ShuttingDown("The server is ending. The download goes on when it is started again.")
            await _at_most(changed, HEARTBEAT)
            await _at_most(job.resting, PACE)

    def _check_may_fetch(self) -> None:
        if self._closed:
            raise ShuttingDown("fluid-server is ending: nothing new is fetched.")
        if self._offline:
            raise Offline(f"{OFFLINE} Leave it out to download.")

    async def _in_turn(self, id_: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """One thing after another for each job, and each to its end even if whoever asked has left."""

        async def to_the_end() -> T:
            turn = self._turns.setdefault(id_, asyncio.Lock())
            async with turn:
                return await work()

        task = asyncio.create_task(to_the_end(), name=f"download {id_}")
        self._asked.add(task)
        task.add_done_callback(self._answered)
        return await asyncio.shield(task)

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asked.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, in case whoever asked has left

    async def _pull(self, order: Order) -> Download:
        job = self._jobs.find(order.id)
        if job is not None and job.active:
            job.check_same(order)
            return job.snapshot()
        known = job if job is not None and job.state in RESUMABLE else None
        job = known or self._jobs.new(order)
        doubt = await self._is_broken(job.target, order.content)
        if known is not None:
            await _on_disk(partial(known.take, order))
            known.doubt |= doubt
            await self._admit(known, "resumed")
        elif not doubt and await in_thread(partial(is_complete, job.target, order.content)):
            await self._is_here(job)
        else:
            job = await self._pull_new(order, doubt=doubt)
        return job.snapshot()

    async def _is_broken(self, folder: Path, content: Content) -> bool:
        """Whether what is here of it cannot be used: files are looked into then, whatever their record says."""
        if not await in_thread(folder.is_dir):
            return False
        return is_broken(await self._tools.library.specs(fresh=True), folder, content)

    async def _is_here(self, job: Job) -> None:
        """Nothing is to be done."""
        await in_thread(job.look)
        job.model = await self._tools.model_of(job)
        job.move(DownloadState.COMPLETED)
        self._jobs.add(job)

    async def _pull_new(self, order: Order, *, doubt: bool) -> Job:
        job, fresh = await in_thread(lambda: self._jobs.open(order))
        job.doubt |= doubt
        admitted = False
        try:
            await self._admit(job, "started")
            admitted = True
        finally:
            if not admitted:  # whatever the reason, a client that has left included
                self._jobs.drop(job)
                await in_thread(job.discard if fresh else job.release)
        return job

    async def _admit(self, job: Job, what: str) -> None:
        """Let it begin, if there is room."""
        await in_thread(job.look)
        await self._jobs.check_room(job)  # from here on nobody else runs until it counts itself
        job.move(DownloadState.QUEUED)
        self._jobs.add(job)
        try:
            await _on_disk(job.save)
        except FluidError as failure:
            job.move(DownloadState.FAILED, failure)
            raise
        self._begin(job, what)

    def _begin(self, job: Job, what: str) -> asyncio.Task[None]:
        task = asyncio.create_task(Run(job, self._tools, self._jobs.check_room).run(), name=f"run {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda task: self._ended(job, task))
        self._tools.tell(job, what)
        return task

    def _ended(self, job: Job, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job.id) is task:
            del self._tasks[job.id]
        self._jobs.forget()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("download of %s failed", job.order.name, exc_info=error)
            job.move(DownloadState.FAILED, FluidError(UNEXPECTED))
            self._tools.ended(job)

    async def _stop(self, job: Job) -> None:
        """End its task. What is being installed is installed: that takes a moment and must not be cut in two."""
        task = self._tasks.get(job.id)
        if task is not None:
            if job.state is not DownloadState.INSTALLING:
                task.cancel()
            await asyncio.wait((task,))

    async def _pause(self, job: Job) -> Download:
        if job.state is DownloadState.PAUSED:
            return job.snapshot()
        await self._stop(job)
        if not job.active:
            raise _has_ended(job)
        await in_thread(lambda: job.save_if_possible(DownloadState.PAUSED))
        job.move(DownloadState.PAUSED)
        self._tools.tell(job, "paused")
        return job.snapshot()

    async def _resume(self, job: Job) -> Download:
        if job.state in RESUMABLE:
            self._check_may_fetch()
            await in_thread(job.check_place)
            await _on_disk(job.lock)
            await self._admit(job, "resumed")
        elif not job.active:
            raise _has_ended(job)
        return job.snapshot()

    async def _cancel(self, job: Job) -> Download:
        await self._stop(job)
        if not job.active and job.state not in RESUMABLE:
            raise _has_ended(job)
        await in_thread(lambda: job.save_if_possible(DownloadState.CANCELLED))
        await in_thread(job.discard)
        job.move(DownloadState.CANCELLED)
        self._tools.ended(job)
        return job.snapshot()


async def _on_disk(work: Callable[[], None]) -> None:
    """What touches the disk, with its failures in words."""
    try:
        await in_thread(work)
    except OSError as error:
        raise disk.failure(error, "the download") from error


async def _at_most(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _has_ended(job: Job) -> Conflict:
    hint = " It can be resumed." if job.state in RESUMABLE else " To fetch the model again, pull it."
    return Conflict(f"The download of '{job.order.name}' is {job.state}.{hint}")
