"""What a server takes while it is soaked: memory, processes, threads, open files, and how long it takes to answer."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY = 1.0


@dataclass(frozen=True)
class Sample:
    """One look. Memory is resident, in megabytes; ``workers`` is the memory of all children together."""

    at: float
    server: float
    workers: float
    children: int
    threads: int
    files: int
    connections: int


class Pulse:
    """How long /health takes, asked again and again by a process of its own: ours is busy."""

    def __init__(self, address: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("health_watch.py")), address]
        self._watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def read(self, patience: float) -> list[float]:
        """All milliseconds; nothing where the server does not answer any more. It ends then."""
        try:
            return [took for _, took in json.loads(self._watcher.communicate(timeout=patience)[0])]
        except (subprocess.TimeoutExpired, ValueError):
            return []
        finally:
            self.end()

    def end(self) -> None:
        """Ask no more."""
        self._watcher.kill()
        self._watcher.communicate()


class Watch:
    """Samples of one server process and its children."""

    def __init__(self, pid: int) -> None:
        self.samples: list[Sample] = []
        self.seen: set[psutil.Process] = set()
        self._server = psutil.Process(pid)
        self._started = time.monotonic()

    async def go_on(self) -> None:
        """Look once a second until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> Sample:
        """One sample. A child that ends meanwhile counts for nothing."""
        server = self._server
        children = server.children(recursive=True)
        self.seen.update(children)
        sample = Sample(
            at=time.monotonic() - self._started,
            server=server.memory_info().rss / 1e6,
            workers=sum(_memory(child) for child in children),
            children=len(children),
            threads=server.num_threads(),
            files=_open_files(server),
            connections=len(server.net_connections(kind="tcp")),
        )
        self.samples.append(sample)
        return sample

    def level(self, name: str, first: float, last: float) -> float:
        """The median of a figure between these seconds."""
        values = [float(getattr(one, name)) for one in self.samples if first <= one.at <= last]
        return statistics.median(values or [float(getattr(self.samples[-1], name))])

    def left(self) -> Sequence[psutil.Process]:
        """Processes of the server that still run."""
        return psutil.wait_procs(list(self.seen), timeout=5)[1]


def _memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss / 1e6)
    except psutil.Error:
        return 0.0


def _open_files(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()
