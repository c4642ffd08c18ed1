"""GET /v1/events: one feed of what happens."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.front_door import ECHO, RunningServer, until

Event = dict[str, Any]


@contextmanager
def feed(http: httpx.Client, **query: str) -> Generator[Iterator[Event], None, None]:
    with http.stream("GET", "/v1/events", params=query) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        data = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        yield (json.loads(text) for text in data if text != "[DONE]")


def unload(http: httpx.Client) -> None:
    """Once nobody uses it: the server has clients of other tests, which may just be leaving."""
    until(lambda: http.post(f"/v1/models/{ECHO}/unload").is_success)


def test_the_feed_begins_with_what_is_and_goes_on_with_what_happens(http: httpx.Client) -> None:
    unload(http)
    with feed(http) as events:
        snapshot = next(events)
        assert snapshot["type"] == "snapshot"
        states = {model["id"]: model["state"] for model in snapshot["models"]}
        assert states[ECHO] == "absent"
        http.post(f"/v1/models/{ECHO}/load")
        seen: list[Event] = []
        while not seen or seen[-1]["state"] != "ready":
            event = next(events)
            assert event["created"] > 0
            if event["type"] == "model.state" and event["model"] == ECHO:
                seen.append(event)
    steps = [(event["previous"], event["state"]) for event in seen]
    assert steps == [("absent", "loading"), ("loading", "warming"), ("warming", "ready")]


def test_a_listener_can_ask_for_less(http: httpx.Client) -> None:
    with feed(http, types="model.failed,download") as events:
        assert next(events)["type"] == "snapshot"
        unload(http)
        http.post(f"/v1/models/{ECHO}/load")
        http.post("/v1/models/pull", json={"model": "no/such:::name"})
        with http.stream("GET", "/v1/events") as other:  # the feed still lives, and has nothing for the first
            assert other.status_code == 200


def test_the_feed_ends_with_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = RunningServer.start("--echo", "--no-warm-up", folder=tmp_path_factory.mktemp("server"))
    with httpx.Client(base_url=server.address or "", timeout=30) as http, feed(http) as events:
        next(events)
        assert server.stop() == 0
        assert all(event["type"] != "snapshot" for event in events)
