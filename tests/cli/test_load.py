"""fluid-server load, unload and ps: what a running server has in memory."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fluid_server.cli.ps import Sight, picture
from tests.cli.program import CTRL_C, ON_A_TERMINAL, Terminal, interrupted, ran, refused, started, told, well
from tests.front_door import ECHO, OPENVINO

NOW = 1_800_000_000.0


@pytest.fixture
def nothing_loaded(served: Path) -> Iterator[Path]:
    """The server's folder; what a test has loaded goes after it."""
    yield served
    for one in told("ps", folder=served):
        well("unload", one["id"], folder=served)


def test_a_model_is_loaded_and_let_go(nothing_loaded: Path) -> None:
    said = well("load", OPENVINO, "--keep-alive", "10m", folder=nothing_loaded)
    assert said.startswith(f"{OPENVINO} is ready: openvino on CPU, ")
    assert "It stays for 10 min after its last request." in said
    header, row = well("ps", folder=nothing_loaded).splitlines()
    assert header.split() == ["MODEL", "STATE", "RUNTIME", "DEVICE", "MEMORY", "CONTEXT", "REQUESTS", "UNTIL"]
    assert row.split()[:4] == [OPENVINO, "ready", "openvino", "CPU"]
    assert row.endswith("10 minutes from now")
    assert well("unload", OPENVINO, folder=nothing_loaded) == f"{OPENVINO} is no longer in memory.\n"
    assert well("ps", folder=nothing_loaded) == "No model is loaded.\n"


def test_a_pinned_model_says_so(nothing_loaded: Path) -> None:
    assert "It is pinned" in well("load", ECHO, "--pin", folder=nothing_loaded)
    assert well("ps", folder=nothing_loaded).splitlines()[1].endswith("pinned")
    assert told("load", ECHO, "--no-pin", folder=nothing_loaded)["pinned"] is False


def test_for_ever(nothing_loaded: Path) -> None:
    loaded = told("load", ECHO, "--keep-alive", "-1", folder=nothing_loaded)
    assert (loaded["state"], loaded["keep_alive"]) == ("ready", None)
    assert well("ps", folder=nothing_loaded).splitlines()[1].endswith("for ever")


def test_json_for_machines(nothing_loaded: Path) -> None:
    well("load", ECHO, folder=nothing_loaded)
    (entry,) = told("ps", folder=nothing_loaded)
    assert (entry["object"], entry["id"], entry["state"]) == ("model", ECHO, "ready")
    assert told("unload", ECHO, folder=nothing_loaded)["state"] == "absent"


def test_what_the_server_refuses_is_told(served: Path) -> None:
    assert "There is no model 'nope'" in refused("load", "nope", folder=served)
    assert "keep_alive" in refused("load", ECHO, "--keep-alive", "soon", folder=served)
    assert "There is no model '../x'" in refused("unload", "../x", folder=served)


def test_without_a_server(tmp_path: Path) -> None:
    where = ("--model-path", str(tmp_path))
    for verb in ("load", "unload"):
        assert f"Start one with: fluid-server --model-path {tmp_path}" in refused(verb, "x", *where, folder=tmp_path)
    done = ran("ps", *where, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("No server runs.")
    assert told("ps", *where, folder=tmp_path) == []


@CTRL_C
def test_ctrl_c_without_a_server_says_nothing_of_one(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = str(silent.getsockname()[1])
        with started("load", "x", "--port", port, folder=tmp_path) as load:
            client, _ = silent.accept()
            assert interrupted(load) == (130, "", "")
            client.close()


@CTRL_C
def test_ctrl_c_of_a_load_says_how_to_end_it(tmp_path: Path) -> None:
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen()
        port = str(slow.getsockname()[1])
        with started("load", "x", "--port", port, folder=tmp_path) as load:
            client, _ = slow.accept()
            assert client.recv(65536).startswith(b"GET / ")
            body = b'{"name": "Fluid Server"}'
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            client.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            assert client.recv(65536).startswith(b"POST /v1/models/x/load ")
            code, _, err = interrupted(load)
            client.close()
    assert code == 130
    assert err.endswith(f"To end that: fluid-server unload x --host 127.0.0.1 --port {port}\n")


@ON_A_TERMINAL
def test_a_terminal_is_told_what_goes_on(nothing_loaded: Path) -> None:
    terminal = Terminal("load", OPENVINO, folder=nothing_loaded)
    terminal.wait_for(f"Loading {OPENVINO}")
    terminal.wait_for("is ready: openvino on CPU")
    assert terminal.end() == 0


@CTRL_C
def test_a_watch_ends_well(nothing_loaded: Path) -> None:
    with started("ps", "--watch", folder=nothing_loaded) as watch:
        assert _first_line(watch) == "No model is loaded."
        well("load", ECHO, folder=nothing_loaded)
        assert _first_line(watch).startswith("MODEL")
        code, _, err = interrupted(watch)
    assert (code, err) == (0, "")


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def _model(**changes: Any) -> dict[str, Any]:
    usual = {
        "id": "m",
        "state": "ready",
        "runtime": "openvino",
        "device": "CPU",
        "memory_bytes": 5_000_000,
        "context_length": 2048,
        "leases": 0,
        "queued": 0,
        "pinned": False,
        "problem": None,
        "expires_at": NOW + 240,
    }
    return usual | changes


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "0         4 minutes from now"),
        ({"leases": 3, "queued": 2}, "3, 2 queued  in use"),
        ({"expires_at": None}, "for ever"),
        ({"expires_at": NOW - 1}, "now"),
        ({"pinned": True, "leases": 1}, "1         pinned"),
        ({"state": "loading", "runtime": None, "device": None, "memory_bytes": 0}, "-"),
        ({"state": "failed", "problem": "It did not load."}, "It did not load."),
    ],
)
def test_until_when(changes: dict[str, Any], end: str) -> None:
    assert picture(Sight([_model(**changes)], []), now=NOW).splitlines()[1].endswith(end)


def test_downloads_are_shown_below() -> None:
    going = {"name": "o/r", "state": "downloading", "bytes_done": 25, "bytes_total": 100, "rate": 5.0,
             "eta_seconds": 15.0, "note": "the connection was cut"}  # fmt: skip
    paused = going | {"state": "paused", "note": None}
    lines = picture(Sight([], [going, paused]), now=time.time()).splitlines()
    assert lines[0] == "No model is loaded."
    assert lines[3].split("  ")[1:] != lines[4].split("  ")[1:]
    assert lines[3].endswith("25 %  100 B  5 B/s  15 s  the connection was cut")
    assert lines[4].split() == ["o/r", "paused", "25", "%", "100", "B", "-", "-"]
