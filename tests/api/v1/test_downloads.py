"""Fetching models through the API, from a Hub on localhost."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from fluid_server.app import create_app
from fluid_server.config import load_config
from tests.front_door import MODELS, PATIENCE, RunningServer, error_of, until
from tests.hub_server import HubServer

WEIGHTS = MODELS / "llm" / "fluid-tiny-gguf" / "fluid-tiny-Q8_0.gguf"
REPO = "Qwen/Qwen3-4B-GGUF"  # of the preset qwen3-4b: what lies there is our own small model
PRESET = "qwen3-4b"
LARGER, ABSENT = "qwen3-8b", "qwen3-0.6b"  # presets: of one test, and of none
FILE = "Qwen3-4B-Q4_K_M.gguf"
OTHER = "someone/tiny"
CHUNK = 1 << 20  # what was on its way when the connection ended may come again
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@contextmanager
def a_hub() -> Generator[HubServer, None, None]:
    with HubServer() as running:
        running.add(REPO, {FILE: WEIGHTS.read_bytes()})
        running.add(OTHER, MODELS / "llm" / "fluid-tiny-ov")
        yield running


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """For a server of one's own."""
    with a_hub() as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[HubServer]:
    """The Hub of ``http``. What is pulled stays there, so whoever pulls takes a repository of its own."""
    with a_hub() as running:
        yield running


def own(hub: HubServer, name: str) -> tuple[str, str]:
    """A repository for one test, and its one file."""
    repository = hub.add(f"own/{name}", {f"{name}.gguf": WEIGHTS.read_bytes()})
    return repository.name, f"{name}.gguf"


@contextmanager
def serving(hub: HubServer, folder: Path, *flags: str, **settings: Any) -> Generator[httpx.Client, None, None]:
    """A server whose models folder is empty, or as a former one left it."""
    (folder / "models").mkdir(exist_ok=True)
    env = hub.environment(folder / "hf", **settings)
    running = RunningServer.start("--no-warm-up", *flags, models=folder / "models", folder=folder, env=env)
    try:
        with httpx.Client(base_url=running.address or "", timeout=PATIENCE) as http:
            yield http
    finally:
        running.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server behind ``http`` runs."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def http(shared: HubServer, folder: Path) -> Iterator[httpx.Client]:
    with serving(shared, folder) as running:
        yield running


def pull(http: httpx.Client, model: str, status: int = 202) -> dict[str, Any]:
    answer = http.post("/v1/models/pull", json={"model": model})
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def download(http: httpx.Client, job: str) -> dict[str, Any]:
    body: dict[str, Any] = http.get(f"/v1/downloads/{job}").json()
    return body


def ended(http: httpx.Client, job: str, state: str = "completed") -> dict[str, Any]:
    until(lambda: download(http, job)["state"] == state)
    return download(http, job)


def test_a_pulled_model_can_be_used(http: httpx.Client, shared: HubServer) -> None:
    answer = http.post("/v1/models/pull", json={"model": OTHER})
    assert answer.headers["location"] == f"/v1/downloads/{answer.json()['id']}"
    over = ended(http, answer.json()["id"])
    assert over["bytes_done"] == over["bytes_total"] == sum(file["size"] for file in over["files"])
    assert over["model"] == "tiny"
    body = {"model": OTHER, "messages": QUESTION}
    said = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    assert "Paris" in said
    assert pull(http, OTHER)["state"] == "completed"  # it is here
    assert shared.sent_bytes("openvino_model.bin") == (MODELS / "llm/fluid-tiny-ov/openvino_model.bin").stat().st_size


def test_progress_comes_as_events_with_the_end_as_the_last(http: httpx.Client) -> None:
    with http.stream("POST", "/v1/models/pull", json={"model": PRESET, "stream": True}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        data = [line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    steps = [json.loads(text) for text in data[:-1]]
    assert steps[-1]["state"] == "completed"
    assert [step["bytes_done"] for step in steps] == sorted(step["bytes_done"] for step in steps)
    assert http.get(f"/v1/models/{PRESET}").json()["id"] == steps[-1]["model"]


def test_progress_comes_as_lines_to_who_asks_for_them(http: httpx.Client, shared: HubServer) -> None:
    repo, _ = own(shared, "lines")
    accept = {"Accept": "application/x-ndjson"}
    with http.stream("POST", "/v1/models/pull", json={"model": repo}, headers=accept) as stream:
        assert stream.headers["content-type"] == "application/x-ndjson"
        steps = [json.loads(line) for line in stream.iter_lines()]
    assert {step["object"] for step in steps} == {"download"}
    assert steps[-1]["state"] == "completed"


def test_a_download_is_not_in_use_until_it_is_whole(http: httpx.Client, shared: HubServer) -> None:
    shared.add("Qwen/Qwen3-8B-GGUF", {"Qwen3-8B-Q4_K_M.gguf": WEIGHTS.read_bytes()})
    hold = shared.hold("Qwen3-8B-Q4_K_M.gguf", after=100_000)
    job = pull(http, LARGER)["id"]
    assert hold.reached.wait(PATIENCE)
    (listed,) = [model for model in http.get("/v1/models").json()["data"] if model["state"] == "downloading"]
    assert (listed["download"], listed["capabilities"]) == (job, ["chat", "completion"])
    answer = http.post("/v1/chat/completions", json={"model": LARGER, "messages": QUESTION})
    assert error_of(answer, 503)["code"] == "model_downloading"
    assert answer.headers["x-download-id"] == job
    assert int(answer.headers["retry-after"]) >= 1
    hold.release()
    ended(http, job)
    assert http.post("/v1/chat/completions", json={"model": LARGER, "messages": QUESTION}).is_success


def test_pause_resume_and_cancel(http: httpx.Client, shared: HubServer) -> None:
    repo, file = own(shared, "paused")
    hold = shared.hold(file, after=100_000)
    job = pull(http, repo)["id"]
    assert hold.reached.wait(PATIENCE)
    until(lambda: download(http, job)["bytes_done"] == 100_000)
    paused = http.post(f"/v1/downloads/{job}/pause").json()
    assert (paused["state"], paused["bytes_done"], paused["eta_seconds"]) == ("paused", 100_000, None)
    hold.release()
    assert http.post(f"/v1/downloads/{job}/resume").is_success
    over = ended(http, job)
    assert shared.sent_bytes(file) < over["bytes_total"] + CHUNK
    assert error_of(http.post(f"/v1/downloads/{job}/cancel"), 409)["code"] == "conflict"
    assert [one["id"] for one in http.get("/v1/downloads").json()["data"] if one["repo"] == repo] == [job]


def test_a_cancelled_download_leaves_nothing(http: httpx.Client, shared: HubServer, folder: Path) -> None:
    repo, file = own(shared, "cancelled")
    hold = shared.hold(file, after=100_000)
    models = shown(http)
    job = pull(http, repo)["id"]
    assert hold.reached.wait(PATIENCE)
    assert list((folder / "models").rglob(f"{file}.part"))
    assert http.post(f"/v1/downloads/{job}/cancel").json()["state"] == "cancelled"
    assert not list((folder / "models").rglob(f"{file}.part"))
    assert shown(http) == models


def shown(http: httpx.Client) -> list[tuple[str, str]]:
    """Without what changes by itself, such as the memory that a model takes."""
    return [(model["id"], model["state"]) for model in http.get("/v1/models").json()["data"]]


@pytest.mark.parametrize("verb", ["", "/pause", "/resume", "/cancel"])
def test_an_unknown_download_is_not_found(http: httpx.Client, verb: str) -> None:
    answer = http.request("POST" if verb else "GET", f"/v1/downloads/nope{verb}")
    assert error_of(answer, 404)["code"] == "download_not_found"


def test_a_download_goes_on_where_a_former_server_was(hub: HubServer, tmp_path: Path) -> None:
    hold = hub.hold(FILE, after=100_000)
    with serving(hub, tmp_path) as first:
        job = pull(first, PRESET)["id"]
        assert hold.reached.wait(PATIENCE)
        until(lambda: download(first, job)["bytes_done"] == 100_000)
    hold.release()
    with serving(hub, tmp_path) as second:
        over = ended(second, job)
    assert hub.sent_bytes(FILE) < over["bytes_total"] + CHUNK


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("nobody/nothing", 404, "repository_not_found"),
        ("secret/model", 404, "repository_not_found"),
        ("gated/model", 403, "repository_gated"),
        ("../escape", 400, "invalid_value"),
        ("no-such-preset", 400, "invalid_value"),
    ],
)
def test_what_cannot_be_had_says_why(http: httpx.Client, shared: HubServer, name: str, status: int, code: str) -> None:
    shared.add("secret/model", {"a.gguf": b"GGUF"}, private=True)
    shared.add("gated/model", {"a.gguf": b"GGUF"}, gated=True)
    downloads = http.get("/v1/downloads").json()["data"]
    error = error_of(http.post("/v1/models/pull", json={"model": name}), status)
    assert error["code"] == code
    assert http.get("/v1/downloads").json()["data"] == downloads


def test_a_token_that_the_hub_does_not_take(hub: HubServer, tmp_path: Path) -> None:
    with serving(hub, tmp_path, token="hf_wrong") as http:
        answer = http.post("/v1/models/pull", json={"model": OTHER})
    assert error_of(answer, 403)["code"] == "hub_token_rejected"


def test_no_network(tmp_path: Path) -> None:
    with HubServer() as gone:
        pass
    with serving(gone, tmp_path) as http:
        assert error_of(http.post("/v1/models/pull", json={"model": OTHER}), 502)["code"] == "hub_unreachable"


def test_offline_by_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = create_app(load_config({"model_path": tmp_path, "offline": True, "warm_up": False}))
    with TestClient(app, base_url="http://127.0.0.1:8080") as http:
        error = error_of(http.post("/v1/models/pull", json={"model": OTHER}), 409)
    assert (error["code"], "--offline" in error["message"]) == ("offline", True)


def test_a_download_larger_than_the_disk_is_refused(http: httpx.Client, shared: HubServer) -> None:
    repo, file = own(shared, "huge")
    shared.repositories[repo].files[file].claims = {"size": 10**18}
    error = error_of(http.post("/v1/models/pull", json={"model": repo}), 507)
    assert error["code"] == "insufficient_disk_space"
    assert shared.sent_bytes(file) == 0


# --- a request for a model that is not here ------------------------------------------------------------------


def test_without_auto_download_a_known_model_is_named(http: httpx.Client, shared: HubServer) -> None:
    asked = len(shared.requests)
    error = error_of(http.post("/v1/chat/completions", json={"model": ABSENT, "messages": QUESTION}), 404)
    assert f"fluid-server pull {ABSENT}" in error["message"]
    assert len(shared.requests) == asked


def test_with_auto_download_a_stream_waits_and_is_told(hub: HubServer, tmp_path: Path) -> None:
    hold = hub.hold(FILE, after=100_000)
    with serving(hub, tmp_path, "--auto-download", "--heartbeat", "0.1") as http:
        body = {"model": PRESET, "messages": QUESTION, "temperature": 0, "stream": True}
        with http.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.iter_lines()
            told = next(line for line in lines if line.startswith(": downloading"))
            assert "%" in told
            hold.release()
            data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    assert "Paris" in "".join(json.loads(text)["choices"][0]["delta"].get("content", "") for text in data[:-1])


def test_with_auto_download_who_cannot_wait_is_told_when_to_come_back(hub: HubServer, tmp_path: Path) -> None:
    hold = hub.hold(FILE, after=100_000)
    with serving(hub, tmp_path, "--auto-download") as http:
        answer = http.post("/v1/chat/completions", json={"model": OTHER, "messages": QUESTION})
        assert error_of(answer, 404)["code"] == "model_not_found"  # only known models are fetched
        assert not hub.requests
        answer = http.post("/v1/chat/completions", json={"model": PRESET, "messages": QUESTION})
        assert error_of(answer, 503)["code"] == "model_downloading"
        hold.release()
        ended(http, answer.headers["x-download-id"])
        client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)
        said = client.chat.completions.create(model=PRESET, messages=[{"role": "user", "content": "Hi"}])
        assert said.choices[0].message.content
        client.close()
