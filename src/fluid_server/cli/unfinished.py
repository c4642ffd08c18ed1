"""Downloads that have not come to their end: which there are, which one a name means, and how one is given up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fluid_server.catalog.presets import preset
from fluid_server.cli.client import Json
from fluid_server.cli.progress import body_of
from fluid_server.cli.words import repeated
from fluid_server.errors import Conflict, InvalidRequest
from fluid_server.managers.download_job import ACTIVE, FOLDER, RESUMABLE, Job, read
from fluid_server.managers.download_record import JOB
from fluid_server.types import Download, DownloadState

STATES = ACTIVE | RESUMABLE


def of_folder(models: Path) -> list[Json]:
    """Those that lie in a models folder, the newest first; nothing is changed. Blocks."""
    found = (_read(file.parent, models) for file in (models / FOLDER).glob(f"*/{JOB}"))
    known = [one for one in found if one is not None and one.state in STATES]
    return [body_of(one) for one in sorted(known, key=lambda one: one.created, reverse=True)]


def named(downloads: Iterable[Json], name: str) -> Json | None:
    """The one that a person means. Errors: InvalidRequest where that may be several."""
    known = preset(name)
    wanted = {text.casefold() for text in (name, known.name if known else name)}
    here = [one for one in downloads if one["state"] in STATES]
    for part in ("id", "name", "repo"):
        found = [one for one in here if one[part].casefold() in wanted]
        if len(found) > 1:
            ids = ", ".join(f"{one['id']} ({one['name']})" for one in found)
            raise InvalidRequest(
                f"'{repeated(name)}' means {len(found)} unfinished downloads: {ids}. Say which, by its id."
            )
        if found:
            return found[0]
    return None


def give_up(models: Path, id_: str) -> None:
    """Delete what has come of one. Blocks. Errors: Conflict while another program works on it."""
    try:
        job = read(models / FOLDER / id_, models)
        job.lock()
    except (OSError, ValueError) as error:
        raise Conflict("The download has changed in this moment. Look again with: fluid-server list") from error
    job.save_if_possible(DownloadState.CANCELLED)
    job.discard()


def _read(folder: Path, models: Path) -> Download | None:
    try:
        job = read(folder, models)
        job.look()
    except (OSError, ValueError):
        return None
    if not job.active:
        return job.snapshot()
    # What a program does at the moment is not written down, only that it is to be done.
    state = DownloadState.DOWNLOADING if _is_worked_on(job) else DownloadState.PAUSED
    return replace(job.snapshot(), state=state)


def _is_worked_on(job: Job) -> bool:
    """Whether another program has it. One that has ended has left the state that it had."""
    try:
        job.lock()
    except Conflict:
        return True
    except OSError:
        return False
    job.release()
    return False
