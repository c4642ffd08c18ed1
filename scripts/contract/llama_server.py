"""llama.cpp's own HTTP server, as the xllamacpp wheel holds it: a peer to be scored by the same table.

python -m scripts.contract.llama_server FILE.gguf    prints its address, and ends with its standard input
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def serve(file: Path) -> None:
    """Load a model and listen on a free loopback port. All else is as llama-server has it by default."""
    xllamacpp: Any = import_module("xllamacpp")
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(file)
    chosen.model_alias = {file.stem}
    chosen.n_parallel = 4  # as the program llama-server has it; the wheel has 1
    chosen.kv_unified = True
    chosen.cache_ram_mib = 64  # its default is 8 GiB
    chosen.verbosity = -1
    server = xllamacpp.Server(chosen)
    print(server.listening_address, flush=True)
    sys.stdin.read()


@contextmanager
def running(file: Path) -> Generator[tuple[str, str]]:
    """A server in a process of its own: its base URL and what to call it. Errors: OSError where it does not start."""
    command = [sys.executable, "-m", "scripts.contract.llama_server", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise OSError("llama.cpp's server did not start")
            yield f"{address}/v1", f"llama-server (xllamacpp {version('xllamacpp')})"
        finally:
            process.stdin.close()
            process.wait(30)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
