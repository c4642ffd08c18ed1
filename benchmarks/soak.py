"""Minutes of random clients on one server: no hang, no lost request, no process left, memory flat.

uv run benchmarks/soak.py [--seconds 300] [--seed 1] [--clients 12] [--json FILE]

Chats, completions, transcriptions, loads, unloads, pins, downloads from a Hub that fails, clients that leave, bad
requests and killed workers, on the demo models, with room for three of them. Every request must end as it may in its
situation. What the clients do follows from the seed; when it happens does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


import httpx

from benchmarks.figures import percentile
from benchmarks.soak_actions import ACTIONS
from benchmarks.soak_client import PATIENCE, Client, World
from benchmarks.soak_models import MAX_LOADED
from benchmarks.soak_watch import Pulse, Sample, Watch
from tests.front_door import MODELS, RunningServer, until
from tests.hub_server import HubServer

FLAGS = (
    "--echo", "--no-warm-up", "--max-loaded", str(MAX_LOADED), "--max-memory", "600MB", "--idle-timeout", "3",
    "--parallel", "4", "--max-queue", "16", "--max-downloads", "2", "--download-stall", "2", "--download-retries", "3",
    "--heartbeat", "1",
    # In f32 answers are the same everywhere; and with bf16 and one thread, OpenVINO 2026.4.1 dies on CPUs with AMX.
    "--openvino", "INFERENCE_PRECISION_HINT=f32",
)  # fmt: skip
SHOWN = 20  # failures and problems that are told in full
THINK = 0.15  # seconds between what a client does and what it does next, on average
WARM = 30.0  # seconds after which memory should not grow any more
# Megabytes by which the server may be larger at the end than after WARM: malloc's threads leave holes. Measured 7 to 16
# in five minutes, while the number of Python's objects stayed the same and malloc_trim gave them back.
GROWTH = 25.0
FILES = 4  # open files more at the end than before
EXPECTED_ERRORS = ("model did not load", "worker died")
NEVER = ("Traceback", "defect", "never retrieved", "does not go from", "was never awaited", "worker hangs")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long, which dice, how many at once."""

    seconds: float = 300.0
    seed: int = 1
    clients: int = 12


@dataclass(frozen=True)
class Result:
    """All that was found. No problem: it has passed."""

    settings: Settings
    world: World
    watch: Watch
    health: list[float]
    before: Sample
    after: Sample
    problems: list[str]


@contextmanager
def served(folder: Path, *flags: str) -> Generator[tuple[RunningServer, HubServer], None, None]:
    """A server on a copy of the demo models, and a Hub for it. Its temporary files are below ``folder`` too."""
    models = folder / "models"
    shutil.copytree(MODELS, models, ignore=shutil.ignore_patterns("cache", ".*"))
    (folder / "temporary").mkdir()
    with HubServer() as hub:
        hub.add("soak/tiny-GGUF", MODELS / "llm" / "fluid-tiny-gguf")
        hub.add("soak/tiny-ov", MODELS / "llm" / "fluid-tiny-ov")
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder / "temporary"))
        environment = hub.environment(folder / "home") | places
        server = RunningServer.start(*flags, env=environment, folder=folder, models=models)
        try:
            yield server, hub
        finally:
            server.stop()


def soak(settings: Settings, folder: Path) -> Result:
    """All of it. The folder must be empty."""
    with served(folder, *FLAGS) as (server, hub):
        seen = Watch(server.process.pid)
        before = at_rest(server, seen)
        world = World(server, hub, settings.seed)
        health = asyncio.run(live(world, seen, settings))
        problems, after = asyncio.run(come_to_rest(world, seen))
        problems += [*stopped(server), *left_behind(server, seen, folder), *grown(settings, seen, before, after)]
    return Result(settings, world, seen, health, before, after, problems)


def stopped(server: RunningServer) -> list[str]:
    """End it as a supervisor would, and what is wrong with how it ended."""
    try:
        code = server.stop()
    except subprocess.TimeoutExpired:
        return ["it did not end when it was told to, and was killed"]
    return [f"the exit code is {code}"] if code else []


def at_rest(server: RunningServer, seen: Watch) -> Sample:
    """What it takes once it has looked for its runtimes, and nobody has asked for anything."""
    until(lambda: server.health()["runtimes"])
    return seen.look()


async def live(world: World, seen: Watch, settings: Settings) -> list[float]:
    """The clients' lives; returns the milliseconds that /health took meanwhile."""
    pulse = Pulse(world.server.address or "")
    watching = asyncio.create_task(seen.go_on())
    clients = [Client(world, number) for number in range(settings.clients)]
    try:
        await asyncio.gather(*(one_life(client, settings.seconds) for client in clients))
        return await asyncio.to_thread(pulse.read, PATIENCE)
    finally:
        watching.cancel()
        pulse.end()


async def one_life(client: Client, seconds: float) -> None:
    """Act, think, act, until the time is over."""
    names, weights = list(ACTIONS), [weight for _, weight in ACTIONS.values()]
    async with client.http, client.sdk:
        while client.world.elapsed < seconds:
            name = client.dice.choices(names, weights)[0]
            await client.do(name, ACTIONS[name][0])
            await asyncio.sleep(client.dice.expovariate(1 / THINK))


# --- the end -----------------------------------------------------------------------------------------------


async def come_to_rest(world: World, seen: Watch) -> tuple[list[str], Sample]:
    """Cancel all downloads, unpin and unload all models: nothing may be held or running then."""
    client, problems = Client(world, 9999), []
    async with client.http:
        for verb in (cancel_downloads, unload_all, all_gone):
            said = "nothing was said"
            try:
                async with asyncio.timeout(PATIENCE):
                    while said := await verb(client, seen):  # noqa: ASYNC110 - it is not told when it is so
                        await asyncio.sleep(0.1)
            except (TimeoutError, httpx.HTTPError) as error:
                problems.append(f"it did not come to rest: {said} {error!r}")
    await asyncio.sleep(2)  # what was closed is freed
    return problems, seen.look()


async def cancel_downloads(client: Client, _: Watch) -> str:
    """What still downloads; nothing when nothing does."""
    found = (await client.http.get("/v1/downloads")).json()["data"]
    jobs = [one for one in found if one["state"] not in ("completed", "cancelled")]
    for job in jobs:
        await client.http.post(f"/v1/downloads/{job['id']}/cancel")
    return ", ".join(f"download {job['id']} is {job['state']}" for job in jobs)


async def unload_all(client: Client, _: Watch) -> str:
    """Which models will not go; nothing when all have gone."""
    refused = []
    for model in (await client.http.get("/v1/models")).json()["data"]:
        await client.http.post(f"/v1/models/{model['id']}/pin", json={"pinned": False})
        answer = await client.http.post(f"/v1/models/{model['id']}/unload")
        if not answer.is_success or answer.json()["state"] not in ("absent", "broken"):
            refused.append(f"{model['id']} is not unloaded: {answer.text[:300]}")
    return "; ".join(refused)


async def all_gone(client: Client, seen: Watch) -> str:
    """What is still held by somebody; nothing when nothing is."""
    models = (await client.http.get("/health")).json()["models"]
    held = [f"{name}: {one}" for name, one in models.items() if one["pid"] or one["leases"] or one["queued"]]
    gauges = [
        line for line in (await client.http.get("/metrics")).text.splitlines()
        if line.startswith(("fluid_requests_running", "fluid_requests_waiting")) and not line.endswith(" 0.0")
    ]  # fmt: skip
    children = [f"process {seen.look().children} left"] if seen.look().children else []
    return "; ".join([*held, *gauges, *children])


def left_behind(server: RunningServer, seen: Watch, folder: Path) -> list[str]:
    """What should not be there once the server has ended."""
    problems = [f"process {process.pid} still runs" for process in seen.left()]
    files = [*(folder / "temporary").iterdir(), *(folder / "models" / ".downloads").glob("*/*")]
    files += [one for one in [folder / "models" / ".server.json"] if one.exists()]
    problems += [f"left behind: {one.relative_to(folder)}" for one in files]
    for line in server.log:
        if any(word in line for word in NEVER) or (
            " ERROR " in line and not any(one in line for one in EXPECTED_ERRORS)
        ):
            problems.append(f"in the log: {line}")
    return problems


def grown(settings: Settings, seen: Watch, before: Sample, after: Sample) -> list[str]:
    """What has grown that should be flat. A run that is too short says nothing about memory."""
    problems = []
    if after.files > before.files + FILES:
        problems.append(f"open files: {before.files} before, {after.files} after")
    early, late = levels(settings, seen)
    if settings.seconds >= 2 * WARM and max(late, after.server) > early + GROWTH:
        problems.append(
            f"memory: {early:.0f} MB after {WARM:.0f} s, {late:.0f} MB in the end, {after.server:.0f} MB idle"
        )
    return problems


def levels(settings: Settings, seen: Watch) -> tuple[float, float]:
    """The server's megabytes after WARM seconds, and under load at the end."""
    end = settings.seconds
    return seen.level("server", min(WARM, end / 2) - 5, min(WARM, end / 2) + 5), seen.level("server", end - 10, end)


# --- telling -----------------------------------------------------------------------------------------------


def show(result: Result) -> None:
    """The tables and the verdict."""
    world = result.world
    outcomes = summed(world)
    print(f"{'action':<24}{'times':>7}{'slowest s':>11}   outcomes")
    for name, found in outcomes.items():
        said = ", ".join(f"{what} {count}" for what, count in sorted(found.items(), key=lambda pair: -pair[1]))
        print(f"{name:<24}{sum(found.values()):>7}{world.slowest[name]:>11.1f}   {said}")
    print(f"{'all':<24}{world.counts.total():>7}{max(world.slowest.values(), default=0):>11.1f}\n")
    show_resources(result)
    for failure in world.failures[:SHOWN]:
        print(f"\nWRONG at {failure.at:.1f} s, client {failure.client}, {failure.action}: {failure.what}")
        print(f"  {failure.request}")
        print("\n".join(f"    {line}" for line in failure.log))
    for problem in result.problems[:SHOWN]:
        print(f"PROBLEM: {problem}")
    print(f"\n{'FAILED' if failed(result) else 'passed'}: {len(world.failures)} wrong outcomes, "
          f"{len(result.problems)} problems")  # fmt: skip


def show_resources(result: Result) -> None:
    """Memory, processes, threads, files and latency."""
    samples, settings = result.watch.samples, result.settings
    early, late = levels(settings, result.watch)
    print(f"{'':<18}{'before':>8}{'median':>8}{'most':>8}{'after':>8}")
    for name in ("server", "workers", "children", "threads", "files", "connections"):
        values = [float(getattr(one, name)) for one in samples]
        row = (getattr(result.before, name), statistics.median(values), max(values), getattr(result.after, name))
        unit = " MB" if name in ("server", "workers") else ""
        print(f"{name + unit:<18}" + "".join(f"{value:>8.0f}" for value in row))
    print(f"server MB under load: {early:.0f} after {min(WARM, settings.seconds / 2):.0f} s, {late:.0f} in the end")
    if result.health:
        middle, most = statistics.median(result.health), max(result.health)
        print(
            f"/health ms: median {middle:.1f}, 99th percentile {percentile(result.health, 0.99):.0f}, most {most:.0f}"
        )


def summed(world: World) -> dict[str, dict[str, int]]:
    """How often each action had which outcome."""
    found: dict[str, dict[str, int]] = {}
    for (name, outcome), count in sorted(world.counts.items()):
        found.setdefault(name, {})[outcome] = count
    return found


def failed(result: Result) -> bool:
    """Whether anything was as it must not be."""
    return bool(result.world.failures or result.problems)


def as_json(result: Result) -> dict[str, Any]:
    """All figures."""
    return {
        "settings": asdict(result.settings), "passed": not failed(result), "actions": summed(result.world),
        "slowest": dict(result.world.slowest), "failures": [asdict(one) for one in result.world.failures],
        "problems": result.problems, "before": asdict(result.before), "after": asdict(result.after),
        "samples": [asdict(one) for one in result.watch.samples],
    }  # fmt: skip


def main() -> int:
    """Soak and tell; the exit code is 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="how long (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="what the clients' dice begin with (default: 1)")
    parser.add_argument("--clients", type=int, default=12, help="clients at once (default: 12)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    settings = Settings(seconds=options.seconds, seed=options.seed, clients=options.clients)
    with tempfile.TemporaryDirectory(prefix="fluid-soak-", ignore_cleanup_errors=True) as folder:
        try:
            result = soak(settings, Path(folder))
        except KeyboardInterrupt:
            print("\ninterrupted: nothing is left running")
            return 130
    show(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(as_json(result), indent=2), encoding="utf-8")
    return int(failed(result))


if __name__ == "__main__":
    sys.exit(main())
