"""Loading, unloading, pinning, keeping and deleting models through the API."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.front_door import ECHO, MODELS, PATIENCE, RunningServer, error_of, until

TINY = "tiny"
GGUF = MODELS / "llm" / "fluid-tiny-gguf" / "fluid-tiny-Q8_0.gguf"
SAY = [{"role": "user", "content": "hello"}]
ENDLESS = {"messages": SAY, "ignore_eos": True, "stream": True}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    add(folder, TINY)
    return folder


def add(folder: Path, name: str) -> None:
    place = folder / name
    place.mkdir()
    shutil.copy(GGUF, place / f"{name}.gguf")


@pytest.fixture(scope="module")
def own(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    flags = ("--echo", "--no-warm-up", "--idle-timeout", "600")
    running = RunningServer.start(*flags, models=models, folder=tmp_path_factory.mktemp("server"))
    with httpx.Client(base_url=running.address or "", timeout=PATIENCE) as connected:
        yield connected
    running.stop()


def model(http: httpx.Client, name: str = ECHO) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/v1/models/{name}").json()
    return found


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json={"model": ECHO, "messages": SAY, **fields})


def done(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_a_model_is_loaded_and_unloaded_by_hand(own: httpx.Client) -> None:
    loaded = done(own.post(f"/v1/models/{ECHO}/load"))
    assert (loaded["id"], loaded["state"], loaded["runtime"]) == (ECHO, "ready", "echo")
    assert loaded["memory_bytes"] > 0
    assert time.time() < loaded["expires_at"] <= time.time() + 602
    assert done(own.post(f"/v1/models/{ECHO}/load"))["state"] == "ready"
    assert done(own.post(f"/v1/models/{ECHO}/unload"))["state"] == "absent"
    assert done(own.post(f"/v1/models/{ECHO}/unload"))["memory_bytes"] == 0


@pytest.mark.parametrize("verb", ["load", "unload", "pin"])
def test_an_unknown_model_is_not_found(own: httpx.Client, verb: str) -> None:
    assert error_of(own.post(f"/v1/models/nope/{verb}"), 404)["code"] == "model_not_found"


def test_a_model_in_use_is_neither_unloaded_nor_deleted(own: httpx.Client) -> None:
    with own.stream("POST", "/v1/chat/completions", json={"model": ECHO, **ENDLESS}) as stream:
        chunks = stream.iter_bytes()
        next(chunks)
        for response in (own.post(f"/v1/models/{ECHO}/unload"), own.delete(f"/v1/models/{ECHO}")):
            error = error_of(response, 409)
            assert (error["code"], error["param"]) == ("conflict", "model")
            assert response.headers["x-should-retry"] == "false"
        assert model(own)["leases"] == 1
    until(lambda: model(own)["leases"] == 0)
    assert done(own.post(f"/v1/models/{ECHO}/unload"))["state"] == "absent"


def test_a_pinned_model_stays(own: httpx.Client) -> None:
    assert done(own.post(f"/v1/models/{ECHO}/pin"))["pinned"] is True
    done(ask(own, keep_alive=0))
    pinned = model(own)
    assert (pinned["state"], pinned["expires_at"]) == ("ready", None)
    assert done(own.post(f"/v1/models/{ECHO}/pin", json={"pinned": False}))["pinned"] is False
    until(lambda: model(own)["state"] == "absent")  # its time was over long ago


def test_keep_alive_says_how_long_a_model_stays(own: httpx.Client) -> None:
    done(ask(own, keep_alive="10m"))
    kept = model(own)
    assert kept["keep_alive"] == 600
    assert kept["expires_at"] is not None
    done(ask(own))
    assert model(own)["keep_alive"] == 600  # who says nothing changes nothing
    done(ask(own, keep_alive=-1))
    assert (model(own)["keep_alive"], model(own)["expires_at"]) == (None, None)
    done(ask(own, keep_alive=0))
    until(lambda: model(own)["state"] == "absent")


@pytest.mark.parametrize("value", ["soon", "5 minutes", [], True])
def test_a_keep_alive_that_is_none_is_refused(own: httpx.Client, value: Any) -> None:
    assert error_of(ask(own, keep_alive=value), 400)["param"] == "keep_alive"
    assert error_of(own.post(f"/v1/models/{ECHO}/load", json={"keep_alive": value}), 400)["param"] == "keep_alive"


@pytest.mark.parametrize(("verb", "field"), [("load", "device"), ("pin", "pin")])
def test_unknown_fields_are_refused_by_name(own: httpx.Client, verb: str, field: str) -> None:
    error = error_of(own.post(f"/v1/models/{ECHO}/{verb}", json={field: True}), 400)
    assert (error["code"], error["param"]) == ("unknown_parameter", field)


def test_a_deleted_model_is_gone_from_memory_disk_and_list(own: httpx.Client, models: Path) -> None:
    add(models, "second")
    done(own.post("/v1/models/second/load"))
    assert done(own.delete("/v1/models/second")) == {"id": "second", "object": "model", "deleted": True}
    assert not (models / "second").exists()
    assert error_of(own.get("/v1/models/second"), 404)["code"] == "model_not_found"
    assert "second" not in own.get("/health").json()["models"]
    assert TINY in {one["id"] for one in own.get("/v1/models").json()["data"]}


def test_the_built_in_model_cannot_be_deleted(own: httpx.Client) -> None:
    assert error_of(own.delete(f"/v1/models/{ECHO}"), 400)["param"] == "model"


def test_the_estimate_is_near_what_is_measured(own: httpx.Client) -> None:
    loaded = done(own.post(f"/v1/models/{TINY}/load", json={"keep_alive": 0}))
    assert 0.1 < loaded["memory_bytes"] / loaded["memory_estimate_bytes"] < 1.5


# --- deadlines and turns -----------------------------------------------------------------------------------


def test_a_request_ends_at_its_own_deadline(own: httpx.Client) -> None:
    body = {"model": ECHO, "messages": SAY, "ignore_eos": True}
    response = own.post("/v1/chat/completions", json=body, headers={"X-Request-Timeout": "0.3"})
    error = error_of(response, 504)
    assert error["code"] == "deadline_exceeded"
    assert "0.3 s" in error["message"]
    until(lambda: model(own)["leases"] == 0)


def test_a_stream_that_runs_past_its_deadline_ends_with_the_error(own: httpx.Client) -> None:
    done(own.post(f"/v1/models/{ECHO}/load"))
    headers = {"X-Request-Timeout": "2"}
    with own.stream("POST", "/v1/chat/completions", json={"model": ECHO, **ENDLESS}, headers=headers) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert '"deadline_exceeded"' in lines[-1]
    assert "[DONE]" not in lines[-1]


@pytest.mark.parametrize("value", ["soon", "0", "-1", "1e3", "nan", ""])
def test_a_deadline_that_is_none_is_refused(own: httpx.Client, value: str) -> None:
    response = own.post(
        "/v1/chat/completions", json={"model": ECHO, "messages": SAY}, headers={"X-Request-Timeout": value}
    )
    assert error_of(response, 400)["param"] == "X-Request-Timeout"
