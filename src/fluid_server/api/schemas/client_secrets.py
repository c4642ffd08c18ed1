"""Secrets with which a page opens a realtime session, as OpenAI gives them out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fluid_server.api.schemas.strict import Strict

DEFAULT_SECONDS = 600


class ExpiresAfter(Strict):
    """When a secret opens nothing any more; sessions that are open go on."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(DEFAULT_SECONDS, ge=10, le=7_200)


class ClientSecretBody(Strict):
    """POST /v1/realtime/client_secrets. ``session`` is how the sessions begin, as in a session.update."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] | None = None


class ClientSecret(BaseModel):
    """The secret, until when it opens sessions (epoch seconds), and how they begin."""

    value: str
    expires_at: int
    session: dict[str, Any]


class TranscriptionSessionBody(BaseModel):
    """POST /v1/realtime/transcription_sessions: how the sessions begin, as in a transcription_session.update."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)  # others are refused by name later

    input_audio_format: str | None = None
    input_audio_transcription: dict[str, Any] | None = None
    turn_detection: dict[str, Any] | None = None


class SecretValue(BaseModel):
    """The secret of a session in the shape of the API's beta."""

    value: str
    expires_at: int


class TranscriptionSession(BaseModel):
    """POST /v1/realtime/transcription_sessions."""

    id: str
    object: Literal["realtime.transcription_session"]
    client_secret: SecretValue
    input_audio_format: str
    input_audio_transcription: dict[str, Any] | None = None
    turn_detection: dict[str, Any] | None = None
