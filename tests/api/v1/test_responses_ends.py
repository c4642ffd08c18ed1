"""How responses end when the model, the server or the database does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.front_door import ECHO, OPENVINO, PATIENCE, RunningServer, error_of, until

PATH = "/v1/responses"
FLAGS = ("--echo", "--no-warm-up", "--shutdown-grace", "0.1")
if sys.platform == "win32":
    KILLED = signal.SIGTERM
else:
    KILLED = signal.SIGKILL
ENDLESS: Any = {"ignore_eos": True}


def started(folder: Path, *flags: str, database: str = "kept.db") -> RunningServer:
    """A server whose database is a file in the folder, so that the next one finds what it kept."""
    url = f"sqlite:///{(folder / database).as_posix()}"
    return RunningServer.start(*FLAGS, *flags, folder=folder, env={"FLUID_DATABASE_URL": url})


def client_of(server: RunningServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0, timeout=PATIENCE)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningServer]:
    """A server of one's own."""
    running = started(tmp_path)
    try:
        yield running
    finally:
        running.stop()


def begun(client: openai.OpenAI) -> str:
    """The id of an endless response in the background, of which something was said."""
    with client.responses.create(model=ECHO, input="a", background=True, stream=True, extra_body=ENDLESS) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
            if event.type == "response.created":
                id_ = event.response.id
    return id_


def test_a_model_that_dies_in_a_stream_is_told_by_an_error_and_the_response(fresh: RunningServer) -> None:
    with client_of(fresh) as client:
        stream = client.responses.create(model=ECHO, input="a", stream=True, extra_body=ENDLESS)
        events: list[Any] = [next(stream) for _ in range(5)]
        psutil.Process(fresh.health()["models"][ECHO]["pid"]).kill()
        events += stream
        error, last = events[-2:]
        assert (error.type, error.code) == ("error", "worker_died")
        assert (last.type, last.response.status, last.response.error.code) == (
            "response.failed",
            "failed",
            "server_error",
        )
        assert [event.sequence_number for event in events[-2:]] == [len(events) - 2, len(events) - 1]
        assert client.responses.retrieve(last.response.id).to_dict() == last.response.to_dict()


def test_a_failure_behind_a_heartbeat_is_told_by_events_too(tmp_path: Path) -> None:
    running = started(tmp_path, "--heartbeat", "0.01")  # sooner than any model is loaded
    try:
        asked = {"model": OPENVINO, "input": "apple " * 3000, "stream": True}
        answer = httpx.post(running.base_url + "/responses", json=asked, timeout=PATIENCE)
    finally:
        running.stop()
    assert answer.is_success
    assert answer.text.startswith(": ")
    kinds = [line.removeprefix("event: ") for line in answer.text.split("\n") if line.startswith("event: ")]
    assert kinds == ["response.created", "error", "response.failed"]


@pytest.mark.parametrize(("sign", "said"), [(None, "is shutting down"), (KILLED, "ended before it was complete")])
def test_the_next_server_says_what_became_of_a_response(tmp_path: Path, sign: int | None, said: str) -> None:
    first = started(tmp_path)
    try:
        with client_of(first) as client:
            id_ = begun(client)
    finally:
        first.stop(sign)
    second = started(tmp_path)
    try:
        with client_of(second) as client:
            kept, again = client.responses.retrieve(id_), client.responses.cancel(id_)
    finally:
        second.stop()
    assert kept.to_dict() == again.to_dict()
    assert (kept.status, kept.error and kept.error.code) == ("failed", "server_error")
    assert said in str(kept.error)


def test_what_cannot_be_kept_is_not_begun_and_what_need_not_be_is_answered(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    running = started(tmp_path, database="folder.db")
    try:
        with httpx.Client(base_url=running.address or "", timeout=PATIENCE) as http:
            for fields in ({}, {"stream": True}, {"background": True}):
                failed = http.post(PATH, json={"model": ECHO, "input": "Hi", **fields})
                assert error_of(failed, 503)["code"] == "store_unusable"
            answer = http.post(PATH, json={"model": ECHO, "input": "Hi", "store": False})
            assert answer.json()["status"] == "completed"
            chat = {"model": ECHO, "messages": [{"role": "user", "content": "Hi"}], "store": True}
            for stream in (False, True):
                failed = http.post("/v1/chat/completions", json={**chat, "stream": stream})
                assert error_of(failed, 503)["code"] == "store_unusable"
    finally:
        running.stop()


def test_a_failed_model_leaves_nothing_behind(fresh: RunningServer) -> None:
    def at_work() -> int:
        return int(fresh.health()["models"][ECHO]["leases"])

    with client_of(fresh) as client:
        ids = [begun(client) for _ in range(3)]
        assert at_work() == 3
        for id_ in ids:
            client.responses.cancel(id_)
        until(lambda: at_work() == 0)
