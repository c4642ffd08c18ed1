"""The events of a realtime session: what a client may send, and what it is told."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from fluid_server.api.errors import body_of, explain
from fluid_server.api.schemas.strict import Strict
from fluid_server.errors import FluidError, InvalidRequest, UnsupportedField

APPEND, COMMIT, CLEAR = "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear"
UPDATE, UPDATE_AS_BEFORE = "session.update", "transcription_session.update"
OTHERS = frozenset(
    {
        "conversation.item.create", "conversation.item.delete", "conversation.item.retrieve",
        "conversation.item.truncate", "output_audio_buffer.clear", "response.cancel", "response.create",
    }
)  # fmt: skip
LARGEST_APPEND = 15 * 1024 * 1024  # bytes of sound in one event, as OpenAI has it
LONGEST_ID = 8 * 64
Event = dict[str, Any]


class ClientEvent(Strict):
    """What a client sends: ``type`` says what, ``event_id`` is told back where it fails."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    type: str
    event_id: str | None = Field(None, max_length=LONGEST_ID)


class Append(ClientEvent):
    """More sound, in base64."""

    audio: str

    @property
    def sound(self) -> bytes:
        """The sound itself. Errors: InvalidRequest."""
        try:
            data = base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest("'audio' must be base64 of the sound's bytes.", param="audio") from error
        if len(data) > LARGEST_APPEND:
            raise InvalidRequest("'audio' holds more than 15 MiB. Send the sound in smaller pieces.", param="audio")
        return data


class Update(ClientEvent):
    """How the session is to go on."""

    session: Any


SHAPES: dict[str, type[ClientEvent]] = {
    APPEND: Append, COMMIT: ClientEvent, CLEAR: ClientEvent, UPDATE: Update, UPDATE_AS_BEFORE: Update,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Received:
    """A client's event as it came: its id, as far as there is one, and its fields."""

    fields: dict[str, Any]
    event_id: str | None

    def read(self) -> ClientEvent:
        """The event in its own shape. Errors: InvalidRequest, UnsupportedField."""
        kind = self.fields.get("type")
        if isinstance(kind, str) and kind in OTHERS:
            raise UnsupportedField(
                f"'{kind}' is not supported: a session here only writes down speech, and answers nothing.",
                param="type",
            )
        shape = SHAPES.get(kind) if isinstance(kind, str) else None
        if shape is None:
            known = ", ".join(SHAPES)
            raise InvalidRequest(f"'type' must be one of {known} (got {json.dumps(kind)[:60]}).", param="type")
        try:
            return shape(**self.fields)
        except ValidationError as error:
            raise explain(error.errors()) from error


def receive(text: str | None) -> Received:
    """One message of a client; None is a binary one. Errors: InvalidRequest."""
    if text is None:
        raise InvalidRequest("Events are JSON in text messages; sound is base64 in one of them.", code="invalid_json")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The message is not valid JSON.", code="invalid_json") from error
    if not isinstance(fields, dict):
        raise InvalidRequest("The message must be a JSON object with a 'type'.", code="invalid_json")
    sent = fields.get("event_id")
    return Received(fields, sent if isinstance(sent, str) and len(sent) <= LONGEST_ID else None)


def new_id(prefix: str) -> str:
    """A fresh id such as ``item_0123…``."""
    return f"{prefix}_{uuid.uuid4().hex[:24]}"


def event(kind: str, **fields: Any) -> Event:
    """An event for the client, with an id of its own."""
    return {"type": kind, "event_id": new_id("event"), **fields}


def error_event(error: FluidError, event_id: str | None = None) -> Event:
    """A failure that leaves the session open; ``event_id`` is that of the client's event that caused it."""
    return event("error", error={**body_of(error)["error"], "event_id": event_id})
