"""An engine alone, in a process of its own: what a benchmark measures the server against."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Peer:
    """A script beside this file. It says one line when it is ready, then answers each line with one of JSON."""

    def __init__(self, script: str, *arguments: str | Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the engine alone ended")
        return line

    def ask(self, question: str | dict[str, Any]) -> Any:
        """What it answers to one line; what is no text is sent as JSON."""
        assert self.process.stdin is not None
        line = question if isinstance(question, str) else json.dumps(question)
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def stop(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
