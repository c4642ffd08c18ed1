"""Who may open a realtime session. No model is needed, so the app is called in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from openai.types.realtime import ClientSecretCreateResponse
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Message, Scope

from fluid_server.api.ephemeral import MOST, Secrets
from fluid_server.api.schemas.realtime_session import Settings
from fluid_server.app import create_app
from fluid_server.config import ServerConfig
from tests.awaited import awaited, turns
from tests.front_door import WHISPER, error_of
from tests.published import conforms

HERE, KEY = "http://127.0.0.1:8080", "right-key"
REALTIME, SECRETS, SESSIONS = "/v1/realtime", "/v1/realtime/client_secrets", "/v1/realtime/transcription_sessions"
Protocols = list[str] | None
Headers = Mapping[str, str]
LOCAL: Headers = {"host": "127.0.0.1:8080"}
SOCKET: Scope = {
    "type": "websocket",
    "path": REALTIME,
    "headers": [(b"host", b"127.0.0.1:8080")],
    "query_string": b"",
    "subprotocols": [],
}
BEARER = {"authorization": f"Bearer {KEY}"}


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


def opened(client: TestClient, protocols: Protocols = None, headers: Headers = LOCAL) -> dict[str, Any]:
    """The first event of a session."""
    with client.websocket_connect(REALTIME, subprotocols=protocols, headers={**LOCAL, **headers}) as socket:
        assert socket.accepted_subprotocol == ("realtime" if protocols else None)
        event: dict[str, Any] = socket.receive_json()
        return event


def turned_away(
    client: TestClient, status: int, protocols: Protocols = None, headers: Headers = LOCAL
) -> dict[str, Any]:
    """The error with which a handshake is answered."""
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(REALTIME, subprotocols=protocols, headers={**LOCAL, **headers}),
    ):
        pass
    return error_of(denied.value, status)


def test_without_a_key_everybody_here_may_talk() -> None:
    with calling() as client:
        assert opened(client, headers={"origin": "http://localhost:3000"})["type"] == "session.created"


@pytest.mark.parametrize("late", range(8))
@awaited
async def test_wherever_a_session_is_when_its_scope_ends_it_the_scope_knows_its_own_cancellation(late: int) -> None:
    app = create_app(ServerConfig(model_path=Path("none"), warm_up=False))
    greeted = asyncio.Event()
    inbox = asyncio.Queue[Message]()
    inbox.put_nowait({"type": "websocket.connect"})

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            greeted.set()

    async def leave() -> None:
        await greeted.wait()
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await turns(late)
        scope.cancel()

    with anyio.CancelScope() as scope:
        leaving = asyncio.create_task(leave())
        await app(dict(SOCKET), inbox.get, send)
        await leaving
        await asyncio.Event().wait()
    assert scope.cancelled_caught


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_other_hosts_and_origins_are_turned_away(headers: dict[str, str]) -> None:
    with calling() as client:
        assert turned_away(client, 403, headers=headers)["code"] == "forbidden"


@pytest.mark.parametrize("protocols", [None, ["realtime"], ["realtime", "openai-insecure-api-key.wrong"]])
def test_without_the_key_nobody_may_talk(protocols: list[str] | None) -> None:
    with calling(api_key=KEY) as client:
        assert turned_away(client, 401, protocols)["code"] == "invalid_api_key"
        assert turned_away(client, 401, protocols, {"authorization": "Bearer ek_0"})["code"] == "invalid_api_key"


def test_the_key_comes_as_a_header_or_as_a_subprotocol() -> None:
    with calling(api_key=KEY) as client:
        assert opened(client, headers=BEARER)["type"] == "session.created"
        protocols = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
        assert opened(client, protocols)["type"] == "session.created"


def test_a_subprotocol_opens_nothing_but_sockets() -> None:
    with calling(api_key=KEY) as client:
        error_of(client.get("/v1/models", headers={"sec-websocket-protocol": f"openai-insecure-api-key.{KEY}"}), 401)


def test_a_secret_opens_a_session_as_it_was_made_and_nothing_else() -> None:
    asked = {"session": {"type": "transcription", "audio": {"input": {"turn_detection": None}}}}
    with calling(api_key=KEY) as client:
        body = client.post(SECRETS, json=asked, headers=BEARER).json()
        secret = ClientSecretCreateResponse.model_validate(body)
        assert secret.expires_at == pytest.approx(time.time() + 600, abs=10)
        protocols = ["realtime", f"openai-insecure-api-key.{secret.value}"]
        assert opened(client, protocols)["session"]["audio"]["input"]["turn_detection"] is None
        error_of(client.get("/v1/models", headers={"authorization": f"Bearer {secret.value}"}), 401)
        error_of(client.post(SECRETS, json={}, headers={"authorization": f"Bearer {secret.value}"}), 401)


def test_secrets_are_given_as_published() -> None:
    with calling() as client:
        conforms(client.post(SECRETS, json={}).json()["session"], "RealtimeTranscriptionSessionCreateResponseGA")
        old = client.post(SESSIONS, json={"input_audio_format": "g711_alaw", "turn_detection": None}).json()
        conforms(old, "RealtimeTranscriptionSessionCreateResponse")
        assert old["input_audio_format"] == "g711_alaw"


@pytest.mark.parametrize(
    ("path", "body", "param", "status"),
    [
        (SECRETS, {"expires_after": {"seconds": 5}}, "expires_after.seconds", 400),
        (SECRETS, {"session": {"type": "realtime"}}, "session.type", 400),
        (SECRETS, {"session": {"type": "transcription", "include": ["x"]}}, "session.include", 400),
        (SESSIONS, {"modalities": ["text"]}, "modalities", 400),
        (SESSIONS, {"input_audio_format": "mp3"}, "input_audio_format", 400),
        (SESSIONS, {"input_audio_transcription": {"model": "nobody"}}, "input_audio_transcription.model", 404),
    ],
)
def test_what_a_secret_cannot_be_made_for(path: str, body: dict[str, Any], param: str, status: int) -> None:
    with calling() as client:
        assert error_of(client.post(path, json=body), status)["param"] == param


def test_http_is_told_that_sessions_are_websockets() -> None:
    with calling() as client:
        assert "ws://" in error_of(client.get(REALTIME), 400)["message"]


def test_the_official_client_makes_a_secret(client: openai.OpenAI) -> None:
    secret = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "transcription", "audio": {"input": {"transcription": {"model": WHISPER}}}},
    )
    assert secret.value.startswith("ek_")


def test_secrets_expire_and_are_not_kept_for_ever() -> None:
    secrets = Secrets()
    assert not secrets.knows(secrets.issue(Settings(), 0).value)
    first = secrets.issue(Settings(), 60)
    assert secrets.knows(first.value)
    for _ in range(MOST):
        last = secrets.issue(Settings(), 60)
    assert not secrets.knows(first.value)
    assert secrets.knows(last.value)
