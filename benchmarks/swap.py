"""A to B to A with memory for one model: every request answered, none cut by an unload, the memory given back.

uv run benchmarks/swap.py [--rounds 10] [--clients 6] [--seconds 20] [--json FILE]

First one request at a time, for A, B, A, B …: each makes the other model go. Then clients that each want A and B in
turn, all at once: who is turned away since the other model is in use (507) asks again until there is an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import percentile, spread
from benchmarks.soak import at_rest, served, stopped
from benchmarks.soak_client import Ask, Client, World
from benchmarks.soak_watch import Watch
from tests.front_door import GGUF, OPENVINO

PAIR = (OPENVINO, GGUF)
FLAGS = ("--no-warm-up", "--idle-timeout", "0", "--openvino", "INFERENCE_PRECISION_HINT=f32")
SPARE = 10_000_000  # bytes beside the larger of the two
KEPT = 15.0  # megabytes that the server may keep of what it has imported and allocated on the way
AGAIN = 0.05  # seconds before somebody who was turned away asks again
QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
COUNTED = ("model_loads", "model_evictions", "model_unloads", "requests")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How many swaps of one request after the other; then how many clients at once, and for how long."""

    rounds: int = 10
    clients: int = 6
    seconds: float = 20.0


@dataclass
class Result:
    """What was found. Memory in megabytes of the server and its workers together, seconds for requests."""

    budget: int = 0
    levels: dict[str, float] = field(default_factory=dict)
    swaps: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    turned_away: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def swap(settings: Settings, folder: Path) -> Result:
    """All of it. The folder must be empty."""
    result = Result()
    (folder / "first").mkdir()
    with served(folder / "first", *FLAGS) as (server, _):
        client = Client(World(server, None, 0), 0)
        result.budget = asyncio.run(larger_of(client)) + SPARE
    (folder / "second").mkdir()
    with served(folder / "second", *FLAGS, "--max-memory", str(result.budget)) as (server, _):
        world = World(server, None, 1)
        seen = Watch(server.process.pid)
        at_rest(server, seen)
        asyncio.run(measure(world, seen, settings, result))
        result.problems += stopped(server)
    result.problems += [f"{one.action}: {one.what}" for one in world.failures]
    return result


async def larger_of(client: Client) -> int:
    """What the larger of the two is expected to take, in bytes."""
    async with client.http, client.sdk:
        answers = [(await client.http.get(f"/v1/models/{model}")).json() for model in PAIR]
    return max(int(answer["memory_estimate_bytes"]) for answer in answers)


async def measure(world: World, seen: Watch, settings: Settings, result: Result) -> None:
    """One after the other, then all at once, then everything out."""
    first = Client(world, 0)
    async with first.http, first.sdk:
        result.levels["before"] = level(seen)
        await one_by_one(first, seen, settings.rounds, result)
        until = time.monotonic() + settings.seconds
        await asyncio.gather(
            *(in_turns(Client(world, number + 1), until, result) for number in range(settings.clients))
        )
        for model in PAIR:
            await first.http.post(f"/v1/models/{model}/unload")
        result.levels["after"] = level(seen)
        result.counters = counted((await first.http.get("/metrics")).text)
    check(seen, result)


def level(seen: Watch) -> float:
    """Megabytes of the server and its workers."""
    sample = seen.look()
    return sample.server + sample.workers


async def one_by_one(client: Client, seen: Watch, rounds: int, result: Result) -> None:
    """A, A, B, B, A, A …: the first of each two swaps, the second finds its model there."""
    for number in range(2 * rounds):
        model = PAIR[number % 2]
        for times in (result.swaps, result.warm):
            started = time.monotonic()
            await client.do(f"swap to {model}", lambda one, model=model: ask(one, model))
            times.append(time.monotonic() - started)
        result.levels[f"with {model}"] = level(seen)
        if seen.samples[-1].children > 1:
            result.problems.append(f"{seen.samples[-1].children} workers where there is room for one")


async def in_turns(client: Client, until: float, result: Result) -> None:
    """A, B, A, B … of one client; half of them begin with B."""
    async with client.http, client.sdk:
        number = client.number
        while time.monotonic() < until:
            model, number = PAIR[number % 2], number + 1
            started = time.monotonic()
            await client.do(f"in turns, {model}", lambda one, model=model: until_answered(one, model, result))
            result.together.append(time.monotonic() - started)


async def until_answered(client: Client, model: str, result: Result) -> str:
    """Ask until there is an answer. Who is never answered is hung."""
    while await ask(client, model, stream=client.chance(0.5)) == "insufficient_memory":
        result.turned_away += 1
        await asyncio.sleep(AGAIN)
    return "ok"


async def ask(client: Client, model: str, *, stream: bool = False) -> str:
    """A question whose answer is known. Errors: AssertionError for another one."""
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": model, "messages": messages, "temperature": 0, "stream": stream}
    asked = Ask(path="/v1/chat/completions", model=model, body=body)
    text: str
    if stream:
        outcome, chunks = await client.streamed(asked)
        text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    else:
        outcome, answer = await client.whole(asked)
        text = answer["choices"][0]["message"]["content"] if answer else ""
    assert outcome != "ok" or text == ANSWER, f"the answer is {text!r}"
    return outcome


def counted(metrics: str) -> dict[str, int]:
    """The counters of Prometheus' text that are of interest, with their labels."""
    found = Counter[str]()
    for line in metrics.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(tuple(f"fluid_{one}_total" for one in COUNTED)):
            found[name.removeprefix("fluid_").replace("_total", "")] += int(float(value))
    return dict(found)


def check(seen: Watch, result: Result) -> None:
    """What is not as it should be in the end."""
    last = seen.samples[-1]
    if last.children:
        result.problems.append(f"{last.children} processes are left after the unloads")
    if result.levels["after"] > result.levels["before"] + KEPT:
        result.problems.append(
            f"memory: {result.levels['before']:.0f} MB before, {result.levels['after']:.0f} MB after"
        )
    cut = [name for name in result.counters if "worker_died" in name or "internal_error" in name]
    result.problems += [f"cut: {name} {result.counters[name]}" for name in cut]


def show(result: Result) -> None:
    """The figures and the verdict."""
    print(f"budget {result.budget / 1e6:.0f} MB; memory of server and workers, MB:")
    for name, value in result.levels.items():
        print(f"  {name:<28}{value:>8.0f}")
    for name, values in (
        ("swap s", result.swaps),
        ("warm s", result.warm),
        ("in turns, all at once s", result.together),
    ):
        if values:
            last = percentile(values, 0.99)
            print(f"{name:<28}{spread(values)}, 99th percentile {last:.2f}, {len(values)} requests")
    print(f"{'turned away with 507':<28}{result.turned_away}")
    for name, value in sorted(result.counters.items()):
        print(f"  {name:<90}{value:>6}")
    for problem in result.problems:
        print(f"PROBLEM: {problem}")
    print("FAILED" if result.problems else "passed")


def main() -> int:
    """Swap and tell; the exit code is 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="A to B to A so often, one by one (default: 10)")
    parser.add_argument("--clients", type=int, default=6, help="clients at once (default: 6)")
    parser.add_argument("--seconds", type=float, default=20, help="how long they go on (default: 20)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    settings = Settings(rounds=options.rounds, clients=options.clients, seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="fluid-swap-", ignore_cleanup_errors=True) as folder:
        result = swap(settings, Path(folder))
    show(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(asdict(result), indent=2), encoding="utf-8")
    return int(bool(result.problems))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
