"""Start, memory, cancel and shutdown: seconds and megabytes of one server, measured from outside.

uv run benchmarks/lifecycle.py [--repeats 5]

The peer of each figure is a bare Python that does the least that could be asked of it, in the same run: for the
start, importing uvicorn and FastAPI; the other figures are times to a state that the worker's counters confirm.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks.server import Server
from benchmarks.serving import MODELS, body, spread

QUIET = ("--idle-timeout", "0", "--log-level", "error")


def starts(repeats: int) -> dict[str, list[float]]:
    """Seconds to /live, seconds that importing the web framework alone takes, and an idle server's megabytes."""
    found: dict[str, list[float]] = {"live s": [], "import fastapi s": [], "idle MB": [], "stop s": []}
    for _ in range(repeats):
        server = Server("--no-warm-up", *QUIET)
        found["live s"].append(server.alive_after)
        while server.get("/health")["runtimes"] is None:
            time.sleep(0.05)
        found["idle MB"].append(psutil.Process(server.process.pid).memory_info().rss / 1e6)
        found["stop s"].append(server.stop())
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import fastapi, uvicorn"], check=True)
        found["import fastapi s"].append(time.perf_counter() - started)
    return found


def cancels(server: Server, model: str, *, stream: bool, repeats: int) -> list[float]:
    """Milliseconds from closing the connection to the worker's counter saying that nothing runs."""
    times = []
    address = urlsplit(server.url)
    for _ in range(repeats):
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        payload = json.dumps({**body(model, 1900), "stream": stream})
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
        times.append((time.perf_counter() - started) * 1000)
    return times


def running(server: Server, model: str) -> int:
    """How many requests the worker has in its engine, by its own count."""
    return int(server.get("/health")["models"][model]["counters"]["running"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of everything (default: 5)")
    repeats = parser.parse_args().repeats
    found = starts(repeats)
    for name, values in found.items():
        print(f"{name:<32}{spread(values)}")
    ratio = statistics.median(found["live s"]) / statistics.median(found["import fastapi s"])
    print(f"{'live / import fastapi':<32}{ratio:.2f}")
    server = Server("--no-warm-up", *QUIET)
    try:
        for runtime, (model, _) in MODELS.items():
            for stream in (True, False):
                times = cancels(server, model, stream=stream, repeats=repeats)
                print(f"{f'cancel ms, {runtime}, stream={stream}':<32}{spread(times)}")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
