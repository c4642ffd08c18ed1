"""What models take of the machine's memory, measured."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

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
    """Since when nobody has used a loaded model; None while it is in use, pinned or on its way."""
    return slot.idle_since if slot.state is State.READY and not slot.leases and not slot.pinned else None


def amount(count: int) -> str:
    """Bytes for people: 312 MB, 4.7 GB."""
    return f"{count / 1000**3:.1f} GB" if count >= 1000**3 else f"{max(0, count) / 1000**2:.0f} MB"


def claimed(slot: Slot) -> int:
    """What a model takes, or will take once it has loaded, or may take later of what it has reserved."""
    return max(slot.promised_bytes, memory_of(slot))


def committed(slot: Slot) -> int:
    """What a model that has loaded takes with all that it has reserved; 0 where that is nothing."""
    reserve = slot.info.reserve_bytes if slot.info else 0
    return memory_of(slot) + reserve if reserve else 0


def promised(slots: Iterable[Slot]) -> int:
    """Bytes that models which are loading right now will still take, and that loaded ones have reserved."""
    return sum(claimed(slot) - memory_of(slot) for slot in slots)
