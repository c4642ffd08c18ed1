"""A real server process, spoken to as any client would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import httpx
import openai

T = TypeVar("T")
MODELS = Path(__file__).parent.parent / "models"
AUDIO = Path(__file__).parent / "fixtures" / "audio"
ECHO = "echo"
OPENVINO = "fluid-tiny-ov"
GGUF = "fluid-tiny-gguf:F16"
WHISPER = "fluid-tiny-whisper-ov"
QNN_WHISPER = "fluid-tiny-whisper-qnn"
LANGUAGE_MODELS = (OPENVINO, GGUF, "fluid-tiny-gguf:Q8_0")
ENGINE_OF = {
    OPENVINO: "openvino_genai",
    WHISPER: "openvino_genai",
    QNN_WHISPER: "onnxruntime",
    **dict.fromkeys(LANGUAGE_MODELS[1:], "xllamacpp"),
}
ADDRESS = re.compile(r"API +(http://\S+)/v1")
EXACT = "INFERENCE_PRECISION_HINT=f32"  # in bf16, which words a model of this size finds hangs on who is beside it
PATIENCE = 30.0
LOOK_EVERY = 0.02
CREATION_FLAGS = 0
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP  # a group of its own can be sent CTRL_BREAK


def until(condition: Callable[[], T], timeout: float = PATIENCE) -> T:
    """What the condition gives once it is true; fails after ``timeout`` seconds. The only place that sleeps."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(LOOK_EVERY)
    return found


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without the settings of whoever runs the tests, with a database in memory, and with ``extra``."""
    foreign = ("FLUID_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    return {**kept, "FLUID_DATABASE_URL": "sqlite://", "FLUID_OPENVINO": EXACT, **(extra or {})}


def command(*arguments: str) -> list[str]:
    """The command line of the program under test."""
    return [sys.executable, "-P", "-m", "fluid_server", *arguments]


class RunningServer:
    """One server process. ``log`` holds every line of its stderr so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, name="server-log", daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls, *flags: str, env: Mapping[str, str] | None = None, folder: Path | None = None, models: Path = MODELS
    ) -> Self:
        """Start it on a free port and wait for its app; ``folder`` is where it runs."""
        server = cls.begin(*flags, env=env, folder=folder, models=models)
        server.health()  # waits as long as the imports take: many tests ask with a client that waits for 5 s
        return server

    @classmethod
    def begin(
        cls, *flags: str, env: Mapping[str, str] | None = None, folder: Path | None = None, models: Path = MODELS
    ) -> Self:
        """The same, but it is only known to live: its app may still be on its way."""
        server = cls(
            subprocess.Popen(
                command("serve", "--port", "0", "--model-path", str(models), *flags),
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                cwd=folder,
                env=clean_environment(env),
                creationflags=CREATION_FLAGS,
            )
        )
        until(lambda: server.address or server.process.poll() is not None)
        assert server.address, f"it ended with exit code {server.process.returncode}: {server.log}"
        until(server.is_live)
        return server

    @property
    def address(self) -> str | None:
        """Such as http://127.0.0.1:8080, once the banner has said it."""
        return next((found[1] for line in list(self.log) if (found := ADDRESS.search(line))), None)

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given."""
        return f"{self.address}/v1"

    def is_live(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.address}/live").is_success
        except httpx.TransportError:
            return False

    def health(self) -> dict[str, Any]:
        """GET /health."""
        answer: dict[str, Any] = httpx.get(f"{self.address}/health", timeout=PATIENCE).json()
        return answer

    def stop(self, sign: int | None = None, timeout: float = PATIENCE) -> int:
        """Send it a signal (default: what a supervisor sends) and wait; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(stop_signal() if sign is None else sign)
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()
            self._reader.join(timeout)
            if self.process.stderr is not None:
                self.process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def official(self) -> openai.OpenAI:
        """The official client; nothing is changed but base_url."""
        return openai.OpenAI(base_url=self.base_url, api_key="none", max_retries=0, timeout=PATIENCE)

    def plain(self) -> httpx.Client:
        """For what the official client would not send, and for the bytes on the wire."""
        return httpx.Client(base_url=self.address or "", timeout=PATIENCE)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))


def stop_signal() -> int:
    """How a supervisor asks for the end: Windows knows no SIGTERM that a program could handle."""
    if sys.platform == "win32":
        return signal.CTRL_BREAK_EVENT
    return signal.SIGTERM


class Answer(Protocol):
    """A response of httpx, or of the client of that kind that starlette tests with."""

    @property
    def status_code(self) -> int: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...


def error_of(response: Answer, status: int) -> dict[str, Any]:
    """The error object of a failed response, checked to be one."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    return error
