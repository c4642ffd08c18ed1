"""/live, /ready and /health, which supervisors read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

import fluid_server
from tests.front_door import ECHO, GGUF, OPENVINO, WHISPER, RunningServer, error_of, until


def test_it_lives_and_is_ready(http: httpx.Client) -> None:
    assert http.get("/live").json() == {"status": "alive"}
    assert http.get("/ready").json() == {"status": "ready"}


def test_health_says_what_there_is(server: RunningServer) -> None:
    health = server.health()
    assert (health["status"], health["version"]) == ("ready", fluid_server.__version__)
    assert set(health["architecture"]) == {"machine", "process", "system", "python"}
    assert {OPENVINO, GGUF, WHISPER, ECHO} <= set(health["models"])
    assert health["uptime_seconds"] > 0


def test_health_names_runtimes_and_their_devices_once_checked(server: RunningServer) -> None:
    runtimes = until(lambda: server.health()["runtimes"])
    assert runtimes["openvino"]["available"]
    assert "CPU" in runtimes["openvino"]["devices"]
    assert runtimes["echo"]["available"]


def test_a_model_shows_its_process_and_counters(server: RunningServer, http: httpx.Client) -> None:
    asked: dict[str, Any] = {"model": ECHO, "messages": [{"role": "user", "content": "one two"}]}
    before = _echo_counters(server, http, asked)
    after = _echo_counters(server, http, asked)
    assert after["completed"] == before["completed"] + 1
    assert after["completion_tokens"] == before["completion_tokens"] + 2
    assert (after["running"], after["waiting"]) == (0, 0)


def _echo_counters(server: RunningServer, http: httpx.Client, asked: dict[str, Any]) -> dict[str, int]:
    http.post("/v1/chat/completions", json=asked).raise_for_status()
    model = server.health()["models"][ECHO]
    assert (model["state"], model["runtime"], model["leases"]) == ("ready", "echo", 0)
    assert model["pid"] != server.process.pid
    counters: dict[str, int] = model["counters"]
    return counters


@pytest.mark.parametrize("path", ["/live", "/ready", "/health"])
def test_health_is_only_read(http: httpx.Client, path: str) -> None:
    error_of(http.post(path), 405)


def test_the_root_says_where_to_go(http: httpx.Client) -> None:
    places = http.get("/").json()
    assert all(http.get(places[name]).is_success for name in ("docs", "health", "models"))


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_interface_is_documented(http: httpx.Client, path: str) -> None:
    assert http.get(path).is_success


def test_a_broken_model_is_told_and_harms_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "llm" / "broken"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"GGUF\x03\x00\x00\x00 and no more")
    server = RunningServer.start("--echo", "--no-warm-up", folder=tmp_path, models=tmp_path / "models")
    try:
        models = server.health()["models"]
        broken = next(name for name in models if name != ECHO)
        assert models[broken]["state"] == "broken"
        assert models[broken]["problem"]
        asked = {"model": broken, "messages": [{"role": "user", "content": "hi"}]}
        error = error_of(httpx.post(f"{server.base_url}/chat/completions", json=asked), 503)
        assert error["code"] == "model_load_failed"
        assert str(tmp_path) not in error["message"]
    finally:
        server.stop()
