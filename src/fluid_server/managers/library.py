"""The catalog as the server holds it: read once, read again behind the answers' back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fluid_server.catalog.builtin import echo_spec
from fluid_server.catalog.resolve import find, resolve
from fluid_server.catalog.scan import scan
from fluid_server.errors import ModelNotFound
from fluid_server.types import ModelSpec

logger = logging.getLogger(__name__)
RESCAN_AFTER = 2.0


class Library:
    """What models there are. Scans run in a thread, one at a time."""

    def __init__(self, folder: Path, *, echo: bool) -> None:
        self._folder = folder
        self._echo = echo
        self._specs: tuple[ModelSpec, ...] = ()
        self._scanned = -RESCAN_AFTER
        self._scanning = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def specs(self, *, fresh: bool = False) -> tuple[ModelSpec, ...]:
        """The catalog. One that is older than a moment is read again behind the answer's back, so that models that
        were copied in appear and nobody waits for a disk; ``fresh`` waits."""
        asked = time.monotonic()
        if fresh or not self._specs:
            await self._rescan(asked)
        elif asked - self._scanned > RESCAN_AFTER and not self._scanning.locked():
            self._behind = asyncio.create_task(self._rescan(asked), name="scan")
        return self._specs

    async def _rescan(self, asked: float) -> None:
        async with self._scanning:
            if self._scanned >= asked:  # another scan began since: its result will do
                return
            self._scanned = time.monotonic()
            found = await asyncio.to_thread(scan, self._folder)
            self._specs = (*found, echo_spec()) if self._echo else found

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[None, None]:
        """While the folder is changed by us: no scan sees half of it, and the next answer is read afresh."""
        async with self._scanning:
            try:
                yield
            finally:
                self._scanned = -RESCAN_AFTER
                self._specs = ()

    async def find(self, model: str) -> ModelSpec:
        """The model of that name, ready to be used. Errors: ModelNotFound; ModelFailed where it is broken."""
        return await self._found(resolve, model)

    async def describe(self, model: str) -> ModelSpec:
        """The same for reading: a broken model is found too. Errors: ModelNotFound."""
        return await self._found(find, model)

    async def _found(self, search: Callable[[Sequence[ModelSpec], str], ModelSpec], model: str) -> ModelSpec:
        """A name that is not known is looked for afresh."""
        try:
            return search(await self.specs(), model)
        except ModelNotFound:
            return search(await self.specs(fresh=True), model)

    async def close(self) -> None:
        """Wait for a scan that is under way."""
        if self._behind is not None:
            await self._behind

    def say_what_is_there(self, specs: Sequence[ModelSpec]) -> None:
        """Tell the log what can be used, and what cannot and why."""
        usable = [spec for spec in specs if not spec.problem]
        if not usable:
            logger.warning("there is no usable model in %s: copy one in, or use --model-path", self._folder)
        for spec in specs:
            if spec.problem:
                logger.warning("model is broken: %s", spec.problem, extra={"model": spec.id})
        if usable:
            logger.info("models: %s", ", ".join(spec.id for spec in usable))
