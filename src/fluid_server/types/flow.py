"""All that is asked of a worker, and all that it says of one request."""

from __future__ import annotations

from dataclasses import dataclass

from fluid_server.types.sound import Heard, ListenRequest, SoundPiece, SpeakRequest, TranscribeRequest, Turned
from fluid_server.types.text import (
    ChoiceEnd,
    GenerateRequest,
    ReasoningPiece,
    TextPiece,
    Tokenized,
    TokenizeRequest,
    ToolPiece,
)
from fluid_server.types.usage import Usage
from fluid_server.types.vectors import Embedded, EmbedRequest

Request = GenerateRequest | TokenizeRequest | TranscribeRequest | ListenRequest | SpeakRequest | EmbedRequest


@dataclass(frozen=True, slots=True)
class Done:
    """The request has ended well: nothing follows."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The request has left the engine because it was told to: its place is free."""


Event = (
    TextPiece | ReasoningPiece | ToolPiece | ChoiceEnd | Tokenized | Heard | Turned | SoundPiece | Embedded | Done
    | Cancelled
)  # fmt: skip
