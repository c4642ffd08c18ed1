"""Does an installed server work? What the doctor finds, an answer of each engine, and an empty folder."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from scripts.interrupted import end
from scripts.paths.place import Failed, Place

CHATS = {"openvino": "fluid-tiny-ov", "llamacpp": "fluid-tiny-gguf"}
QUESTION = "What is the capital of France?"
ANSWER_WITHIN, LIVE_WITHIN, SERVED_FOR = 120.0, 30.0, 300.0  # seconds
BANNER = "API "
FETCH = "fluid-server pull"


def runtimes(place: Place, program: Path) -> dict[str, str]:
    """What the doctor says of each engine: 'ok', or why it is not here. Errors: Failed."""
    said = place.run(program, "doctor", "--json", "--port", "0", env=place.home())
    found = json.loads(said[said.index("[") :])
    engines = {one["what"].removeprefix("runtime "): one for one in found if one["what"].startswith("runtime ")}
    return {name: "ok" if one["state"] == "ok" else str(one["says"]) for name, one in engines.items()}


def chats(place: Place, program: Path, models: Path) -> dict[str, str]:
    """The answer of each engine's demo model, for the engines that are here. Errors: Failed, OSError."""
    here = [name for name, says in runtimes(place, program).items() if says == "ok" and name in CHATS]
    with served(place, program, "--model-path", str(models), "--no-warm-up") as (address, _):
        return {name: _chat(address, CHATS[name]) for name in here}


def says_what_to_do(place: Place, program: Path) -> str:
    """The line with which a server in an empty folder tells how to get a model. Errors: Failed."""
    empty = replace(place, folder=place.folder / "empty")
    empty.folder.mkdir()
    with served(empty, program) as (_, told):
        for line in told:
            if FETCH in line:
                return line.strip()
    raise Failed([str(program)], 0, "a server without models did not say how to fetch one")


@contextmanager
def served(place: Place, program: Path, *flags: str) -> Generator[tuple[str, Iterator[str]]]:
    """A server on a free port: its address, and the lines that it goes on to write."""
    environment: Mapping[str, str] = {**place.environment(place.home()), "FLUID_DATABASE_URL": "sqlite://"}
    with subprocess.Popen(
        place.command(program, "serve", "--port", "0", *flags),
        cwd=place.folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stderr is not None
        over = threading.Timer(SERVED_FOR, process.kill)  # who waits for a line that never comes sees the end of them
        over.start()
        try:
            address = _address(iter(process.stderr), program)
            _wait_until_live(address)
            yield address, iter(process.stderr)
        finally:
            over.cancel()
            end(process)


def _address(lines: Iterator[str], program: Path) -> str:
    before = []
    for line in lines:
        before.append(line)
        if BANNER in line:
            return line.split()[1].removesuffix("/v1")
    raise Failed([str(program)], 1, "".join(before))


def _wait_until_live(address: str) -> None:
    """Errors: OSError where it does not listen in time."""
    until = time.monotonic() + LIVE_WITHIN
    while True:
        try:
            with urlopen(f"{address}/live", timeout=LIVE_WITHIN):
                return
        except URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _chat(address: str, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 16}
    asked = Request(f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(asked, timeout=ANSWER_WITHIN) as answer:
        told: dict[str, Any] = json.load(answer)
    return str(told["choices"][0]["message"]["content"]).strip()
