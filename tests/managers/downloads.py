"""What the tests of downloads share: a manager on a folder of its own, and a program that can be killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from fluid_server.config import load_config
from fluid_server.managers.download_manager import DownloadManager
from fluid_server.managers.events import EventFeed
from fluid_server.managers.library import Library
from fluid_server.managers.transfer import Patience
from fluid_server.metrics import Metrics
from fluid_server.types import Download, DownloadState
from tests.front_door import CREATION_FLAGS, MODELS, PATIENCE, clean_environment
from tests.hub_server import HubServer

ROOT = MODELS.parent
GGUF, OPENVINO = MODELS / "llm" / "fluid-tiny-gguf", MODELS / "llm" / "fluid-tiny-ov"
F16, Q8 = "fluid-tiny-F16.gguf", "fluid-tiny-Q8_0.gguf"
WEIGHTS = "openvino_model.bin"
CHUNK = 1 << 20
TINY, BIG = "fluid/tiny-ov", "fluid/tiny-gguf"
SIZE = (GGUF / F16).stat().st_size
HALF = SIZE // 2
QUEUED, DOWNLOADING, VERIFYING, INSTALLING, PAUSED, COMPLETED, FAILED, CANCELLED = DownloadState
QUICK = Patience(stall=PATIENCE, retries=2, first=0.01, longest=0.02, soon=0.001)
HASTY = replace(QUICK, stall=0.5)  # for who is left hanging in the middle and goes on by himself


@dataclass(frozen=True)
class Bench:
    """A manager and what it works with."""

    manager: DownloadManager
    library: Library
    feed: EventFeed
    metrics: Metrics
    folder: Path

    async def end(self, id_: str) -> Download:
        """How a download ends, or that it is paused."""
        return [each async for each in self.manager.watch(id_)][-1]

    async def fetch(self, name: str) -> Download:
        """Pull, and wait for the end."""
        return await self.end((await self.manager.pull(name)).id)

    async def reach(self, id_: str, state: DownloadState) -> None:
        """Wait until it is in that state."""
        async for each in self.manager.watch(id_):
            if each.state is state:
                return
        raise AssertionError(f"it was never {state}")

    def left(self) -> list[str]:
        """What lies in the folder of the downloads."""
        return sorted(path.name for path in (self.folder / ".downloads").glob("*"))

    def counted(self, name: str, **labels: str) -> float:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(name, labels) or 0


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 2 * PATIENCE))


@asynccontextmanager
async def bench(
    folder: Path, *, patience: Patience | None = QUICK, start: bool = True, **settings: Any
) -> AsyncGenerator[Bench, None]:
    """A started manager, closed at the end."""
    library, feed, metrics = Library(folder, echo=False), EventFeed(), Metrics()
    config = load_config({"model_path": folder, **settings})
    made = Bench(DownloadManager(config, library, feed, metrics, patience=patience), library, feed, metrics, folder)
    try:
        if start:
            await made.manager.start()
        yield made
    finally:
        await made.manager.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def half(made: Bench, hub: HubServer) -> Download:
    """A download of which half has come and no more will."""
    hub.hold(F16, after=HALF)
    job = await made.manager.pull(f"{BIG}:F16")
    await until(lambda: made.manager.download(job.id).bytes_done >= HALF)
    return made.manager.download(job.id)


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def record(folder: Path) -> dict[str, Any]:
    """What a folder says of where its files came from."""
    found: dict[str, Any] = json.loads((folder / ".fluid.json").read_text(encoding="utf-8"))
    return found


def content_requests(hub: HubServer) -> list[str | None]:
    return [seen.path for seen in hub.requests if seen.path is not None]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def is_copy(folder: Path, original: Path, *names: str) -> bool:
    """Whether a folder has these files of another, all of them if none is named."""
    wanted = names or tuple(file.name for file in original.iterdir())
    return all((folder / name).read_bytes() == (original / name).read_bytes() for name in wanted)


def overlaps(hub: HubServer, path: str) -> list[int]:
    """For each connection about a file but the first: how many bytes it sent that were sent before."""
    ranges = hub.sent_ranges(path)
    return [max(0, before[1] - after[0]) for before, after in pairwise(ranges)]


class Program:
    """Another process that pulls a model. ``stuck``: it never comes to install it, since its library is busy."""

    def __init__(self, hub: HubServer, folder: Path, name: str, *, stuck: bool = False) -> None:
        code = f"from tests.managers.downloads import main; main({str(folder)!r}, {name!r}, stuck={stuck})"
        environment = clean_environment(hub.environment(folder / ".home"))
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, creationflags=CREATION_FLAGS
        )

    def kill(self) -> None:
        """As the power does."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def interrupt(self) -> None:
        """As Ctrl-C does; Windows knows no such signal for one program alone."""
        self._process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
        self._process.wait(PATIENCE)


def main(folder: str, name: str, *, stuck: bool) -> None:
    """The other process."""

    async def work() -> None:
        async with bench(Path(folder)) as made:
            if not stuck:
                await made.fetch(name)
            else:
                async with made.library.changing():
                    await made.fetch(name)

    with suppress(KeyboardInterrupt):
        asyncio.run(work())
