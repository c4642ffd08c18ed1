"""Which downloads there are: those at work, those that have ended, and those that former programs left."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fluid_server.errors import Conflict, DownloadNotFound, OutOfDisk
from fluid_server.managers import disk
from fluid_server.managers.disk import amount, in_thread
from fluid_server.managers.download_job import FOLDER, RESUMABLE, Job, read
from fluid_server.managers.download_record import JOB, Order
from fluid_server.types import DownloadState

logger = logging.getLogger(__name__)
REMEMBERED = 50
_NOTHING = 1000  # bytes


class Register:
    """All jobs by their ids. What reads the disk says so, and runs in a thread."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._jobs: dict[str, Job] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def find(self, id_: str) -> Job | None:
        """The job of that id, if there is one."""
        return self._jobs.get(id_)

    def get(self, id_: str) -> Job:
        """The job of that id. Errors: DownloadNotFound."""
        job = self._jobs.get(id_)
        if job is None:
            raise DownloadNotFound("There is no download of that id. `GET /v1/downloads` shows those there are.")
        return job

    def add(self, job: Job) -> None:
        """Known from now on."""
        self._jobs.pop(job.id, None)
        self._jobs[job.id] = job
        self.forget()

    def forget(self) -> None:
        """The oldest of those that have ended for good."""
        over = [each.id for each in self if not each.active and each.state not in RESUMABLE]
        for id_ in over[:-REMEMBERED]:
            del self._jobs[id_]

    def drop(self, job: Job) -> None:
        """It has not come to be."""
        if self._jobs.get(job.id) is job:
            del self._jobs[job.id]

    def new(self, order: Order) -> Job:
        """A job that nobody knows of yet."""
        return Job(order, self._models)

    def open(self, order: Order) -> tuple[Job, bool]:
        """A job that is ours alone, and whether it is new: another program may have left its part. Blocks.

        Errors: Conflict while another program has it; what the disk says.
        """
        job = self.new(order)
        fresh = not (job.folder / JOB).exists()
        with suppress(OSError, ValueError):
            job = read(job.folder, self._models)
        try:
            job.take(order)
        except OSError as error:
            job.release()
            raise disk.failure(error, "the download") from error
        return job, fresh

    def left(self) -> list[Job]:
        """The jobs of former programs, the oldest first. Blocks."""
        jobs = (self._read(file.parent) for file in (self._models / FOLDER).glob(f"*/{JOB}"))
        return sorted((job for job in jobs if job is not None), key=lambda job: job.created)

    def _read(self, folder: Path) -> Job | None:
        try:
            job = read(folder, self._models)
        except (OSError, ValueError) as error:
            logger.warning("download %s cannot be read and is left alone: %s", folder.name, error)
            return None
        try:
            job.lock()
            job.look()
        except Conflict:
            logger.info("download %s belongs to another fluid-server program", folder.name)
            return None
        except (OSError, ValueError) as error:
            logger.warning("download %s cannot be gone on with and is left alone: %s", folder.name, error)
            job.release()
            return None
        if job.state is DownloadState.CANCELLED:
            job.discard()
            return None
        return job

    async def check_room(self, job: Job) -> None:
        """Errors: OutOfDisk if the job does not fit beside what the others still fetch."""
        free = await in_thread(lambda: disk.free_bytes(job.folder))
        others = sum(each.missing for each in self if each.active and each is not job)
        if job.missing and job.missing + others > free:
            beside = f", and other downloads {amount(others)}" if others else ""
            rest = f"{amount(free)} are free" if free >= _NOTHING else "nothing is free"
            raise OutOfDisk(
                f"'{job.order.name}' needs {amount(job.missing)} more on the disk{beside}; {rest}. "
                "Make room, or set --model-path to a folder on another disk."
            )
