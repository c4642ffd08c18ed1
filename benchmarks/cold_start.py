"""A cold model: from nothing to the first token of its worker, split into what takes the time.

uv run benchmarks/cold_start.py [--repeats 5] [--model NAME] [--json FILE]

Each repeat starts a worker process as the server does, tells it to load, and gives it the request that the server warms
a model with. Nothing else of the server takes part. Repeats go round all models, so that what else the machine does
meets all alike. The parts, in seconds:

spawn        a fresh Python that has imported the worker's own code (measured beside, in a process of its own)
import       the rest, until the runtime says that it opens the model: its modules, the chat template, and OpenVINO's
             engine. llama.cpp's and onnxruntime's are imported after that word, and count to load
load         until the worker says that the model is in memory
first step   from the request to the first thing it brings
total        from the start of the process to there
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fluid_server.catalog.scan import scan  # noqa: E402 - found beside this file, however it is started
from fluid_server.config import worker_environment  # noqa: E402
from fluid_server.managers.warm_up import first_request  # noqa: E402
from fluid_server.runtimes.table import RUNTIMES  # noqa: E402
from fluid_server.types import ModelSpec, Request, RuntimeOptions  # noqa: E402
from fluid_server.workers.process import worker_command  # noqa: E402
from fluid_server.workers.protocol import Channel, Events, Failed, Load, Loaded, Progress, Stop, Submit  # noqa: E402

MODULES = {"openvino-genai": "openvino_genai", "llama-cpp-python": "llama_cpp"}  # where a package has another name
PARTS = ("spawn", "import", "load", "first step", "total")
OPTIONS = RuntimeOptions(parallel=4, context_length=2048)


@dataclass(frozen=True, slots=True)
class Start:
    """One start, in seconds since the process was started: the runtime's first word, the model, the first event."""

    spawned: float
    opening: float
    loaded: float
    asked: float
    first: float

    @property
    def parts(self) -> dict[str, float]:
        """How long each of PARTS took."""
        return {
            "spawn": self.spawned,
            "import": self.opening - self.spawned,
            "load": self.loaded - self.opening,
            "first step": self.first - self.asked,
            "total": self.first,
        }


def runtime_of(spec: ModelSpec) -> str | None:
    """The runtime whose package is installed and that can load this model; None where there is none."""
    for entry in RUNTIMES.values():
        packages = [MODULES.get(name, name) for name in entry.packages]
        if spec.format in entry.formats and spec.kind in entry.kinds and any(map(find_spec, packages)):
            return entry.name
    return None


def spawned() -> float:
    """Seconds until a fresh Python has imported what every worker imports."""
    code = "import fluid_server.workers.loop, sys; sys.stdout.write('.'); sys.stdout.flush()"
    started = time.perf_counter()
    command = [sys.executable, "-P", "-X", "utf8", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=worker_environment()) as process:
        assert process.stdout is not None
        assert process.stdout.read(1), "the worker's code cannot be imported"
        return time.perf_counter() - started


def start(spec: ModelSpec, runtime: str, request: Request) -> Start:
    """One worker, from its process's start to the first event of the request; then it ends."""
    alone = spawned()
    started = time.perf_counter()
    process = subprocess.Popen(
        worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environment(),
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        channel = Channel(process.stdout, process.stdin)
        channel.send(Load(runtime, spec, OPTIONS))
        opening, loaded = _heard(channel, started)
        asked = time.perf_counter() - started
        channel.send(Submit(1, request))
        while not (isinstance(message := channel.receive(), Events) and message.items):
            pass
        first = time.perf_counter() - started
        channel.send(Stop())
    return Start(alone, opening, loaded, asked, first)


def _heard(channel: Channel, started: float) -> tuple[float, float]:
    """When the runtime first said something, and when the model was there."""
    opening = 0.0
    while True:
        message, now = channel.receive(), time.perf_counter() - started
        match message:
            case Progress():
                opening = opening or now
            case Loaded():
                return opening or now, now
            case Failed(error=error):
                raise error


def measure(models: Sequence[str] = (), repeats: int = 5, folder: Path = ROOT / "models") -> dict[str, Any]:
    """Every model of the folder that runs here (or those named): {model: {"runtime": name, part: {median, min, max}}}.

    Seconds, for each of PARTS. Errors: KeyError for a model that is not there or does not run here.
    """
    found = {spec.id: spec for spec in scan(folder)}
    chosen = {name: found[name] for name in models or found}
    runs: dict[str, tuple[ModelSpec, str, Request]] = {}
    for name, spec in chosen.items():
        runtime, request = runtime_of(spec), first_request(spec)
        if runtime is not None and request is not None:
            runs[name] = spec, runtime, request
        elif models:
            raise KeyError(f"{name} does not run here")
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            taken[name].append(start(*run).parts)
    return {
        name: {"runtime": runs[name][1], **{part: _spread([one[part] for one in starts]) for part in PARTS}}
        for name, starts in taken.items()
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def table(results: dict[str, Any]) -> str:
    """The results in Markdown, seconds with minimum and maximum."""
    lines = [f"| model | runtime | {' | '.join(PARTS)} |", "|---" * (len(PARTS) + 2) + "|"]
    for name, result in results.items():
        cells = [f"{one['median']:.2f} ({one['min']:.2f} to {one['max']:.2f})" for one in map(result.get, PARTS)]
        lines.append(f"| {name} | {result['runtime']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="starts of each model (default: 5)")
    parser.add_argument("--model", action="append", default=[], help="only this one (default: all that run here)")
    parser.add_argument(
        "--models", type=Path, default=ROOT / "models", help="a models folder (default: the demo models)"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    results = measure(options.model, options.repeats, options.models)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
