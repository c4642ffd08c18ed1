"""Which server a verb speaks to: the one that was typed, the folder's, or the one at the configured place."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

import fluid_server
from fluid_server.cli import serve
from fluid_server.cli.announcement import FILE, Announcement, announced, read, running_in
from fluid_server.cli.discovery import is_own
from fluid_server.config import load_config
from tests.cli.program import ran, refused, told, well
from tests.front_door import OPENVINO, RunningServer


def port_of(server: RunningServer) -> str:
    return str(urlsplit(server.address or "").port)


def announce(models: Path, url: str, *pids: int) -> None:
    """As servers of these processes do, the youngest first."""
    models.mkdir(exist_ok=True)
    line = "null"
    for pid in reversed(pids):
        line = f'{{"url": {json.dumps(url)}, "pid": {pid}, "version": "1", "before": {line}}}'
    (models / FILE).write_text(line, encoding="utf-8")


def names(found: list[dict[str, object]]) -> set[object]:
    return {one["id"] for one in found}


@pytest.fixture
def free_port() -> Iterator[str]:
    """A port where nobody listens, nor will: it is kept."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        yield str(other.getsockname()[1])


@pytest.fixture
def ended() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_server_says_where_it_is_until_it_ends(tmp_path: Path) -> None:
    server = RunningServer.start("--echo", "--no-warm-up", folder=tmp_path, models=tmp_path)
    here = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    assert here == {
        "url": server.address,
        "pid": server.process.pid,
        "version": fluid_server.__version__,
        "before": None,
    }
    found = ran("list", "--json", "--model-path", str(tmp_path), folder=tmp_path)
    assert names(json.loads(found.stdout)) == {"echo"}
    assert found.stderr == ""
    assert server.stop() == 0
    assert list(tmp_path.glob(f"{FILE}*")) == []


def test_it_is_found_as_soon_as_it_can_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    async def listen(server: uvicorn.Server, sockets: object = None) -> None:
        found.append(read(tmp_path))
        server.should_exit = True

    monkeypatch.setattr(uvicorn.Server, "startup", listen)
    serve.run(load_config({"model_path": tmp_path, "port": 0}))
    assert [one.pid for one in found if one] == [os.getpid()]
    assert read(tmp_path) is None


def test_only_the_own_announcement_is_taken_back(tmp_path: Path) -> None:
    first = RunningServer.start("--no-warm-up", folder=tmp_path, models=tmp_path)
    second = RunningServer.start("--no-warm-up", folder=tmp_path, models=tmp_path)
    first.stop()
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["pid"] == second.process.pid
    second.stop()
    assert not (tmp_path / FILE).exists()


def test_a_server_that_was_there_first_is_found_again_when_the_other_ends(tmp_path: Path) -> None:
    first, second, third = (
        RunningServer.start("--no-warm-up", folder=tmp_path, models=tmp_path) for _ in ("first", "second", "third")
    )
    second.stop()
    third.stop()
    told = read(tmp_path)
    assert told is not None
    assert (told.url, told.pid, told.before) == (first.address, first.process.pid, None)
    first.stop()
    assert list(tmp_path.glob(f"{FILE}*")) == []


def test_a_server_that_was_there_first_is_found_where_the_other_was_killed(
    server: RunningServer, tmp_path: Path, ended: int
) -> None:
    announce(tmp_path, server.address or "", ended, server.process.pid)
    assert "echo" in names(told("list", "--model-path", str(tmp_path), folder=tmp_path))


def test_what_a_server_of_the_same_number_left_is_forgotten(tmp_path: Path, ended: int) -> None:
    """In a container every server may be number 1, and a killed one leaves its announcement."""
    announce(tmp_path, "http://127.0.0.1:1", os.getpid())
    with announced([tmp_path], "http://127.0.0.1:2") as own:
        assert read(tmp_path) == own
    assert read(tmp_path) is None
    announce(tmp_path, "http://127.0.0.1:1", ended, os.getppid(), os.getpid(), os.getppid())
    assert [one.pid for one in running_in(tmp_path)] == [os.getppid(), os.getpid()]


def test_a_folder_that_cannot_be_written_to_is_no_failure(tmp_path: Path) -> None:
    server = RunningServer.start("--no-warm-up", folder=tmp_path, models=tmp_path / "none")
    assert server.stop() == 0
    assert not (tmp_path / "none").exists()


def test_what_a_dead_server_left_is_not_believed(server: RunningServer, tmp_path: Path, ended: int) -> None:
    announce(tmp_path, server.address or "", ended)
    assert told("list", "--model-path", str(tmp_path), folder=tmp_path) == []


def test_what_leads_to_another_machine_is_not_believed(tmp_path: Path) -> None:
    announce(tmp_path, "http://192.0.2.1:80", os.getpid())
    assert told("list", "--model-path", str(tmp_path), folder=tmp_path) == []


def test_what_leads_to_no_server_is_not_believed(tmp_path: Path, free_port: str) -> None:
    announce(tmp_path, f"http://127.0.0.1:{free_port}", os.getpid())
    assert told("list", "--model-path", str(tmp_path), folder=tmp_path) == []


def test_a_server_that_lives_and_is_silent_is_not_passed_over(models: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        announce(models, url, os.getpid())
        said = refused("rm", OPENVINO, "-y", "--model-path", str(models), folder=models.parent)
    assert f"The server at {url} (process {os.getpid()}) does not answer. End it, or wait." in said
    assert (models / "llm" / OPENVINO).is_dir()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"url": 1}', '{"url": "x", "pid": "many", "version": ""}', "\x00"])
def test_what_is_no_announcement_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert read(tmp_path) is None


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_what_is_no_process_is_stale(pid: int) -> None:
    assert Announcement("http://127.0.0.1:8080", pid, "1").is_stale


def test_a_server_that_is_typed_is_asked_and_no_proxy(server: RunningServer, tmp_path: Path) -> None:
    proxies = {"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    found = ran("list", "--json", "--port", port_of(server), folder=tmp_path, env=proxies)
    assert "echo" in names(json.loads(found.stdout))
    assert found.stderr == ""


def test_a_server_that_is_typed_must_answer(tmp_path: Path, free_port: str) -> None:
    assert f"127.0.0.1:{free_port}" in refused("list", "--port", free_port, folder=tmp_path)


def test_another_machine_is_not_spoken_to(tmp_path: Path) -> None:
    done = ran("ps", "--host", "192.0.2.1", "--api-key", "sesame", folder=tmp_path)
    assert done.returncode == 2
    assert "not this machine" in done.stderr


def test_the_configured_place_is_tried_last_and_told(server: RunningServer, tmp_path: Path) -> None:
    found = ran("list", "--json", folder=tmp_path, env={"FLUID_PORT": port_of(server)})
    assert "echo" in names(json.loads(found.stdout))
    assert found.stderr == f"Asking the server at {server.address}.\n"


def test_a_folder_that_is_typed_is_meant(server: RunningServer, tmp_path: Path) -> None:
    env = {"FLUID_PORT": port_of(server)}
    assert told("list", "--model-path", str(tmp_path), folder=tmp_path, env=env) == []


def test_the_key_is_sent(tmp_path: Path) -> None:
    server = RunningServer.start("--no-warm-up", folder=tmp_path, models=tmp_path, env={"FLUID_API_KEY": "sesame"})
    try:
        assert "FLUID_API_KEY" in refused("list", "--model-path", str(tmp_path), folder=tmp_path)
        assert well("ps", "--model-path", str(tmp_path), folder=tmp_path, env={"FLUID_API_KEY": "sesame"})
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("http://example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1@example.com", False),
        ("http://[", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_what_is_this_machine(url: str, own: bool) -> None:
    assert is_own(url) is own
