"""Bringing a model into memory: one candidate after the other until one loads, and proof that it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from fluid_server.config import ServerConfig
from fluid_server.errors import FluidError, ModelFailed
from fluid_server.managers.memory import committed
from fluid_server.managers.selection import Candidate, select
from fluid_server.managers.slot import Slot, State
from fluid_server.managers.warm_up import first_request
from fluid_server.types import Format, ModelSpec, RuntimeOptions
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report
from fluid_server.workers.protocol import Load, Progress

MakeHandle = Callable[[str, Callable[[WorkerHandle], None], Callable[[Progress], None]], WorkerHandle]


class Loader:
    """Starts workers for slots. Knows the configuration and what imports here, and no other slot."""

    def __init__(
        self,
        config: ServerConfig,
        reports: Callable[[], Awaitable[Report]],
        on_progress: Callable[[str, Progress], None] = lambda model, progress: None,
        make_handle: MakeHandle = WorkerHandle,
    ) -> None:
        self._config = config
        self._reports = reports
        self._on_progress = on_progress
        self._make_handle = make_handle

    async def load(
        self, slot: Slot, make_room: Callable[[Slot], Awaitable[int]], on_end: Callable[[Slot, WorkerHandle], None]
    ) -> WorkerHandle:
        """Try the candidates in order; what failed before the one that loads is noted. Errors: the last failure.

        ``make_room`` is asked once there is a candidate at all; it returns the KV cache's budget in bytes.
        """
        choice = select(slot.spec, await self._reports(), self._config.device)
        if not choice.candidates:
            raise ModelFailed(f"Model '{slot.spec.id}' cannot run here: {choice.reason}.")
        kv_budget = await make_room(slot)
        failure: FluidError | None = None
        for candidate in choice.candidates:
            handle = self._make_handle(
                slot.spec.id,
                lambda ended: on_end(slot, ended),
                lambda progress: self._on_progress(slot.spec.id, progress),
            )
            slot.handle = handle
            try:
                await self._bring_up(slot, handle, self._message(slot.spec, candidate, kv_budget))
            except FluidError as error:
                slot.notes.append(f"{candidate.runtime} on {candidate.device} did not load it: {error.message}")
                failure = error
            else:
                return handle
        assert failure is not None
        raise ModelFailed(f"Model '{slot.spec.id}' did not load: {failure.message}") from failure

    async def _bring_up(self, slot: Slot, handle: WorkerHandle, message: Load) -> None:
        await handle.start(message, self._config.load_timeout)
        slot.move(State.WARMING)
        try:
            await self._warm(handle, slot.spec)
        except FluidError as error:  # the request is ours: whatever it fails with is the model's fault
            slot.move(State.LOADING)
            await handle.stop(0)
            raise ModelFailed(f"it failed on its first request: {error.message}") from error
        slot.promised_bytes = committed(slot)

    async def _warm(self, handle: WorkerHandle, spec: ModelSpec) -> None:
        """One small request: compiles what is compiled late, and finds what only breaks at first use."""
        request = first_request(spec)
        if request is None:
            return
        try:
            async with asyncio.timeout(self._config.load_timeout), aclosing(handle.run(request)) as batches:
                async for _ in batches:
                    pass
        except TimeoutError:
            raise ModelFailed(f"no answer within {self._config.load_timeout:.0f} s") from None

    def _message(self, spec: ModelSpec, candidate: Candidate, kv_budget: int) -> Load:
        config = self._config
        options = RuntimeOptions(
            device=candidate.device,
            threads=config.threads,
            parallel=config.parallel,
            context_length=config.context_length,
            kv_budget_bytes=kv_budget,
            cache_dir=config.cache_path,
            dialect=dialect_of(spec, config.dialect),
            properties=config.qnn if spec.format is Format.QNN else config.openvino,
        )
        return Load(candidate.runtime, spec, options)


def dialect_of(spec: ModelSpec, dialects: Mapping[str, str]) -> str | None:
    """The dialect that is set for a model, by any of its names; None where none is."""
    return next((dialects[name] for name in (spec.id, *spec.aliases) if name in dialects), None)
