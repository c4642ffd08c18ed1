"""Who is let in: hosts, origins, keys and sizes. No model is needed, so the app is called in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fluid_server.app import create_app
from fluid_server.config import ServerConfig
from tests.front_door import error_of

HERE = "http://127.0.0.1:8080"
CHAT = "/v1/chat/completions"
KEY = "correct horse"


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those that a test gives."""
    monkeypatch.chdir(tmp_path)


@contextmanager
def calling(**settings: Any) -> Generator[TestClient]:
    config = ServerConfig(model_path=Path("none"), warm_up=False, **settings)
    client = TestClient(create_app(config), base_url=HERE, raise_server_exceptions=False)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def open_client() -> Iterator[TestClient]:
    with calling() as client:
        yield client


@pytest.fixture
def locked() -> Iterator[TestClient]:
    with calling(api_key=KEY) as client:
        yield client


# --- hosts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "[::1]:8080", "app.localhost", "LOCALHOST"]
)
def test_a_loopback_host_is_let_in(open_client: TestClient, host: str) -> None:
    assert open_client.get("/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "[", "[::1", "", "localhost@evil"],
)
@pytest.mark.parametrize("path", ["/v1/models", "/live", "/docs", "/nope"])
def test_another_host_is_rebinding(open_client: TestClient, host: str, path: str) -> None:
    error = error_of(open_client.get(path, headers={"host": host}), 403)
    assert (error["type"], error["code"]) == ("permission_error", "forbidden")


def test_a_listed_host_is_let_in() -> None:
    with calling(allowed_hosts=["Box.Example"]) as client:
        assert client.get("/v1/models", headers={"host": "box.example:8080"}).status_code == 200
        error_of(client.get("/v1/models", headers={"host": "other.example"}), 403)


def test_a_public_server_takes_any_host() -> None:
    with calling(host="0.0.0.0", api_key=KEY) as client:
        headers = {"host": "box.example", "authorization": f"Bearer {KEY}"}
        assert client.get("/v1/models", headers=headers).status_code == 200


# --- origins -------------------------------------------------------------------------------------------------

FOREIGN = [
    "https://evil.example",
    "null",
    "http://[",
    "http://localhost.evil.example",
    "file://",
    "http://127.0.0.1.evil",
]
LOOPBACK = [
    "http://localhost:3000",
    "https://localhost",
    "http://127.0.0.1:5173",
    "http://[::1]:80",
    "http://a.localhost",
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_origin_is_turned_away(open_client: TestClient, origin: str, method: str) -> None:
    response = open_client.request(method, CHAT, headers={"origin": origin})
    error_of(response, 403)
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", LOOPBACK)
def test_a_loopback_origin_may_read_the_answer(open_client: TestClient, origin: str) -> None:
    response = open_client.get("/v1/models", headers={"origin": origin})
    assert response.headers["access-control-allow-origin"] == origin
    assert "origin" in response.headers["vary"].lower()


def test_a_loopback_origin_may_read_failures(open_client: TestClient) -> None:
    response = open_client.get("/v1/models/nope", headers={"origin": LOOPBACK[0]})
    assert error_of(response, 404)
    assert response.headers["access-control-allow-origin"] == LOOPBACK[0]


@pytest.mark.parametrize("settings", [{}, {"api_key": KEY}], ids=["open", "locked"])
def test_a_preflight_is_answered_without_a_key(settings: dict[str, Any]) -> None:
    asked = {"origin": LOOPBACK[0], "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization, content-type, x-stainless-os"
    with calling(**settings) as client:
        response = client.options(CHAT, headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == LOOPBACK[0]
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "x-stainless-os" in response.headers["access-control-allow-headers"]


def test_a_listed_origin_is_let_in() -> None:
    with calling(allowed_origins=["https://app.example"]) as client:
        response = client.get("/v1/models", headers={"origin": "https://app.example"})
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        error_of(client.get("/v1/models", headers={"origin": "https://other.example"}), 403)


# --- keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        KEY,
        f"Basic {KEY}",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {KEY}x",
        f"Bearer {KEY.upper()}",
        "Bearer é",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/nope", "/v1/chat/completions"])
def test_without_the_key_nothing_opens(locked: TestClient, header: str | None, path: str) -> None:
    headers = [] if header is None else [(b"authorization", header.encode())]
    response = locked.get(path, headers=headers)
    error = error_of(response, 401)
    assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert KEY not in response.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_with_the_key_all_opens(locked: TestClient, scheme: str) -> None:
    assert locked.get("/v1/models", headers={"authorization": f"{scheme} {KEY}"}).status_code == 200


@pytest.mark.parametrize("path", ["/live", "/ready", "/health"])
def test_supervisors_need_no_key(locked: TestClient, path: str) -> None:
    assert locked.get(path).status_code == 200


# --- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_turned_away(chunked: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    with calling(max_body=2000) as client:
        content: Any = pieces() if chunked else b" " * 3000
        response = client.post(CHAT, content=content, headers={"content-type": "application/json"})
    error = error_of(response, 413)
    assert error["code"] == "too_large"
    assert "--max-body" in error["message"]


def test_a_body_under_the_limit_is_read() -> None:
    with calling(max_body=2000) as client:
        response = client.post(CHAT, content=b" " * 1999, headers={"content-type": "application/json"})
    assert error_of(response, 400)["code"] == "invalid_json"


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
def test_an_upload_that_claims_to_be_over_the_limit_is_turned_away_unread(path: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(2 * 1024**3)}
    with calling() as client:
        error = error_of(client.post(f"/v1/audio/{path}", content=b"", headers=headers), 413)
    assert (error["param"], error["code"]) == ("file", "too_large")
    assert "--max-upload" in error["message"]
