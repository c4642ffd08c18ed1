"""Bringing a model into memory: one candidate after the other until one loads, and proof that it works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from fluid_server.config import ServerConfig
from fluid_server.errors import FluidError, InvalidRequest, ModelFailed
from fluid_server.managers.selection import Candidate, select
from fluid_server.managers.slot import Slot
from fluid_server.managers.warm_up import first_request
from fluid_server.types import ModelSpec, RuntimeOptions
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report
from fluid_server.workers.protocol import Load


class Loader:
    """Starts workers for slots. Knows the configuration and what imports here, and no other slot."""

    def __init__(self, config: ServerConfig, reports: Callable[[], Awaitable[Report]]) -> None:
        self._config = config
        self._reports = reports

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
            handle = WorkerHandle(slot.spec.id, lambda ended: on_end(slot, ended))
            slot.handle = handle
            try:
                await handle.start(self._message(slot.spec, candidate, kv_budget), self._config.load_timeout)
            except FluidError as error:
                slot.notes.append(f"{candidate.runtime} on {candidate.device} did not load it: {error.message}")
                failure = error
            else:
                return handle
        assert failure is not None
        raise ModelFailed(f"Model '{slot.spec.id}' did not load: {failure.message}") from failure

    async def warm(self, handle: WorkerHandle, spec: ModelSpec) -> None:
        """One small request: compiles what is compiled late, and finds what only breaks at first use."""
        request = first_request(spec)
        if request is None:
            return
        try:
            async with aclosing(handle.run(request)) as batches:
                async for _ in batches:
                    pass
        except InvalidRequest as error:  # the request is ours, so this is the model's fault and not a client's
            raise ModelFailed(f"Model '{spec.id}' failed on its first request: {error.message}") from error

    def _message(self, spec: ModelSpec, candidate: Candidate, kv_budget: int) -> Load:
        config = self._config
        options = RuntimeOptions(
            device=candidate.device,
            threads=config.threads,
            parallel=config.parallel,
            context_length=config.context_length,
            kv_budget_bytes=kv_budget,
            cache_dir=config.cache_path,
            properties=config.openvino,
        )
        return Load(candidate.runtime, spec, options)
