"""A server in the background: started, waited for, found and ended by the scripts, on every system."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts import start_server
from scripts.start_server import ROOT, Started, doing, printer
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


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a server."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_ctrl_c_before_it_listens_leaves_no_server_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setattr(start_server, "_detached", lambda *_: sleeper)
    monkeypatch.setattr(start_server, "_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_server.start([], tmp_path / "server.log", deadline=0)
    assert sleeper.wait(PATIENCE) != 0


def test_ctrl_c_during_warm_up_says_that_it_goes_on_and_how_to_end_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sleeper: subprocess.Popen[bytes],
) -> None:
    monkeypatch.setattr(start_server, "wait_until_ready", interrupted)
    assert start_server.report(Started(sleeper, {"pid": 7}, tmp_path), wait=1, deadline=0) == 130
    told = capsys.readouterr().out
    assert "goes on" in told
    assert "uv run scripts/kill_server.py --pid 7" in told
