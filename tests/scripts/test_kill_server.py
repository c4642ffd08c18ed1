"""Which processes are servers, and how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fluid_server.workers.process import worker_command
from scripts import kill_server
from scripts.kill_server import ended, is_server
from tests.front_door import clean_environment

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); input()"


@pytest.mark.parametrize(
    "command",
    [
        ["fluid-server"],
        ["fluid-server", "serve", "--port", "1"],
        ["/opt/bin/fluid-server", "--port", "1"],
        ["C:\\tools\\fluid-server.exe", "--port", "1"],
        ["C:\\env\\Scripts\\python.exe", "C:\\env\\Scripts\\fluid-server.exe", "serve"],
        ["/usr/bin/python3.11", "/home/me/.venv/bin/fluid-server"],
        worker_command("serve"),
        [sys.executable, "-m", "fluid_server"],
    ],
    ids=" ".join,
)
def test_a_server_is_known_by_its_command_line(command: list[str]) -> None:
    assert is_server(command)


@pytest.mark.parametrize(
    "command",
    [
        [],
        worker_command(),
        worker_command("probe"),
        ["fluid-server", "pull", "qwen3-4b"],
        ["fluid-server", "service", "status"],
        ["grep", "fluid-server"],
        ["vim", "-m", "fluid_server"],
        ["python", "-m", "pytest", "fluid_server"],
        ["python", "-c", "print()", "fluid-server"],
        ["uv", "run", "fluid-server"],
    ],
    ids=" ".join,
)
def test_what_is_no_server_is_left_alone(command: list[str]) -> None:
    assert not is_server(command)


def test_a_process_that_is_no_server_is_not_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert kill_server.main(["--pid", str(process.pid)]) == 1
        assert process.poll() is None
    assert "no Fluid Server" in capsys.readouterr().err


def test_where_no_server_runs_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kill_server.main(["--model-path", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "No server runs there.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that a process could ignore")
def test_who_does_not_listen_is_ended_by_force() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment()
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert ended(psutil.Process(process.pid), 0.1) == "did not end within 0.1 s, and was ended by force"
        assert process.wait() != 0
