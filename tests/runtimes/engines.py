"""Driving a text runtime in this process: what the contract and the parity tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fluid_server.catalog.scan import scan
from fluid_server.errors import FluidError
from fluid_server.runtimes.text import TextRuntime
from fluid_server.types import Done, Event, GenerateRequest, Message, Sampling, TextPiece, Usage

SPECS = {spec.id: spec for spec in scan(Path(__file__).resolve().parents[2] / "models")}
GREEDY = Sampling(temperature=0.0)


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
