"""Start Fluid Server as a child process, ask it something, and end it.

python embed.py [MODEL [COMMAND ...]]     such as: python embed.py fluid-tiny-ov fluid-server --model-path models
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

EXIT_CODES = {10: "the port is taken", 11: "its folder cannot be written", 12: "the disk is full"}


class LocalServer:
    """A server that belongs to this program. Use it with ``with``."""

    def __init__(self, command: list[str], data: Path) -> None:
        self.key = secrets.token_urlsafe()  # whoever else runs on this machine does not know it
        self.process = subprocess.Popen(
            [
                *command, "--port", "0", "--data-dir", str(data), "--log-file", str(data / "logs" / "server.log"),
                "--ready-json", "--parent-pid", str(os.getpid()), "--exit-with-stdin",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the log file has it; a pipe that nobody reads would fill and stop the server
            env={**os.environ, "FLUID_API_KEY": self.key},
            creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # comes when the server listens; it is empty where it has ended instead
        if not line:
            code = self.process.wait()
            raise RuntimeError(f"The server did not start: {EXIT_CODES.get(code, f'exit code {code}')}. See its log.")
        self.base_url: str = json.loads(line)["base_url"]

    def chat(self, model: str, text: str) -> str:
        """One question, one answer. The first one waits until the model is loaded."""
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        request = Request(
            f"{self.base_url}/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"},
        )
        try:
            with urlopen(request) as response:
                answer: dict[str, Any] = json.load(response)
        except HTTPError as error:
            raise RuntimeError(json.load(error)["error"]["message"]) from error
        return str(answer["choices"][0]["message"]["content"])

    def stop(self) -> int:
        """Ask it to end, and wait: at most three seconds. Returns its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait()

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "fluid-tiny-ov"
    command = sys.argv[2:] or ["fluid-server"]
    with LocalServer(command, Path("fluid-data")) as server:
        print(f"It runs: process {server.process.pid}", flush=True)
        print(server.chat(model, "What is the capital of France?"), flush=True)
        print("Press Enter to end it.", flush=True)
        sys.stdin.readline()
    print(f"It has ended with {server.process.returncode}", flush=True)


if __name__ == "__main__":
    main()
