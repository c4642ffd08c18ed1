"""A null generation: how many tokens a second the server streams when the engine costs nothing.

uv run benchmarks/null_stream.py [--repeats 5] [--tokens 3500] [--streams 1 8 16 32] [--json FILE]

The echo runtime says words as fast as it is asked for them; all that is left is the way from the worker's loop to the
client's socket. Told are tokens a second in total, /health meanwhile, and where the time goes: the microseconds of CPU
that server, worker and client spend on a token, and how many events of the stream a token makes (below 1: the server
was behind, and gave a client several steps' words at once).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks.figures import percentile, spread
from benchmarks.peer import Peer
from benchmarks.server import Server
from benchmarks.serving import watch

STREAMS = (1, 8, 16, 32)
PAUSE = 0.03  # seconds: longer than the watcher's between two questions, so that one always falls into a burst
WORDS = "one two three four five six seven eight nine ten"
FLAGS = ("--echo", "--no-warm-up", "--idle-timeout", "0", "--log-level", "warning", "--no-store")


def measure(repeats: int = 5, tokens: int = 3500, streams: tuple[int, ...] = STREAMS) -> dict[str, Any]:
    """``{"streams": {"32": {"tokens_per_second": spread, "server_us": spread, "worker_us": spread, "client_us": spread,
    "events_per_token": spread, "health_ms": spread with "p99", "burst_ms": spread}}}``, where a spread has median, min
    and max. ``health_ms`` is of /health while all streams run; ``burst_ms`` the slowest of each repeat while their
    requests, all sent within a millisecond, are taken.

    Before each load a tenth of it runs, in which everything is new, and is not counted. Errors: ValueError where the
    answers were too short for /health to be asked meanwhile.
    """
    server = Server("--parallel", str(max(streams)), *FLAGS)
    client = Peer("client.py")
    try:
        _ask(client, server, 1, 8)
        return {"streams": {str(count): _load(server, client, count, tokens, repeats) for count in streams}}
    finally:
        client.stop()
        server.stop()


def _load(server: Server, client: Peer, streams: int, tokens: int, repeats: int) -> dict[str, Any]:
    _ask(client, server, streams, tokens // 10)
    watcher = watch(server.url)
    bursts, busy = [], []
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        before, began = _used(server), time.perf_counter()
        answer = _ask(client, server, streams, tokens)
        busy.append((began + answer["begun"], time.perf_counter()))
        bursts.append((began, began + answer["begun"]))
        assert answer["tokens"] == [tokens] * streams, "an answer is short"
        for name, value in _figures(answer, before, _used(server)).items():
            found.setdefault(name, []).append(value)
    seen = json.loads(watcher.communicate()[0])
    running = [took for start, end in busy for took in _asked_within(seen, start, end)]
    slowest = [max(took) for start, end in bursts if (took := _open_within(seen, start - PAUSE, end))]
    if not running or not slowest:
        raise ValueError(f"{tokens} tokens are said too soon for /health to be asked meanwhile: take more --tokens")
    health = spread(running) | {"p99": round(percentile(running, 0.99), 2)}
    return {name: spread(values) for name, values in found.items()} | {"health_ms": health, "burst_ms": spread(slowest)}


def _ask(client: Peer, server: Server, streams: int, tokens: int) -> dict[str, Any]:
    """So many chats at once, each of exactly so many tokens."""
    messages = [{"role": "user", "content": WORDS}]
    body = {"model": "echo", "messages": messages, "max_tokens": tokens, "ignore_eos": True}
    answer: dict[str, Any] = client.ask({"url": server.url, "bodies": [body] * streams})
    return answer


def _asked_within(seen: list[tuple[float, float]], start: float, end: float) -> list[float]:
    """How long /health took, of those that were asked in this time."""
    return [took for when, took in seen if start <= when <= end]


def _open_within(seen: list[tuple[float, float]], start: float, end: float) -> list[float]:
    """How long /health took, of those that were asked or not yet answered in this time."""
    return [took for when, took in seen if when <= end and when + took / 1000 >= start]


def _used(server: Server) -> tuple[float, float]:
    """Seconds of CPU: the server's, and its workers'."""
    process = psutil.Process(server.process.pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    used = [one.user + one.system for one in times]
    return used[0], sum(used[1:])


def _figures(answer: dict[str, Any], before: tuple[float, float], after: tuple[float, float]) -> dict[str, float]:
    count = sum(answer["tokens"])
    server, worker = ((late - early) * 1e6 / count for early, late in zip(before, after, strict=True))
    return {
        "tokens_per_second": count / answer["seconds"],
        "server_us": server,
        "worker_us": worker,
        "client_us": answer["cpu"] * 1e6 / count,
        "events_per_token": answer["events"] / count,
    }


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    columns = ("server", "worker", "client", "events")
    print(
        f"{'streams':>7}{'tokens/s':>26}" + "".join(f"{one:>9}" for one in columns) + f"{'/health p99':>13}{'burst':>9}"
    )
    print(f"{'':>33}{'µs/token':>9}{'µs/token':>9}{'µs/token':>9}{'/token':>9}{'ms':>13}{'ms':>9}")
    for streams, row in result["streams"].items():
        speed = row["tokens_per_second"]
        cells = [f"{row[name]['median']:.1f}" for name in ("server_us", "worker_us", "client_us")]
        told = f"{speed['median']:.0f} ({speed['min']:.0f}-{speed['max']:.0f})"
        cells.append(f"{row['events_per_token']['median']:.2f}")
        cells.append(f"{row['health_ms']['p99']:.1f}".rjust(13))
        cells.append(f"{row['burst_ms']['max']:.1f}")
        print(f"{streams:>7}{told:>26}" + "".join(f"{cell:>9}" for cell in cells))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each load (default: 5)")
    parser.add_argument("--tokens", type=int, default=3500, help="tokens of each stream (default: 3500)")
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS, help="how many at once (default: all)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.repeats < 1 or options.tokens < 1 or min(options.streams) < 1:
        parser.error("--repeats, --tokens and --streams are 1 or more")
    try:
        result = measure(options.repeats, options.tokens, tuple(options.streams))
    except ValueError as error:
        sys.exit(f"null_stream: {error}")
    show(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
