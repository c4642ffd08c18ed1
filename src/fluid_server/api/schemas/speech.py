"""Speech requests, what streams of speech say, and the voices there are."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from fluid_server.api.schemas.fields import SPEAKING, Contract
from fluid_server.api.schemas.generate import ByContract
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.api.schemas.strict import Strict
from fluid_server.content.sentences import can_be_said, speakable
from fluid_server.types import SpeakRequest, Usage

MAX_INPUT = 4096
MAX_NAME = 128
MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class VoiceId(Strict):
    """A voice as an object."""

    id: str = Field(min_length=1, max_length=MAX_NAME)


class SpeechBody(ByContract):
    """POST /v1/audio/speech."""

    contract: ClassVar[Contract] = SPEAKING

    input: str = Field(max_length=MAX_INPUT, description="what is to be said")
    voice: str | VoiceId | None = Field(
        None, description="one that GET /v1/audio/voices lists, or a name of OpenAI's; default: the model's best"
    )
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = Field(
        "mp3", description="pcm: 16-bit little-endian; all are mono at 24 kHz"
    )
    speed: float = Field(1.0, ge=0.25, le=4.0, description="1 is the voice's own pace")
    stream_format: Literal["audio", "sse"] = Field(
        "audio", description="audio: the file itself, as it is made; sse: its parts as events"
    )
    language: str | None = Field(
        None, min_length=1, max_length=MAX_NAME, description="what is to be spoken: a code or an English name; "
        "default: the voice's own",
    )  # fmt: skip
    keep_alive: KeepAlive = None

    @field_validator("input")
    @classmethod
    def _can_be_said(cls, value: str) -> str:
        if not can_be_said(speakable(value)):
            raise ValueError("there must be a letter or a digit in it")
        return value

    @field_validator("voice")
    @classmethod
    def _named(cls, value: str | VoiceId | None) -> str | VoiceId | None:
        if isinstance(value, str) and not 0 < len(value) <= MAX_NAME:
            raise ValueError(f"a voice's name has 1 to {MAX_NAME} characters")
        return value

    def as_request(self) -> SpeakRequest:
        """The body as what flows."""
        return SpeakRequest(
            text=self.input,
            voice=self.voice.id if isinstance(self.voice, VoiceId) else self.voice,
            speed=self.speed,
            language=self.language,
            format=self.response_format,
        )


class SpeechUsage(BaseModel):
    """Models that speak here read characters, and count no tokens; ``seconds`` is the length of the speech."""

    input_tokens: int
    output_tokens: int = 0
    total_tokens: int
    seconds: float


class SpeechDelta(BaseModel):
    """A part of the file, in base64. All parts together, each decoded by itself, are the file."""

    type: Literal["speech.audio.delta"] = "speech.audio.delta"
    audio: str


class SpeechDone(BaseModel):
    """All of it has been sent."""

    type: Literal["speech.audio.done"] = "speech.audio.done"
    usage: SpeechUsage


class VoiceBody(BaseModel):
    """A voice of a model. ``language`` is null where its name does not tell."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    name: str
    created_at: int
    model: str
    language: str | None


class VoiceList(BaseModel):
    """GET /v1/audio/voices. ``voices`` is the same list: it is what Open WebUI and others read."""

    object: Literal["list"] = "list"
    data: list[VoiceBody]
    voices: list[VoiceBody]


def speech_usage(usage: Usage) -> SpeechUsage:
    """A request's counts in OpenAI's words."""
    return SpeechUsage(
        input_tokens=usage.characters, total_tokens=usage.characters, seconds=round(usage.spoken_seconds, 3)
    )
