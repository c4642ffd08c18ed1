"""The catalog as the server holds it: read once, read again behind the answers' back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fluid_server.catalog.builtin import echo_spec
from fluid_server.catalog.presets import preset
from fluid_server.catalog.remove import Removal, plan, remove
from fluid_server.catalog.resolve import find, resolve
from fluid_server.catalog.scan import scan
from fluid_server.errors import ModelNotFound
from fluid_server.types import ModelSpec

logger = logging.getLogger(__name__)
RESCAN_AFTER = 2.0
LOOK = 1.0  # seconds that a listing may wait for the disk


class Library:
    """What models there are: in the folder, and in ``shipped``, where nothing is written. Scans run in a thread, one
    at a time."""

    def __init__(self, folder: Path, *, echo: bool, shipped: Path | None = None) -> None:
        self.folder = folder
        self._shipped = shipped
        self._echo = echo
        self._specs: tuple[ModelSpec, ...] = ()
        self._scanned = -RESCAN_AFTER
        self._stale = True
        self._scanning = asyncio.Lock()
        self._behind: set[asyncio.Task[None]] = set()

    async def specs(self, *, fresh: bool = False) -> tuple[ModelSpec, ...]:
        """The catalog. One that is older than a moment is read again behind the answer's back, so that models that
        were copied in appear and nobody waits for a disk; ``fresh`` waits."""
        asked = time.monotonic()
        if fresh or self._stale:
            await self._rescan(asked)
        elif asked - self._scanned > RESCAN_AFTER and not self._scanning.locked():
            self._look_again(asked)
        return self._specs

    async def listed(self) -> tuple[ModelSpec, ...]:
        """The catalog for somebody who looks at it: read afresh, but nobody waits long for a slow disk."""
        await asyncio.wait({self._look_again(time.monotonic())}, timeout=LOOK)
        return self._specs

    def _look_again(self, asked: float) -> asyncio.Task[None]:
        scanning = asyncio.create_task(self._rescan(asked), name="scan")
        self._behind.add(scanning)
        scanning.add_done_callback(self._behind.discard)
        return scanning

    async def _rescan(self, asked: float) -> None:
        async with self._scanning:
            if self._scanned > asked:  # another scan began since: its result will do
                return
            began = time.monotonic()
            found = await asyncio.to_thread(scan, self.folder, self._shipped)
            self._scanned = began  # now: one whose asker has left meanwhile has brought nothing
            self._stale = False
            self._specs = (*found, echo_spec()) if self._echo else found

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[None, None]:
        """While the folder is changed by us: no scan sees half of it, and the next answer is read afresh."""
        async with self._scanning:
            try:
                yield
            finally:
                self._scanned = -RESCAN_AFTER
                self._stale = True

    async def remove(self, spec: ModelSpec) -> Removal:
        """Delete a model's files. Errors: InvalidRequest for one that is built in, Conflict where a file is in use."""
        removal = await asyncio.to_thread(plan, spec, await self.specs(fresh=True), self.folder)
        async with self.changing():
            await asyncio.to_thread(remove, removal)
        return removal

    async def find(self, model: str) -> ModelSpec:
        """The model of that name, ready to be used. Errors: ModelNotFound; ModelFailed where it is broken."""
        return await self._found(resolve, model)

    async def at(self, path: Path) -> ModelSpec:
        """The model that lies there now, whatever its name is. Errors: ModelNotFound; ModelFailed where broken."""
        for fresh in (False, True):
            for spec in await self.specs(fresh=fresh):
                if spec.path == path:
                    return resolve([spec], spec.id)
        raise ModelNotFound(f"Model '{path.name}' is not there any more.", param="model")

    async def describe(self, model: str) -> ModelSpec:
        """The same for reading: a broken model is found too. Errors: ModelNotFound."""
        return await self._found(find, model)

    async def _found(self, search: Callable[[Sequence[ModelSpec], str], ModelSpec], model: str) -> ModelSpec:
        """A name that is not known is looked for afresh; a preset's alias means its repository."""
        known = preset(model)
        names = (model, known.name) if known else (model,)
        for fresh in (False, True):
            specs = await self.specs(fresh=fresh)
            for name in names:
                with suppress(ModelNotFound):
                    return search(specs, name)
        return search(specs, model)

    async def close(self) -> None:
        """Wait for a scan that is under way."""
        await asyncio.gather(*self._behind, return_exceptions=True)

    def say_what_is_there(self, specs: Sequence[ModelSpec]) -> None:
        """Tell the log what can be used, and what cannot and why."""
        usable = [spec for spec in specs if not spec.problem]
        if not usable:
            logger.warning(
                "there is no usable model in %s: fetch one ('fluid-server pull NAME'; 'fluid-server list --available' "
                "shows some), copy one in, or use --model-path",
                self.folder,
            )
        for spec in specs:
            if spec.problem:
                logger.warning("model is broken: %s", spec.problem, extra={"model": spec.id})
        if usable:
            logger.info("models: %s", ", ".join(spec.id for spec in usable))
