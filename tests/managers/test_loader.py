"""One candidate after the other until one loads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fluid_server.catalog.scan import scan
from fluid_server.config import load_config
from fluid_server.errors import ModelFailed
from fluid_server.managers.loader import Loader, dialect_of
from fluid_server.managers.slot import Slot, State
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.probe import Report, RuntimeReport

MODELS = Path(__file__).resolve().parents[2] / "models"
MISSING_GPU = "GPU.97"
BUDGET = 64 * 1024**2


def loader(*devices: str) -> Loader:
    """A loader on a machine that says it has these devices."""

    async def reports() -> Report:
        return {"openvino": RuntimeReport(bool(devices), "1", devices, None if devices else "no wheel")}

    return Loader(load_config({"model_path": MODELS}), reports)


async def room(slot: Slot) -> int:
    return BUDGET


def ended(slot: Slot, handle: WorkerHandle) -> None:
    return


def load(of: Loader, slot: Slot, make_room: Callable[[Slot], Awaitable[int]] = room) -> WorkerHandle:
    async def work() -> WorkerHandle:
        slot.move(State.LOADING)
        handle = await of.load(slot, make_room, ended)
        await handle.stop(10)
        return handle

    return asyncio.run(work())


@pytest.fixture
def slot() -> Slot:
    return Slot(next(spec for spec in scan(MODELS) if spec.id == "fluid-tiny-ov"))


def test_when_the_first_device_fails_the_next_is_tried_and_the_reason_is_noted(slot: Slot) -> None:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    handle = load(loader("CPU", MISSING_GPU), slot)
    assert handle.info is not None
    assert handle.info.device == "CPU"
    (note,) = slot.notes
    assert note.startswith(f"openvino on {MISSING_GPU} did not load it: compiling for {MISSING_GPU} failed")


def test_when_all_fail_the_last_reason_is_told(slot: Slot) -> None:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    with pytest.raises(ModelFailed, match="'fluid-tiny-ov' did not load"):
        load(loader(MISSING_GPU), slot)
    assert len(slot.notes) == 1


def test_without_a_runtime_nothing_is_unloaded_for_it(slot: Slot) -> None:
    asked = []

    async def make_room(slot: Slot) -> int:
        asked.append(slot)
        return BUDGET

    with pytest.raises(ModelFailed, match="no wheel"):
        load(loader(), slot, make_room)
    assert asked == []


def test_a_dialect_is_set_by_any_of_a_models_names(slot: Slot) -> None:
    spec = replace(slot.spec, aliases=("tiny",))
    assert dialect_of(spec, {"tiny": "hermes", "other": "llama"}) == "hermes"
    assert dialect_of(spec, {spec.id: "llama", "tiny": "hermes"}) == "llama"
    assert dialect_of(spec, {"other": "llama"}) is None
