"""GET /live, /ready, /health: for supervisors, applications and people. They need no key."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict

from fastapi import APIRouter

from fluid_server import __version__
from fluid_server.api.deps import Manager
from fluid_server.api.errors import documented
from fluid_server.api.schemas.states import Architecture, Health, ModelState, RuntimeState, WorkerCounters
from fluid_server.errors import ShuttingDown, Unavailable
from fluid_server.machine import machine_architecture, process_architecture
from fluid_server.managers.memory import memory_of
from fluid_server.managers.slot import Slot
from fluid_server.types import ModelSpec

router = APIRouter(tags=["health"])
STARTED = time.monotonic()


@router.get("/live")
async def live() -> dict[str, str]:
    """The process runs and its event loop turns."""
    return {"status": "alive"}


@router.get("/ready", responses=documented(Unavailable))
async def ready(manager: Manager) -> dict[str, str]:
    """Warm-up is over: the first request will not have to wait for it."""
    if manager.closing:
        raise ShuttingDown("The server is shutting down.")
    if manager.warming:
        raise Unavailable("Models are still being warmed up.", code="warming_up", retry_after=1)
    return {"status": "ready"}


@router.get("/health")
async def health(manager: Manager) -> Health:
    """Version, machine, runtimes that import here with their devices, and every model's state."""
    report = manager.runtimes_now()
    return Health(
        status="shutting down" if manager.closing else "warming up" if manager.warming else "ready",
        version=__version__,
        uptime_seconds=round(time.monotonic() - STARTED, 1),
        architecture=Architecture(
            machine=machine_architecture(),
            process=process_architecture(),
            system=platform.system(),
            python=platform.python_version(),
        ),
        runtimes={name: RuntimeState(**asdict(entry)) for name, entry in report.items()} if report else None,
        models={spec.id: _model(manager.slot_at(spec), spec) for spec in await manager.library.specs()},
    )


def _model(slot: Slot | None, spec: ModelSpec) -> ModelState:
    if spec.problem:
        return ModelState(state="broken", problem=spec.problem)
    if slot is None:
        return ModelState(state="absent")
    handle, info = slot.handle, slot.info
    return ModelState(
        state=slot.state,
        problem=slot.failure.message if slot.failure else None,
        retry_in_seconds=round(slot.resting, 1) if slot.resting else None,
        pid=handle.pid if handle else None,
        runtime=info.runtime if info else None,
        device=info.device if info else None,
        memory_bytes=memory_of(slot),
        load_seconds=round(slot.load_seconds, 2) if handle else None,
        leases=slot.leases,
        queued=slot.turnstile.waiting,
        pinned=slot.pinned,
        counters=WorkerCounters(**handle.counters._asdict()) if handle else None,
    )
