"""Tokens a second through HTTP beside the engine alone, at 1 and 16 streams, in one run; /health all the while.

uv run benchmarks/serving.py [--repeats 5] [--tokens 400] [--json FILE]

Every figure is the median of interleaved repeats with minimum and maximum. The result is the ratio of the two
medians. The model is the 2 M parameter demo model, whose steps take under a millisecond: our own cost is at its
largest here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peer import Peer
from benchmarks.server import ROOT, Answer, Server, chat

LOADS = (1, 16)
MODELS = {
    "openvino": ("fluid-tiny-ov", "models/llm/fluid-tiny-ov"),
    "llamacpp": ("fluid-tiny-gguf:F16", "models/llm/fluid-tiny-gguf/fluid-tiny-F16.gguf"),
}


def rate(engine: Peer, streams: int, tokens: int) -> float:
    """Generated tokens a second of the engine alone."""
    answer = engine.ask(f"{streams} {tokens}")
    return float(answer["tokens"] / answer["seconds"])


def body(model: str, tokens: int) -> dict[str, Any]:
    """A chat of exactly this many tokens."""
    messages = [{"role": "user", "content": "Count from 1 to 1000."}]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": tokens, "ignore_eos": True}


async def through_http(url: str, model: str, streams: int, tokens: int) -> tuple[float, float]:
    """Generated tokens a second, and the median time to the first text in seconds."""
    started = time.perf_counter()
    answers: list[Answer] = await asyncio.gather(*(chat(url, body(model, tokens)) for _ in range(streams)))
    seconds = time.perf_counter() - started
    assert all(answer.tokens == tokens for answer in answers), "an answer is short"
    return streams * tokens / seconds, statistics.median(answer.first for answer in answers)


def watch(url: str) -> subprocess.Popen[str]:
    """`health_watch.py` on this server."""
    command = [sys.executable, str(ROOT / "benchmarks" / "health_watch.py"), url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure(runtime: str, repeats: int, tokens: int) -> dict[str, Any]:
    """One runtime: all loads, engine and server in turns."""
    model, path = MODELS[runtime]
    engine = Peer("engine_alone.py", runtime, ROOT / path)
    server = Server("--no-warm-up", "--idle-timeout", "0", "--log-level", "warning")
    try:
        asyncio.run(chat(server.url, body(model, 8)))
        watcher = watch(server.url)
        busy: list[tuple[float, float]] = []
        result = {
            str(load): interleaved(engine, server, model, load, busy, repeats=repeats, tokens=tokens) for load in LOADS
        }
        seen = json.loads(watcher.communicate()[0])
    finally:
        engine.stop()
        server.stop()
    # Only while the server generates: the engine alone takes the cores from everybody, the watcher included.
    latencies = [took for when, took in seen if any(start <= when <= end for start, end in busy)]
    return {"loads": result, "health_ms": spread(latencies) | {"p99": round(percentile(latencies, 0.99), 2)}}


def interleaved(
    engine: Peer,
    server: Server,
    model: str,
    streams: int,
    busy: list[tuple[float, float]],
    *,
    repeats: int,
    tokens: int,
) -> dict[str, Any]:
    """Engine, server, engine, server …; ``busy`` gets when the server generated."""
    alone, through, first = [], [], []
    for _ in range(repeats):
        alone.append(rate(engine, streams, tokens))
        started = time.perf_counter()
        per_second, ttft = asyncio.run(through_http(server.url, model, streams, tokens))
        busy.append((started, time.perf_counter()))
        through.append(per_second)
        first.append(ttft * 1000)
    ratio = statistics.median(through) / statistics.median(alone)
    return {"engine": spread(alone), "http": spread(through), "ratio": round(ratio, 3), "ttft_ms": spread(first)}


def spread(values: list[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    return {
        "median": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
    }


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of all lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    print(f"{'runtime':<10}{'streams':>8}{'engine tok/s':>24}{'HTTP tok/s':>24}{'ratio':>8}{'TTFT ms':>20}")
    for runtime, result in results.items():
        for streams, row in result["loads"].items():
            cells = [
                f"{row[key]['median']:.0f} ({row[key]['min']:.0f}-{row[key]['max']:.0f})" for key in ("engine", "http")
            ]
            ttft = f"{row['ttft_ms']['median']:.1f} ({row['ttft_ms']['min']:.1f}-{row['ttft_ms']['max']:.1f})"
            print(f"{runtime:<10}{streams:>8}{cells[0]:>24}{cells[1]:>24}{row['ratio']:>8.2f}{ttft:>20}")
        health = result["health_ms"]
        print(
            f"{'':<10}/health: median {health['median']} ms, 99th percentile {health['p99']}, maximum {health['max']}"
        )


def main() -> None:
    """Measure both runtimes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default: 5)")
    parser.add_argument("--tokens", type=int, default=400, help="tokens of each stream (default: 400)")
    parser.add_argument("--runtime", choices=MODELS, action="append", help="only this one")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    results = {name: measure(name, options.repeats, options.tokens) for name in options.runtime or MODELS}
    show(results)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
