"""Start, memory and cancel: seconds, megabytes and milliseconds of one server, measured from outside.

Targets 5 and 7 of the speed page. ``uv run benchmarks/run.py --only start`` (or memory, cancel).

The start's peer is a bare Python that only imports the web framework, in the same run; a worker's memory has the
engine alone beside it; a cancel ends when the worker's own counter says so.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from benchmarks.effort import Effort
from benchmarks.engines import alone, ask_alone, body, contents, engines, models, serving, worker
from benchmarks.figures import Row, Subject, Target, difference, value
from benchmarks.server import Server, chat

QUIET = ("--no-warm-up", "--idle-timeout", "0", "--log-level", "error")
FRAMEWORK = "import fastapi, uvicorn, psutil; print(psutil.Process().memory_info().rss)"
LIVE, IDLE_MB, CANCEL = Target(0.5, most=True), Target(70, most=True), Target(200, most=True)
MEGABYTE = 1e6
LONG = 900  # tokens of an answer that is cancelled: it would take longer than anybody waits here


def start(effort: Effort) -> Iterator[Row]:
    """Seconds to /live, to the whole app and to stop; idle megabytes; beside a Python that imports the framework."""
    live, served, framework, idle, bare, stop = [], [], [], [], [], []
    for _ in effort.rounds("start and stop"):
        server = Server(*QUIET)
        live.append(server.alive_after)
        server.get("/health")
        served.append(time.perf_counter() - server.started)
        server.runtimes()
        idle.append(psutil.Process(server.process.pid).memory_info().rss / MEGABYTE)
        stop.append(server.stop())
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", FRAMEWORK], check=True, capture_output=True, text=True)
        framework.append(time.perf_counter() - started)
        bare.append(int(done.stdout) / MEGABYTE)
    yield value(Subject("/live after the start of the process", "s", LIVE), live, framework)
    yield value(Subject("first answer of the whole app (/health)", "s"), served, framework)
    yield value(Subject("resident memory of an idle server", "MB", IDLE_MB), idle, bare)
    yield value(Subject("stop", "s"), stop)


def memory(effort: Effort) -> Iterator[Row]:
    """A row for each model and engine: megabytes of a worker that has answered, and of the engine alone."""
    for model in models(effort):
        for engine in engines(effort):
            what = f"{engine.name}, {model} model"
            ours, theirs = [], []
            for _ in effort.rounds(what, 1 if effort.quick else effort.repeats):
                with serving(engine, model) as server:
                    asyncio.run(chat(server.url, body(engine.models[model][0], contents(1, 1)[0], 32)))
                    ours.append(worker(server).memory_info().rss / MEGABYTE)
                with alone(engine, model) as peer:
                    theirs.append(ask_alone(peer, contents(1, 1), 32)["memory"] / MEGABYTE)
            yield difference(Subject(what, "MB"), ours, theirs)


def cancel(effort: Effort) -> Iterator[Row]:
    """A row for each engine, streamed or not: milliseconds from a client's leaving to the freed place."""
    for model in models(effort):
        for engine in engines(effort):
            with serving(engine, model) as server:
                name = engine.models[model][0]
                for stream in (True, False):
                    what = f"{engine.name}, {model} model, {'streamed' if stream else 'in one piece'}"
                    times = [_cancelled(server, name, number, stream=stream) for number in effort.rounds(what)]
                    yield value(Subject(what, "ms", CANCEL), times)


def _cancelled(server: Server, model: str, number: int, *, stream: bool) -> float:
    """Milliseconds from closing the connection to the worker's counter saying that nothing runs."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    payload = json.dumps({**body(model, contents(1, number)[0], LONG), "stream": stream})
    connection.request("POST", "/v1/chat/completions", payload, {"Content-Type": "application/json"})
    if stream:
        connection.getresponse().read(500)
    while running(server, model) == 0:
        time.sleep(0.001)
    if connection.sock is not None:
        connection.sock.close()
    connection.close()
    started = time.perf_counter()
    while running(server, model) > 0:
        time.sleep(0.001)
    return (time.perf_counter() - started) * 1000


def running(server: Server, model: str) -> int:
    """How many requests the worker has in its engine, by its own count."""
    return int(server.get("/health")["models"][model]["counters"]["running"])
