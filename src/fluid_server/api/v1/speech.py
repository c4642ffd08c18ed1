"""POST /v1/audio/speech and GET /v1/audio/voices."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response

from fluid_server.api import sound_stream, sse
from fluid_server.api.deps import Config, Manager, Visit, expect
from fluid_server.api.errors import documented
from fluid_server.api.schemas.speech import (
    MEDIA_TYPES,
    SpeechBody,
    SpeechDelta,
    SpeechDone,
    VoiceBody,
    VoiceList,
    speech_usage,
)
from fluid_server.content.voices import language_of
from fluid_server.errors import Unauthorized
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, Done, Event, Kind, ModelSpec, SoundPiece

router = APIRouter(prefix="/audio", tags=["audio"])


@router.post("/speech", response_class=Response, responses=documented() | sse.described(*MEDIA_TYPES.values()))
async def create_speech(request: Request, body: SpeechBody, manager: Manager, config: Config, visit: Visit) -> Any:
    """Say a text: the sound file as it is made, sentence by sentence, or its parts as server-sent events."""
    visitor = expect(visit, keep_alive=body.keep_alive, waits=body.stream_format == "sse")
    events = _events(manager, body, visitor)
    if body.stream_format == "audio":
        return await sound_stream.respond(request, _bytes(events), MEDIA_TYPES[body.response_format])
    ending = sse.Ending(last=b"")
    return await sse.respond(request, _frames(events), heartbeat=config.heartbeat, activity=visitor.says, ending=ending)


@router.get("/voices", response_model=VoiceList, responses=documented(Unauthorized))
async def list_voices(manager: Manager) -> VoiceList:
    """All voices of all models that speak, loaded or not. A voice belongs to its model."""
    found = [voice for spec in await manager.library.listed() for voice in _voices(spec)]
    return VoiceList(data=found, voices=found)


def _voices(spec: ModelSpec) -> list[VoiceBody]:
    if spec.kind is not Kind.SPEECH or spec.problem:
        return []
    return [
        VoiceBody(id=name, name=name, created_at=int(spec.modified), model=spec.id, language=language_of(name))
        for name in spec.voices
    ]


async def _events(manager: RuntimeManager, body: SpeechBody, visitor: Visitor) -> AsyncGenerator[Event, None]:
    async with (
        manager.lease(body.model, Ability.SPEECH, visitor=visitor) as lease,
        aclosing(lease.run(body.as_request())) as batches,
    ):
        async for events in batches:
            for event in events:
                yield event


async def _bytes(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, SoundPiece) and event.data:
                yield event.data


async def _frames(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, SoundPiece) and event.data:
                yield sse.frame(SpeechDelta(audio=base64.b64encode(event.data).decode()).model_dump())
            elif isinstance(event, Done):
                yield sse.frame(SpeechDone(usage=speech_usage(event.usage)).model_dump())
