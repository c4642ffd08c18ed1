"""What a packaged program must do before anybody is given it. Each trial raises Trouble that says what it does not."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from fluid_server.runtimes.table import RUNTIMES
from fluid_server.types import Format, Kind
from scripts.bundle.running import PATIENCE, Running, Trouble, until
from scripts.kill_server import left_of

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
RECORDING = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "audio" / "capital-of-france.wav"
LONG = 1500  # tokens: seconds of work for the demo models
ENDS_WITHIN = 3.0  # seconds in which all processes are gone after the server's violent end
FREE_WITHIN = 2.0  # seconds in which a client that left has given its place back


def say(command: Sequence[str], *arguments: str, environment: Mapping[str, str], folder: Path) -> str:
    """What a command of the program prints. Errors: Trouble with what it said where it failed."""
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True, text=True, encoding="utf-8", check=False, cwd=folder, env=environment, timeout=PATIENCE,
    )  # fmt: skip
    if done.returncode:
        raise Trouble(f"{' '.join(arguments)} ended with exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def engines(told: str) -> set[str]:
    """The runtimes that import in the program, by what its doctor says as JSON."""
    prefix = "runtime "
    return {
        one["what"].removeprefix(prefix)
        for one in json.loads(told)
        if one["what"].startswith(prefix) and one["state"] == "ok"
    }


def check_engines(found: set[str], inside: frozenset[str]) -> None:
    """Every runtime whose package was put in must import there. Errors: Trouble."""
    for entry in RUNTIMES.values():
        if set(entry.packages) & inside and entry.name not in found:
            raise Trouble(f"{entry.name} was built in and does not import there; it imports {sorted(found)}")


def models_of(running: Running, kind: Kind) -> Iterator[str]:
    """The demo models of a kind whose engine is in the program, one for each format."""
    known = running.json("GET", "/v1/models")["data"]
    here = until(lambda: running.json("GET", "/health")["runtimes"], "the check of what runs here")
    for form in (Format.OPENVINO, Format.GGUF, Format.QNN):
        able = any(
            form in one.formats and kind in one.kinds and here[one.name]["available"] for one in RUNTIMES.values()
        )
        found = [one["id"] for one in known if (one["format"], one["kind"], one["problem"]) == (form, kind, None)]
        if able and found:
            yield found[0]


def first_token(running: Running, model: str) -> float:
    """Ask, streamed; returns when the first text came, on the clock of time.monotonic. Errors: Trouble."""
    body = {"model": model, "messages": QUESTION, "stream": True, "temperature": 0}
    arrived, text, ended = 0.0, "", False
    with running.http.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if line == "data: [DONE]":
                ended = True
            elif line.startswith("data: "):
                choices = json.loads(line[6:]).get("choices") or [{}]
                piece = choices[0].get("delta", {}).get("content") or ""
                arrived = arrived or (time.monotonic() if piece else 0.0)
                text += piece
    if "Paris" not in text or not ended:
        raise Trouble(f"{model} streamed {text!r}{'' if ended else ', and no end'}")
    return arrived


def chat(running: Running, model: str) -> None:
    """The same, not streamed. Errors: Trouble."""
    answer = running.json("POST", "/v1/chat/completions", json={"model": model, "messages": QUESTION, "temperature": 0})
    text = answer["choices"][0]["message"]["content"]
    if "Paris" not in text:
        raise Trouble(f"{model} answered {text!r}")


def cancel(running: Running, model: str) -> float:
    """Leave in the middle of a long answer; returns the seconds until its worker has ended it. Errors: Trouble."""
    body = {"model": model, "messages": QUESTION, "stream": True, "ignore_eos": True, "max_tokens": LONG}
    with running.http.stream("POST", "/v1/chat/completions", json=body) as response:
        pieces = (line for line in response.iter_lines() if line.startswith("data: {"))
        for _ in range(3):
            next(pieces)
        before = _cancelled(running, model)
    left = time.monotonic()
    until(lambda: _cancelled(running, model) > before, f"{model} stops when its client has left", FREE_WITHIN)
    return time.monotonic() - left


def _cancelled(running: Running, model: str) -> int:
    """The worker's own count of requests that it was told to end."""
    counters = running.json("GET", "/health")["models"][model]["counters"] or {}
    return int(counters.get("cancelled", 0))


def transcribe(running: Running, model: str) -> None:
    """A recording becomes its words. Errors: Trouble."""
    sent = {"file": (RECORDING.name, RECORDING.read_bytes())}
    text = running.json("POST", "/v1/audio/transcriptions", data={"model": model}, files=sent)["text"]
    if text.strip() != "What is the capital of France?":
        raise Trouble(f"{model} heard {text!r}")


def keep(running: Running, model: str) -> None:
    """The database is made, written and read: its migrations are in the program. Errors: Trouble."""
    made = running.json("POST", "/v1/responses", json={"model": model, "input": "Hello", "max_output_tokens": 16})
    path = f"/v1/responses/{made['id']}"
    if running.json("GET", path)["id"] != made["id"]:
        raise Trouble("a response was stored and another read")
    running.json("DELETE", path)


def pages(running: Running) -> None:
    """What the server hands out as files is in the program. Errors: Trouble."""
    for path in ("/docs", "/redoc", "/openapi.json"):
        if not running.http.get(path).is_success:
            raise Trouble(f"GET {path} fails")


def end_well(running: Running) -> None:
    """Asked to end, it does, with its workers, and with exit code 0. Errors: Trouble."""
    workers = running.children()
    if not workers:
        raise Trouble("it has no worker processes to end")
    if code := running.stop():
        raise Trouble(f"it ended with exit code {code}: {running.log[-5:]}")
    gone(workers)


def end_badly(running: Running) -> float:
    """Killed, its workers end by themselves; returns the seconds that they took. Errors: Trouble."""
    workers = running.children()
    killed = time.monotonic()
    running.process.kill()
    gone(workers)
    return time.monotonic() - killed


def gone(processes: Sequence[psutil.Process]) -> None:
    """Errors: Trouble where one is left."""
    if left_of(processes, ENDS_WITHIN):
        raise Trouble(f"one of its processes is left after {ENDS_WITHIN:g} s")
