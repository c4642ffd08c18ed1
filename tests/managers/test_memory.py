"""What models take of the machine's memory, and what they may still come to take."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import cast

import pytest

from fluid_server.managers.memory import claimed, committed, memory_of, promised
from fluid_server.managers.slot import Slot
from fluid_server.types import ModelInfo
from fluid_server.workers.handle import WorkerHandle
from tests.managers.test_eviction import model

LARGE = 10**12  # bytes, beside which it does not matter what this process itself takes meanwhile


@dataclass
class Here:
    """A worker that is this process."""

    info: ModelInfo
    pid: int = os.getpid()


def ready(reserve: int) -> Slot:
    """A model that has loaded."""
    info = ModelInfo(runtime="llamacpp", device="CPU", parallel=1, reserve_bytes=reserve)
    slot = Slot(model(1), handle=cast("WorkerHandle", Here(info)))
    slot.promised_bytes = committed(slot)
    return slot


def test_what_a_model_has_reserved_is_not_promised_to_another() -> None:
    assert claimed(ready(LARGE)) > LARGE
    assert promised([ready(LARGE)]) == pytest.approx(LARGE, rel=0.01)


def test_a_model_that_has_reserved_nothing_takes_what_it_takes() -> None:
    slot = ready(0)
    assert slot.promised_bytes == 0
    assert memory_of(slot) > 0
    assert promised([slot]) == pytest.approx(0, abs=2**30)
