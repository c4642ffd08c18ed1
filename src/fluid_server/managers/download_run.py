"""The work of one download: what is missing is fetched, three files at a time, checked, and installed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from fluid_server.errors import FluidError
from fluid_server.managers import disk
from fluid_server.managers.disk import Checker, in_thread
from fluid_server.managers.download_job import ASIDE, Job, JobFile, Stage
from fluid_server.managers.events import EventFeed
from fluid_server.managers.library import Library
from fluid_server.managers.model_folder import install, model_in
from fluid_server.managers.transfer import Patience, Source, Transfer
from fluid_server.metrics import Metrics
from fluid_server.types import DownloadState

logger = logging.getLogger(__name__)
FILES_AT_ONCE = 3
PACE = 0.2  # seconds between one happening of progress and the next


class Tools:
    """What all downloads share."""

    def __init__(
        self, library: Library, feed: EventFeed, metrics: Metrics, patience: Patience, *, at_once: int
    ) -> None:
        self.library = library
        self.feed = feed
        self.metrics = metrics
        self.patience = patience
        self.checker = Checker()
        self.places = asyncio.Semaphore(at_once)

    async def model_of(self, job: Job) -> str | None:
        """The catalog's id of the model that a job has brought."""
        found = model_in(await self.library.specs(fresh=True), job.target, job.order.content)
        return found.id if found else None

    def tell(self, job: Job, what: str) -> None:
        """Into the event feed."""
        self.feed.publish(f"download.{what}", download=job.snapshot())

    def ended(self, job: Job) -> None:
        """Into the event feed, and counted."""
        self.metrics.downloads.labels(job.state.value).inc()
        self.tell(job, job.state.value)


class Run:
    """From where a job is to its end. Cancelling it leaves the job to go on from there."""

    def __init__(self, job: Job, tools: Tools, check_room: Callable[[Job], Awaitable[None]]) -> None:
        self._job = job
        self._tools = tools
        self._check_room = check_room
        self._told = 0.0

    async def run(self) -> None:
        """Ends with the job COMPLETED or FAILED."""
        if self._tools.places.locked():
            self._says("waits until another download is done")
        try:
            async with self._tools.places:
                if self._job.state is not DownloadState.INSTALLING or self._job.missing:
                    await self._fetch()
                await self._install()
        except FluidError as error:
            await self._fail(error)
        except OSError as error:
            await self._fail(disk.failure(error, "the download"))

    async def _fetch(self) -> None:
        self._job.move(DownloadState.DOWNLOADING)
        self._job.rate.start(time.monotonic())
        self._tools.tell(self._job, "progress")
        await self._look_closer()
        places = asyncio.Semaphore(FILES_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for file in sorted(self._job.files, key=lambda file: -file.missing):  # the large ones first
                    if file.stage is Stage.WANTED:
                        group.create_task(self._transfer(file, places))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _look_closer(self) -> None:
        """Files that were there before: those that are what the Hub has are kept."""
        doubtful = [file for file in self._job.files if file.stage is Stage.DOUBTFUL]
        if doubtful:
            self._says("checking the files that are here already")
            for file in doubtful:
                good = await self._tools.checker.agrees(self._job.target / file.place, file.remote)
                await in_thread(partial(self._job.decide, file, good=good))
                self._job.touch()
            self._says(None)
            await self._check_room(self._job)

    async def _transfer(self, file: JobFile, places: asyncio.Semaphore) -> None:
        content, tools = self._job.order.content, self._tools
        source = Source(repo=content.repo, revision=content.revision, file=file.remote)
        goal = self._job.fetched / file.place
        async with places:
            await Transfer(source, goal, _Listener(self, file), tools.patience, tools.checker).run()
            file.stage = Stage.READY

    async def _install(self) -> None:
        job, library = self._job, self._tools.library
        job.move(DownloadState.INSTALLING)
        self._tools.tell(job, "progress")
        await in_thread(job.save)
        content = job.order.content
        async with library.changing():
            await in_thread(lambda: install(job.fetched, job.target, job.folder / ASIDE, content))
        job.model = await self._tools.model_of(job)
        await in_thread(job.discard)
        job.move(DownloadState.COMPLETED)
        logger.info("downloaded: %s", job.order.name, extra={"model": job.model})
        self._tools.ended(job)
        self._tools.feed.publish("models.changed")

    async def _fail(self, error: FluidError) -> None:
        job = self._job
        await in_thread(lambda: job.save_if_possible(DownloadState.FAILED, error))
        job.move(DownloadState.FAILED, error)
        logger.warning("download of %s failed: %s", job.order.name, error.message)
        self._tools.ended(job)

    def _says(self, note: str | None) -> None:
        self._job.note = note
        self.progressed(at_once=True)

    def progressed(self, *, at_once: bool = False) -> None:
        """Tell those who watch, and the event feed now and then."""
        self._job.touch()
        now = time.monotonic()
        if at_once or now - self._told >= PACE:
            self._told = now
            self._tools.tell(self._job, "progress")

    def came(self, count: int) -> None:
        """So many bytes came over the network."""
        self._job.rate.add(count, time.monotonic())
        self._tools.metrics.download_bytes.inc(count)


class _Listener:
    """What a transfer tells, about its file."""

    def __init__(self, run: Run, file: JobFile) -> None:
        self._run = run
        self._file = file

    def at(self, done: int) -> None:
        self._file.done = done
        self._run.progressed()

    def came(self, count: int) -> None:
        self._file.done += count
        self._run.came(count)
        self._run.progressed()

    def says(self, note: str | None) -> None:
        if note != self._file.note:
            self._file.note = note
            self._run.progressed(at_once=True)
