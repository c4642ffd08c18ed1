"""A server in the background: started, waited for, found and ended by the scripts, on every system."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts.start_server import ROOT, doing, printer
from tests.front_door import PATIENCE, clean_environment


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the scripts, as a person runs it."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *arguments],
        env=clean_environment({"PYTHONIOENCODING": "utf-8"}),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_a_server_goes_on_behind_its_script_until_it_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    flags = ("--port", "0", "--model-path", str(tmp_path), "--echo")
    started = script("start_server.py", "--log", str(log), "--wait", "30", *flags)
    assert started.returncode == 0, started.stderr
    base_url = re.findall(r"^Ready: (\S+)$", started.stdout, re.MULTILINE)[0]
    try:
        assert httpx.get(f"{base_url}/models").json()["data"][0]["id"] == "echo"
    finally:
        ended = script("kill_server.py", "--model-path", str(tmp_path))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.fullmatch(r"Server \d+ has ended in good order\.\n", ended.stdout)
    assert "Fluid Server" in log.read_text(encoding="utf-8")
    assert not (tmp_path / ".server.json").exists()


def test_why_a_server_does_not_start_is_told_with_its_exit_code(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        flags = ("--port", port, "--no-warm-up", "--model-path", str(tmp_path))
        done = script("start_server.py", "--log", str(tmp_path / "server.log"), *flags)
    assert done.returncode == 10
    assert f"Port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_says_which_models_are_on_their_way() -> None:
    models = {"a": {"state": "loading"}, "b": {"state": "ready"}, "c": {"state": "warming"}}
    assert doing({"status": "warming up", "models": models}) == "a is loading, c is warming"
    assert doing({"status": "warming up", "models": {}}) == "warming up"


def test_progress_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    say = printer()
    for text in ("one", "one", "two"):
        say(text)
    assert capsys.readouterr().out == "  one\n  two\n"
