"""WS /v1/realtime: speech is written down while it is spoken. And the secrets with which a page may open one."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from fluid_server.api.auth import presented
from fluid_server.api.deps import Client, Config, Manager
from fluid_server.api.ephemeral import AllSecrets
from fluid_server.api.errors import documented
from fluid_server.api.realtime_run import AllSessions, Seat, Talk, check_model
from fluid_server.api.schemas.client_secrets import (
    DEFAULT_SECONDS,
    ClientSecret,
    ClientSecretBody,
    SecretValue,
    TranscriptionSession,
    TranscriptionSessionBody,
)
from fluid_server.api.schemas.realtime_events import new_id
from fluid_server.api.schemas.realtime_session import (
    Settings,
    session_body,
    session_body_as_before,
    updated,
    updated_as_before,
)
from fluid_server.errors import Forbidden, InvalidRequest, ModelNotFound, TooLarge, Unauthorized, Unavailable

router = APIRouter(prefix="/realtime", tags=["realtime"])
REFUSALS = documented(InvalidRequest, Unauthorized, Forbidden, ModelNotFound, TooLarge, Unavailable)
SUBPROTOCOL = "realtime"


@router.websocket("")
async def realtime(
    socket: WebSocket, manager: Manager, config: Config, sessions: AllSessions, secrets: AllSecrets, client: Client
) -> None:
    """A transcription session in OpenAI's shape, until the client leaves."""
    found = [secret for key in presented(socket.scope) if (secret := secrets.find(key))]
    settings = found[0].settings if found else Settings()
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
    await sessions.run(Talk(socket, Seat(manager, config, sessions, client, settings)))


@router.get("", include_in_schema=False)
async def realtime_without_a_socket() -> None:
    """What HTTP finds at the address of the sessions."""
    raise InvalidRequest("/v1/realtime is a WebSocket: connect to it with ws:// instead of http://, or with an SDK.")


@router.post("/client_secrets", responses=REFUSALS)
async def create_client_secret(
    body: ClientSecretBody, manager: Manager, secrets: AllSecrets, client: Client
) -> ClientSecret:
    """A secret that opens realtime sessions for a short time, to be given to a page."""
    settings = updated(Settings(), body.session) if body.session is not None else Settings()
    await check_model(manager, client, settings)
    secret = secrets.issue(settings, body.expires_after.seconds)
    session = session_body(settings, new_id("sess"))
    return ClientSecret(value=secret.value, expires_at=secret.expires_at, session=session)


@router.post("/transcription_sessions", responses=REFUSALS, response_model_exclude_none=True)
async def create_transcription_session(
    body: TranscriptionSessionBody, manager: Manager, secrets: AllSecrets, client: Client
) -> TranscriptionSession:
    """The same in the shape of the API's beta."""
    settings = updated_as_before(Settings(), body.model_dump(exclude_unset=True), where="")
    await check_model(manager, client, settings, "input_audio_transcription.model")
    secret = secrets.issue(settings, DEFAULT_SECONDS)
    session = session_body_as_before(settings, new_id("sess"))
    return TranscriptionSession(client_secret=SecretValue(value=secret.value, expires_at=secret.expires_at), **session)
