"""A fluid-server to measure, and a client lean enough not to be what is measured."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 60.0


class Server:
    """``fluid-server`` on a free port, its log in a temporary file. ``path`` is searched for modules before others."""

    def __init__(self, *flags: str, path: Path | None = None) -> None:
        self.log = Path(tempfile.mkstemp(suffix=".log")[1])
        self.started = time.perf_counter()
        with self.log.open("wb") as log:
            command = [sys.executable, "-P", "-m", "fluid_server", "serve", "--port", "0", *flags]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, env=_environment(path))
        self.url = self._url()

    def _url(self) -> str:
        """The address from the banner, once it answers."""
        while time.perf_counter() - self.started < START_TIMEOUT:
            for line in self.log.read_text(encoding="utf-8").splitlines():
                if line.strip().startswith("API"):
                    url = line.split()[1].removesuffix("/v1")
                    if self._alive(url):
                        return url
            time.sleep(0.005)
        raise TimeoutError(f"the server did not start; its log is {self.log}")

    def _alive(self, url: str) -> bool:
        try:
            urllib.request.urlopen(url + "/live", timeout=1).close()
        except (urllib.error.URLError, OSError):
            return False
        self.alive_after = time.perf_counter() - self.started
        return True

    def get(self, path: str) -> Any:
        """A JSON answer."""
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return json.load(response)

    def runtimes(self) -> dict[str, Any]:
        """The runtimes that it found, once it has looked for them."""
        while (found := self.get("/health")["runtimes"]) is None:
            time.sleep(0.02)
        return dict(found)

    def stop(self) -> float:
        """End it as Ctrl-C would; returns the seconds it took."""
        started = time.perf_counter()
        if sys.platform == "win32":
            self.process.terminate()
        else:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.log.unlink()
        return time.perf_counter() - started


def _environment(path: Path | None) -> dict[str, str]:
    """Ours without the settings of whoever measures."""
    foreign = ("FLUID_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    return kept if path is None else {**kept, "PYTHONPATH": str(path)}


@dataclass
class Answer:
    """One stream: when the first text came, when it ended, and the server's own counts of tokens."""

    first: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    cached: int = 0


async def chat(url: str, body: dict[str, Any]) -> Answer:
    """One streamed chat over a plain socket: bytes are counted, not parsed, but for the usage at the end."""
    address = urlsplit(url)
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**22)
    payload = json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    answer, tail = Answer(), b""
    while data := await reader.read(2**16):
        if not answer.first and b'"content":"' in data.replace(b'"content":""', b""):
            answer.first = time.perf_counter() - started
        tail = (tail + data)[-4096:]
    answer.seconds = time.perf_counter() - started
    writer.close()
    answer.tokens = int(tail.rsplit(b'"completion_tokens":', 1)[1].split(b",")[0])
    answer.prompt_tokens = int(tail.rsplit(b'"prompt_tokens":', 1)[1].split(b",")[0])
    answer.cached = int(tail.rsplit(b'"cached_tokens":', 1)[1].split(b"}")[0])
    return answer
