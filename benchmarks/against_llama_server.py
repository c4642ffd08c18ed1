"""Both our ways to llama.cpp beside llama.cpp's own server: the same GGUF, slots, threads and requests, in one run.

uv run -m benchmarks.against_llama_server [--repeats 5] [--tokens 100] [--model tiny] [--llama-server PROGRAM]

Tokens a second in all at 8 and 16 streams, and the time to first token of a short request that arrives while long
ones run. All servers are up at the same time and are asked in turns, so that what else the machine does meets all
alike. A driver's peer is the one that is compiled as it is: the wheel's for the prebuilt driver; for the native one
PROGRAM, where it is given, else the wheel's too. A ratio is ours over the peer's: medians of the repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.llama_server import LlamaServer, Load
from benchmarks.make_model import make
from benchmarks.server import ROOT, Server, chat
from fluid_server.runtimes.base import spare_threads

SLOTS, CONTEXT = 16, 2048
STREAMS = (8, 16)
TINY, RANDOM = "tiny", "67M"
DRIVERS = {"native": "llama_cpp", "prebuilt": "xllamacpp"}
LONG_ONES = 6  # that generate when the short request comes; one more reads a long prompt
STORY = "the old green house at the river was quiet and a small bird sang near the open window every morning "
LONG_PROMPT = 50 * STORY  # a thousand words; fewer tokens than CONTEXT


@dataclass(frozen=True, slots=True)
class Door:
    """A server to be asked: where, and by which name it knows the model."""

    url: str
    model: str


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF: where it lies, the folder of models that it is in, and its name there."""

    file: Path
    folder: Path
    name: str


def model_of(kind: str) -> Model:
    """The demo model, whose steps take a fraction of a millisecond, or one of 67 M parameters (Q8_0)."""
    if kind == TINY:
        folder = ROOT / "models"
        return Model(folder / "llm/fluid-tiny-gguf/fluid-tiny-F16.gguf", folder, "fluid-tiny-gguf:F16")
    folder = make()
    return Model(folder / "llm/fluid-random-gguf/fluid-random-Q8_0.gguf", folder, "fluid-random-gguf:Q8_0")


def measure(kind: str = RANDOM, *, repeats: int = 5, tokens: int = 100, program: Path | None = None) -> dict[str, Any]:
    """All servers in turns. ``program`` is a llama-server compiled for this machine, None where there is none.

    Returns, for each driver that is here, its peer's name and ``streams`` → {ours, peer, ratio} in tokens a second,
    and ``short`` → the same in milliseconds to the first token. Errors: OSError where a peer does not start.
    """
    model, chosen = model_of(kind), [name for name, package in DRIVERS.items() if find_spec(package)]
    load = Load(model.file, SLOTS, spare_threads(), SLOTS * CONTEXT)
    with ExitStack() as stack:
        peers = {"wheel": stack.enter_context(_peer(load, None))}
        if program is not None:
            peers["program"] = stack.enter_context(_peer(load, program))
        doors = {name: Door(peer.url, "any") for name, peer in peers.items()}
        doors |= {name: stack.enter_context(_ours(name, model)) for name in chosen}
        for door in doors.values():
            asyncio.run(chat(door.url, _body(door, "Hello.", 8)))  # loads the model
        found = {str(count): _in_turns(doors, repeats, _rate(count, tokens)) for count in STREAMS}
        found["short"] = _in_turns(doors, repeats, _short(tokens))
    own = {name: "program" if name == "native" and program is not None else "wheel" for name in chosen}
    drivers = {
        name: {"peer": peers[peer].name, **{load: _compared(rows, name, peer) for load, rows in found.items()}}
        for name, peer in own.items()
    }
    return {"model": kind, "slots": SLOTS, "threads": load.threads, "tokens": tokens, "drivers": drivers}


# --- the servers ---------------------------------------------------------------------------------------------


@contextmanager
def _peer(load: Load, program: Path | None) -> Generator[LlamaServer]:
    server = LlamaServer(load, program)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _ours(driver: str, model: Model) -> Generator[Door]:
    """A fluid-server that has this driver alone: the other one's package is hidden from its workers."""
    flags = ["--model-path", str(model.folder), "--parallel", str(SLOTS), "--context-length", str(CONTEXT)]
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory() as folder:
        for package in {*DRIVERS.values()} - {DRIVERS[driver]}:
            (Path(folder) / f"{package}.py").write_text("raise ImportError('hidden')\n", encoding="utf-8")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, before)))
        try:
            server = Server("--no-warm-up", "--idle-timeout", "0", "--log-level", "warning", "--no-store", *flags)
        finally:
            os.environ.pop("PYTHONPATH")
            if before is not None:
                os.environ["PYTHONPATH"] = before
        try:
            yield Door(server.url, model.name)
        finally:
            server.stop()


# --- the requests --------------------------------------------------------------------------------------------


def _body(door: Door, text: str, tokens: int) -> dict[str, Any]:
    """A chat of exactly this many tokens, the same for both kinds of server."""
    messages = [{"role": "user", "content": text}]
    return {"model": door.model, "messages": messages, "temperature": 0, "max_tokens": tokens, "ignore_eos": True}


def _rate(streams: int, tokens: int) -> Any:
    """Tokens a second of that many streams together, prompts included."""

    async def run(door: Door, turn: int) -> float:
        started = time.perf_counter()
        bodies = [_body(door, f"{turn} {one}: Count from 1 to 1000.", tokens) for one in range(streams)]
        answers = await asyncio.gather(*(chat(door.url, body) for body in bodies))
        assert all(answer.tokens == tokens for answer in answers), "an answer is short"
        return streams * tokens / (time.perf_counter() - started)

    return run


def _short(tokens: int) -> Any:
    """Milliseconds to the first token of a short request, while others generate and one reads a long prompt."""

    async def run(door: Door, turn: int) -> float:
        running = [
            asyncio.create_task(chat(door.url, _body(door, f"{turn} {one}: Tell me a story.", 2 * tokens)))
            for one in range(LONG_ONES)
        ]
        await asyncio.sleep(0.2)  # they generate by now
        running.append(asyncio.create_task(chat(door.url, _body(door, f"{turn} {LONG_PROMPT}", 2))))
        await asyncio.sleep(0.02)
        answer = await chat(door.url, _body(door, f"{turn}: Hello.", 2))
        await asyncio.gather(*running)
        return answer.first * 1000

    return run


def _in_turns(doors: Mapping[str, Door], repeats: int, run: Any) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in doors}
    for turn in range(repeats):
        for name, door in doors.items():
            found[name].append(asyncio.run(run(door, turn)))
    return found


# --- what came of it -----------------------------------------------------------------------------------------


def _compared(rows: Mapping[str, Sequence[float]], ours: str, peer: str) -> dict[str, Any]:
    ratio = statistics.median(rows[ours]) / statistics.median(rows[peer])
    return {"ours": _spread(rows[ours]), "peer": _spread(rows[peer]), "ratio": round(ratio, 3)}


def _spread(values: Sequence[float]) -> dict[str, float]:
    told = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 2) for name, value in told.items()}


def table(result: Mapping[str, Any]) -> str:
    """Markdown: medians with minimum and maximum."""
    lines = ["| driver | peer | load | ours | llama-server | ratio |", "|---|---|---|---|---|---|"]
    for driver, figures in result["drivers"].items():
        for load, row in figures.items():
            if load == "peer":
                continue
            what = "first token of a short request, ms" if load == "short" else f"{load} streams, tokens/s"
            ours, peer = (f"{row[who]['median']} ({row[who]['min']} to {row[who]['max']})" for who in ("ours", "peer"))
            lines.append(f"| {driver} | {figures['peer']} | {what} | {ours} | {peer} | {row['ratio']} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and show the table."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--model", choices=(TINY, RANDOM), default=RANDOM, help=f"default: {RANDOM}")
    command.add_argument("--repeats", type=int, default=5, help="turns of each server (default: 5)")
    command.add_argument("--tokens", type=int, default=100, help="tokens of each stream (default: 100)")
    command.add_argument("--llama-server", type=Path, metavar="PROGRAM", help="one compiled for this machine")
    command.add_argument("--json", type=Path, help="write the figures there too")
    chosen = command.parse_args()
    result = measure(chosen.model, repeats=chosen.repeats, tokens=chosen.tokens, program=chosen.llama_server)
    print(table(result))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
