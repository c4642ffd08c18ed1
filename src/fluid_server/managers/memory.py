"""What models take of the machine's memory, measured."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from fluid_server.managers.eviction import weights_in_memory
from fluid_server.managers.slot import Slot, State


def memory_of(slot: Slot) -> int:
    """The resident memory of a slot's worker in bytes, measured; 0 where there is none."""
    pid = slot.handle.pid if slot.handle else None
    if pid is None:
        return 0
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def idle_since(slot: Slot) -> float | None:
    """Since when nobody has used a loaded model; None while it is in use or on its way."""
    return slot.idle_since if slot.state is State.READY and not slot.leases else None


def gigabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1024**3:.1f} GB"


def promised(slots: Iterable[Slot]) -> int:
    """Bytes that models which are loading right now will still take."""
    loading = (slot for slot in slots if slot.state in (State.LOADING, State.WARMING))
    return sum(max(0, weights_in_memory(slot.spec) - memory_of(slot)) for slot in loading)
