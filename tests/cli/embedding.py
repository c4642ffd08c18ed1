"""A program that has started the server for itself, and what becomes of the processes when one of them ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

from scripts.kill_server import left_of
from tests.front_door import CREATION_FLAGS, MODELS, PATIENCE, clean_environment, command

WITHIN = 10.0  # seconds from the parent's end to that of all; 3 are promised, on a machine that is not busy
FLAGS = ("--port", "0", "--no-warm-up", "--echo", "--ready-json")


@dataclass(frozen=True, slots=True)
class Child:
    """A server that was started with --ready-json, what it said, and where its stderr is."""

    process: subprocess.Popen[str]
    told: Mapping[str, Any]
    log: Path

    def end(self) -> tuple[int, str]:
        """Close its standard input: the exit code, and what else it has written to stdout."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out

    def family(self) -> list[psutil.Process]:
        """The server and all that it has started."""
        return family(self.process.pid)


@contextmanager
def child(
    *flags: str, folder: Path, models: Path | None = MODELS, env: Mapping[str, str] | None = None
) -> Generator[Child, None, None]:
    """A server that says where it is, and ends when its standard input is closed."""
    where = ("--model-path", str(models)) if models else ()
    log = folder / f"stderr-{len(list(folder.glob('stderr-*')))}.txt"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command("serve", *FLAGS, "--exit-with-stdin", *where, *flags),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="ascii",
            cwd=folder,
            env=clean_environment(env),
            creationflags=CREATION_FLAGS,
        ) as process,
    ):
        try:
            yield Child(process, first_line(process.stdout, log), log)
        finally:
            process.kill()


def first_line(stream: IO[str] | None, log: Path) -> dict[str, Any]:
    """The ready line."""
    assert stream is not None
    line = stream.readline()
    assert line, log.read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(line)
    return told


def asked(told: Mapping[str, Any], model: str, text: str, *, key: str = "none", **more: Any) -> str:
    """A model's answer, over HTTP."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    headers = {"Authorization": f"Bearer {key}"}
    got = httpx.post(f"{told['base_url']}/chat/completions", json=body, headers=headers, timeout=PATIENCE)
    answer: str = got.raise_for_status().json()["choices"][0]["message"]["content"]
    return answer


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def await_end(processes: Sequence[psutil.Process]) -> None:
    """All end in time."""
    assert left_of(processes, WITHIN) == []
