"""Running streams: so many at a time, for so long or so often, and what came of each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil

from fluid_server.cli.bench_figures import Answer, Measured
from fluid_server.cli.bench_prompts import Ask, Prompts
from fluid_server.cli.bench_wire import Address, Connection, Exchange

EMPTY = "empty answer"
BREATH = 0.25  # seconds after a failure: a server that turns requests away is not asked as fast as it can say no


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of streams is run for: so many ``requests``, or else so many ``seconds``.

    When the time is over, answers that run are cut, but each stream's first one is waited for.
    """

    requests: int | None
    seconds: float
    silence: float


@dataclass(slots=True)
class Level:
    """One number of streams in one run, as it goes on."""

    streams: int
    run: int
    began: float = field(default_factory=time.perf_counter)
    ended: float = 0.0
    client_cpu: float = 0.0
    machine_cpu: float = 0.0
    started: int = 0
    finished: list[Exchange] = field(default_factory=list)
    running: dict[int, Exchange] = field(default_factory=dict)

    def now(self) -> str:
        """How far it is, in a line."""
        seconds = max(1e-9, time.perf_counter() - self.began)
        chunks = sum(len(one.reading.chunks) for one in (*self.finished, *self.running.values()))
        failed = sum(failure_of(one) is not None for one in self.finished)
        wrong = f", {failed} failed" if failed else ""
        return f"{len(self.finished) - failed} answers{wrong}, {chunks / seconds:,.0f} pieces of text/s"

    def measured(self) -> Measured:
        """What can be said of it now."""
        good = [one for one in self.finished if failure_of(one) is None]
        cut = [one for one in self.running.values() if one.sent]
        return Measured(
            streams=self.streams,
            run=self.run,
            seconds=(self.ended or time.perf_counter()) - self.began,
            answers=[_answer(one) for one in good],
            failures=Counter(kind for one in self.finished if (kind := failure_of(one)) is not None),
            cut=len(cut),
            cut_chunks=sum(len(one.reading.chunks) for one in cut),
            client_cpu=self.client_cpu,
            machine_cpu=self.machine_cpu,
        )


def failure_of(one: Exchange) -> str | None:
    """What went wrong, as a kind: the same for all failures that are alike."""
    if one.failure is not None:
        return one.failure
    if one.status != 200:
        code, _ = one.refusal
        return f"{one.status} {code}" if code else str(one.status)
    if one.reading.error is not None:
        return f"error in the stream: {one.reading.error}"
    if not one.streams:
        return "no stream"
    return None if one.reading.chunks else EMPTY


def _answer(one: Exchange) -> Answer:
    usage = one.reading.usage
    return Answer(
        chunks=[when - one.sent for when in one.reading.chunks],
        end=one.over - one.sent,
        tokens=usage.answer if usage else None,
        prompt_tokens=usage.prompt if usage else None,
        cached_tokens=usage.cached if usage else 0,
    )


class Runner:
    """Runs levels against one address. What is measured is kept in ``levels``, also of one that was cut short."""

    def __init__(self, address: Address, ask: Ask, prompts: Prompts, load: Load) -> None:
        self._address = address
        self._ask = ask
        self._prompts = prompts
        self._load = load
        self.levels: list[Level] = []

    async def run(self, streams: Sequence[int], runs: int, begin: Callable[[Level], None]) -> None:
        """All levels, so many times over: what changes on the machine meanwhile meets all of them."""
        for run in range(1, runs + 1):
            for count in streams:
                await self._level(count, run, begin)

    async def _level(self, streams: int, run: int, begin: Callable[[Level], None]) -> None:
        connections = [Connection(self._address, self._load.silence) for _ in range(streams)]
        level: Level | None = None
        cpu = 0.0
        try:
            await asyncio.gather(*(one.open() for one in connections), return_exceptions=True)
            psutil.cpu_percent(None)  # it tells of the time since it was last asked
            level, cpu = Level(streams, run), time.process_time()
            self.levels.append(level)
            begin(level)
            await self._streams(level, connections)
        finally:
            if level is not None:
                level.ended = time.perf_counter()
                level.client_cpu = (time.process_time() - cpu) / max(1e-9, level.ended - level.began)
                level.machine_cpu = psutil.cpu_percent(None) / 100
            for one in connections:
                one.close()

    async def _streams(self, level: Level, connections: Sequence[Connection]) -> None:
        """Every connection asks again and again, until it is enough for all."""
        first = [asyncio.Event() for _ in connections]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._stream(level, connection, done))
                for connection, done in zip(connections, first, strict=True)
            ]
            if self._load.requests is None:
                await asyncio.sleep(self._load.seconds)
                await asyncio.gather(*(done.wait() for done in first))
                for task in tasks:
                    task.cancel()

    async def _stream(self, level: Level, connection: Connection, first: asyncio.Event) -> None:
        limit = None if self._load.requests is None else max(self._load.requests, level.streams)
        while limit is None or level.started < limit:
            index, exchange = level.started, Exchange()
            level.started += 1
            level.running[index] = exchange
            prompt = self._prompts.prompt(f"{level.run}/{level.streams}/{index}")
            await connection.post(self._ask.path, self._ask.body(prompt), exchange)
            level.finished.append(level.running.pop(index))
            first.set()
            if failure_of(exchange) is not None:
                await asyncio.sleep(BREATH)
