"""What is kept, across a restart, and a server whose database fails or is switched off."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.front_door import ECHO, PATIENCE, RunningServer, error_of, until

HELLO = {"role": "user", "content": "Hello"}
CHAT = {"model": ECHO, "messages": [HELLO]}


@contextmanager
def serving(folder: Path, *flags: str, **env: str) -> Generator[httpx.Client, None, None]:
    running = RunningServer.start("--echo", "--no-warm-up", *flags, folder=folder, env=env)
    try:
        with httpx.Client(base_url=f"{running.address}/v1", timeout=PATIENCE) as http:
            yield http
    finally:
        assert running.stop() == 0


def converse(http: httpx.Client, text: str = "Hello") -> str:
    body = {"items": [{**HELLO, "content": text}], "metadata": {"a": "b"}}
    return str(http.post("/conversations", json=body).raise_for_status().json()["id"])


def test_a_conversation_survives_a_restart(url: str, tmp_path: Path) -> None:
    with serving(tmp_path, FLUID_DATABASE_URL=url) as http:
        made = converse(http)
        before = http.get(f"/conversations/{made}/items").json()
    with serving(tmp_path, FLUID_DATABASE_URL=url) as http:
        assert http.get(f"/conversations/{made}").json()["metadata"] == {"a": "b"}
        assert http.get(f"/conversations/{made}/items").json() == before


def test_two_servers_share_a_database(sqlite_url: str, tmp_path: Path) -> None:
    env = {"FLUID_DATABASE_URL": sqlite_url}
    with serving(tmp_path, **env) as one, serving(tmp_path, **env) as other:
        made = converse(one)
        assert other.delete(f"/conversations/{made}").json()["deleted"]
        error_of(one.get(f"/conversations/{made}"), 404)


def test_the_oldest_goes_when_there_is_too_much(sqlite_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--database-url", sqlite_url, "--store-max-size", "1MB") as http:
        first = converse(http, "x" * 600_000)
        second = converse(http, "y" * 600_000)
        until(lambda: http.get(f"/conversations/{first}").status_code == 404)
        assert http.get(f"/conversations/{second}").is_success


def test_a_broken_database_stops_nothing_else(sqlite_url: str, tmp_path: Path) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    with serving(tmp_path, "--database-url", sqlite_url) as http:
        answer = http.post("/conversations")
        error = error_of(answer, 503)
        assert (error["type"], error["code"]) == ("server_error", "store_damaged")
        assert answer.headers["x-should-retry"] == "false"
        assert str(tmp_path) not in answer.text
        assert http.post("/chat/completions", json=CHAT).is_success
        file.unlink()
        assert converse(http)


def test_a_database_that_is_away_may_be_asked_again(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    with serving(tmp_path, FLUID_DATABASE_URL="postgresql://me:sesame@127.0.0.1:9/x") as http:
        answer = http.post("/conversations")
        assert error_of(answer, 503)["code"] == "store_unreachable"
        assert answer.headers["retry-after"] == "2"
        assert http.post("/chat/completions", json=CHAT).is_success


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/conversations", None),
        ("GET", "/conversations/conv_1/items", None),
        ("GET", "/chat/completions", None),
        ("DELETE", "/chat/completions/chatcmpl-1", None),
    ],
)
def test_a_server_that_keeps_nothing_says_so(
    forgetful: httpx.Client, method: str, path: str, body: dict[str, Any] | None
) -> None:
    error = error_of(forgetful.request(method, path, json=body), 409)
    assert (error["code"], error["message"]) == ("store_off", "This server keeps nothing. Start it with --store.")
    assert forgetful.post("/chat/completions", json=CHAT).is_success


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Generator[httpx.Client, None, None]:
    with serving(tmp_path_factory.mktemp("forgetful"), "--no-store") as http:
        yield http
