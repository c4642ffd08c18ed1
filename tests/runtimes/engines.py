"""Driving a text runtime in this process: what the contract and the parity tests share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fluid_server.catalog.scan import scan
from fluid_server.errors import FluidError
from fluid_server.runtimes import llamacpp, openvino_llm
from fluid_server.runtimes.openvino_stateful import Stateful
from fluid_server.runtimes.table import create
from fluid_server.runtimes.text import TextRuntime
from fluid_server.types import Done, Event, GenerateRequest, Message, RuntimeOptions, Sampling, TextPiece, Usage

SPECS = {spec.id: spec for spec in scan(Path(__file__).resolve().parents[2] / "models")}
GREEDY = Sampling(temperature=0.0)


# id → (runtime, model, package that must be there)
RUNTIMES = {
    "openvino": ("openvino", "fluid-tiny-ov", "openvino_genai"),
    "openvino-one-place": ("openvino", "fluid-tiny-ov", "openvino_genai"),
    "openvino-stateful": ("openvino", "fluid-tiny-ov", "openvino_genai"),
    "llamacpp-F16": ("llamacpp", "fluid-tiny-gguf:F16", "xllamacpp"),
    "llamacpp-Q8_0": ("llamacpp", "fluid-tiny-gguf:Q8_0", "xllamacpp"),
    "llamacpp-native": ("llamacpp", "fluid-tiny-gguf:F16", "llama_cpp"),
}


@contextmanager
def loaded(which: str) -> Generator[TextRuntime, None, None]:
    """One of RUNTIMES with its demo model; skips where its engine has no wheel."""
    name, model, package = RUNTIMES[which]
    if find_spec(package) is None:
        pytest.skip(f"{package} has no wheel for this platform, or is not installed")
    parallel = 1 if which == "openvino-one-place" else 4
    with pytest.MonkeyPatch.context() as patch:
        if which == "openvino-stateful":  # what an NPU gets, on the CPU
            patch.setattr(openvino_llm, "engine_for", lambda device: Stateful)
        patch.setattr(llamacpp, "WAYS", tuple(way for way in llamacpp.WAYS if package in way.modules) or llamacpp.WAYS)
        made = create(name)
        assert isinstance(made, TextRuntime)
        made.load(SPECS[model], RuntimeOptions(parallel=parallel), lambda text, done: None)
    yield made
    made.close()


class Numbers:
    """Request ids, unique over all tests of a runtime."""

    last = 0

    @classmethod
    def next(cls) -> int:
        cls.last += 1
        return cls.last


def ask(text: str, **fields: Any) -> GenerateRequest:
    settings: dict[str, Any] = {"messages": (Message(role="user", content=text),), "sampling": GREEDY, **fields}
    return GenerateRequest(**settings)


def answers(runtime: TextRuntime, *requests: GenerateRequest) -> list[list[Event | FluidError]]:
    """All events of these requests, run together."""
    numbers = [Numbers.next() for _ in requests]
    collected: dict[int, list[Event | FluidError]] = {number: [] for number in numbers}
    for number, request in zip(numbers, requests, strict=True):
        runtime.add(number, request)
    for _ in range(20_000):
        if not runtime.busy:
            return list(collected.values())
        for number, event in runtime.step():
            collected[number].append(event)
    raise AssertionError("the runtime does not end")


def text_of(events: list[Event | FluidError], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextPiece) and event.choice == choice)


def usage_of(events: list[Event | FluidError]) -> Usage:
    assert isinstance(events[-1], Done)
    return events[-1].usage
