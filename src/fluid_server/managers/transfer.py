"""One file of a repository onto the disk: taken up where it was cut, tried again, and checked."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fluid_server.catalog import hub
from fluid_server.catalog.remote import Begin, Interrupted, RangeNotSatisfiable, RemoteFile
from fluid_server.errors import DownloadDamaged, HubUnreachable
from fluid_server.managers import disk
from fluid_server.managers.disk import Appender, Checker, in_thread

PART = ".part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """When a transfer tries again. Times in seconds; ``retries`` is how often in a row without a byte.

    The waits double from ``first`` to ``longest``; after a try that brought bytes it is at most ``soon``. After
    ``stall`` seconds without a byte the connection is made anew.
    """

    stall: float = 30.0
    retries: int = 6
    first: float = 0.5
    longest: float = 30.0
    soon: float = 0.2

    def before(self, failed: int) -> float:
        """How long to wait after so many tries in a row without a byte."""
        spread = random.uniform(0.75, 1)  # noqa: S311 - so that not all clients come back at once
        doubled = self.first * 2.0 ** min(failed - 1, 20)
        return spread * (min(self.longest, doubled) if failed else self.soon)


class Listener(Protocol):
    """Whom a transfer tells how far it is."""

    def at(self, done: int) -> None:
        """So many bytes lie on the disk: told before each try, and when a part is thrown away."""

    def came(self, count: int) -> None:
        """So many more bytes came and were written."""

    def says(self, note: str | None) -> None:
        """What it waits for; None once it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a file comes from: a commit of a repository."""

    repo: str
    revision: str
    file: RemoteFile


class Transfer:
    """Brings one file to ``goal``, by way of ``goal`` + ``.part``. Cancelling it leaves the part to go on from."""

    def __init__(self, source: Source, goal: Path, listener: Listener, patience: Patience, checker: Checker) -> None:
        self._source = source
        self._file = source.file
        self._goal = goal
        self._part = goal.with_name(goal.name + PART)
        self._listener = listener
        self._patience = patience
        self._checker = checker
        self._at = 0

    async def run(self) -> None:
        """Fetch, check, and move to its place. Errors: HubError's family, OSError (the part stays)."""
        for again in (True, False):
            await self._fetch()
            if await self._checker.agrees(self._part, self._file, keep=True):
                await in_thread(lambda: disk.move(self._part, self._goal))
                return
            await in_thread(self._part.unlink)
            self._listener.at(0)
            if again:
                self._listener.says(f"'{self._file.path}' came damaged: it is fetched once more")
        raise DownloadDamaged(
            f"'{self._file.path}' of {self._source.repo} came damaged twice: what came is not what the Hub says it is. "
            "Pull it again to fetch this file once more; the other files are kept."
        )

    async def _fetch(self) -> None:
        """Try until the part is as long as the file. A try has failed that brought the file no further."""
        self._at = furthest = await in_thread(self._length)
        failed = 0
        while self._at < self._file.size:
            self._listener.at(self._at)
            cut = await self._try()
            if self._at >= self._file.size:
                break
            failed = 0 if self._at > furthest else failed + 1
            furthest = max(furthest, self._at)
            await self._wait(cut, failed)
            self._at = await in_thread(self._length)
        self._listener.at(self._at)
        self._listener.says(None)

    def _length(self) -> int:
        """How long the part is. One that is longer than the file is none of this file."""
        self._part.parent.mkdir(parents=True, exist_ok=True)
        with self._part.open("ab") as part:
            if part.tell() > self._file.size:
                part.truncate(0)
            return self._part.stat().st_size

    async def _try(self) -> Interrupted:
        """One connection. Returns what ended it; where the file is complete by then, nobody asks."""
        try:
            async with disk.appending(self._part, self._written) as part:
                await self._receive(part)
        except RangeNotSatisfiable:
            await in_thread(self._part.unlink)
            self._moved(0)
            return Interrupted("the Hub had nothing to go on with")
        except Interrupted as cut:
            return cut
        return Interrupted("the answer ended early")

    async def _receive(self, part: Appender) -> None:
        source, stall = self._source, self._patience.stall
        pieces = hub.fetch(source.repo, source.revision, self._file.path, start=self._at, stall=stall)
        left = self._file.size - self._at
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Begin):
                    await self._begin(part, piece.start)
                    left = self._file.size - piece.start
                elif left:
                    self._listener.says(None)
                    await part.add(piece[:left])
                    left -= min(left, len(piece))
                else:
                    return  # more than there should be: the check decides

    async def _begin(self, part: Appender, start: int) -> None:
        """The bytes begin there: at the part's end, or anew where the server knows no ranges."""
        if start != self._at:
            await in_thread(lambda: part.truncate(start))
            self._moved(start)

    def _moved(self, at: int) -> None:
        self._at = at
        self._listener.at(at)

    def _written(self, count: int) -> None:
        self._at += count
        self._listener.came(count)

    async def _wait(self, cut: Interrupted, failed: int) -> None:
        """Until the next try. Errors: HubUnreachable when there were enough."""
        if failed > self._patience.retries:
            raise HubUnreachable(
                f"'{self._file.path}' of {self._source.repo} could not be fetched: {cut.reason}, {failed} times in a "
                "row. What has come is kept: look at the network, then pull it again."
            )
        wait = max(self._patience.before(failed), cut.retry_after or 0.0)
        when = f" in {wait:.0f} s" if wait >= 1 else ""
        count = f", try {failed} of {self._patience.retries}" if failed else ""
        self._listener.says(f"{cut.reason}: trying again{when}{count}")
        await asyncio.sleep(wait)
