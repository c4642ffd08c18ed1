"""llama.cpp's own HTTP server as a peer: the program, or the same code in the xllamacpp wheel.

python -m benchmarks.llama_server FILE.gguf --slots 16 --threads 1 --cells 32768

serves FILE with the wheel's, prints the address, and ends with its standard input. ``LlamaServer`` starts that, or a
``llama-server`` of your own, compiled for this machine from the sources that llama-cpp-python comes with.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the peer is to serve: ``cells`` tokens of KV cache that all ``slots`` share, ``threads`` that compute."""

    file: Path
    slots: int
    threads: int
    cells: int


class LlamaServer:
    """A running one. ``program`` is a llama-server, None the wheel's. Errors: OSError where it does not start."""

    def __init__(self, load: Load, program: Path | None = None) -> None:
        self.name = "llama-server (own build)" if program else f"llama-server (xllamacpp {version('xllamacpp')})"
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}  # as our workers have it
        command = _program(program, load, port := _free_port()) if program else _wheel(load)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if program else subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.url = f"http://127.0.0.1:{port}" if program else self._said()
        self._wait()

    def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is None:  # the program takes no notice of its standard input
            self._process.terminate()
        self._process.wait(30)

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _wait(self) -> None:
        """Until the model is loaded: before that, /health has the status 503."""
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
            except (urllib.error.URLError, OSError, ValueError):
                time.sleep(0.02)
            else:
                return
        self._process.kill()
        raise OSError(f"{self.name} did not start")


def serve(load: Load) -> None:
    """The wheel's, in this process, until standard input ends."""
    xllamacpp: Any = import_module("xllamacpp")
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(load.file)
    chosen.model_alias = {load.file.stem}
    chosen.n_parallel, chosen.kv_unified, chosen.n_ctx = load.slots, True, load.cells
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = load.threads
    chosen.n_gpu_layers, chosen.fit_params, chosen.verbosity = 0, False, -1
    chosen.cache_ram_mib = 0  # its default is 8 GiB
    server = xllamacpp.Server(chosen)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # leaving in good order can end in SIGSEGV


def _wheel(load: Load) -> list[str]:
    numbers = ["--slots", load.slots, "--threads", load.threads, "--cells", load.cells]
    return [sys.executable, "-m", "benchmarks.llama_server", str(load.file), *map(str, numbers)]


def _program(program: Path, load: Load, port: int) -> list[str]:
    settings: dict[str, object] = {
        "-m": load.file,
        "-np": load.slots,
        "-t": load.threads,
        "-tb": load.threads,
        "-c": load.cells,
        "-ngl": 0,
        "--cache-ram": 0,
        "--host": "127.0.0.1",
        "--port": port,
        "--fit": "off",
    }
    return [str(program), "--kv-unified", "--no-webui", *(str(part) for pair in settings.items() for part in pair)]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def main() -> None:
    """Serve with the wheel's."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("file", type=Path)
    for name in ("slots", "threads", "cells"):
        command.add_argument(f"--{name}", type=int, required=True)
    serve(Load(**vars(command.parse_args())))


if __name__ == "__main__":
    main()
