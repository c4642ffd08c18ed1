"""POST /v1/audio/transcriptions and POST /v1/audio/translations."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing, closing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from fluid_server.api import sse, uploads
from fluid_server.api.deps import Config, Manager, Uploads, Visit, expect, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.naming import named_as
from fluid_server.api.schemas.transcription import (
    AudioForm,
    TranscriptionForm,
    TranslationForm,
    transcription_form,
    translation_form,
)
from fluid_server.api.schemas.transcripts import Transcription, VerboseTranscription
from fluid_server.api.transcripts import SUBTITLES, frames, whole
from fluid_server.api.uploads import Upload
from fluid_server.managers.lease import Lease
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, Listened, TranscribeRequest

router = APIRouter(prefix="/audio", tags=["audio"])
TEXTS = ("text/plain", *(media for _, media in SUBTITLES.values()))


def _form_of(kind: type[AudioForm]) -> dict[str, Any]:
    """A form as the API's description shows it, since the routes read it themselves."""
    content = {"multipart/form-data": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/transcriptions",
    response_model=Transcription | VerboseTranscription,
    responses=documented() | sse.described(*TEXTS),
    openapi_extra=_form_of(TranscriptionForm),
)
async def create_transcription(
    request: Request, manager: Manager, config: Config, folder: Uploads, visit: Visit
) -> Any:
    """Write down speech, in nearly any audio format and of any length: as text, with times, or as subtitles."""
    upload = await uploads.receive(request, folder, config.max_upload)
    with ExitStack() as held:
        held.enter_context(closing(upload))
        form = transcription_form(upload.fields, upload.file_name)
        asked = form.as_request(upload.path, config.max_audio_seconds)
        visitor = expect(visit, keep_alive=form.keep_alive, waits=form.stream)
        job = _Job(manager, form, asked, visitor, request.state.request_id)
        if not form.stream:
            return await unless_gone(request, job.whole())
        stream = job.frames(upload)
        answer = await sse.respond(request, stream, heartbeat=config.heartbeat, activity=visitor.says)
        held.pop_all()  # the stream needs the file, and lets go of it
        return answer


@router.post(
    "/translations",
    response_model=Transcription | VerboseTranscription,
    responses=documented() | {200: {"description": "Success", "content": {media: {} for media in TEXTS}}},
    openapi_extra=_form_of(TranslationForm),
)
async def create_translation(request: Request, manager: Manager, config: Config, folder: Uploads, visit: Visit) -> Any:
    """Write down in English what is said in another language."""
    upload = await uploads.receive(request, folder, config.max_upload)
    with closing(upload):
        form = translation_form(upload.fields, upload.file_name)
        asked = form.as_request(upload.path, config.max_audio_seconds)
        visitor = expect(visit, keep_alive=form.keep_alive)
        return await unless_gone(request, _Job(manager, form, asked, visitor, request.state.request_id).whole())


@dataclass(frozen=True, slots=True)
class _Job:
    """One recording on its way through the server."""

    manager: RuntimeManager
    form: AudioForm
    asked: TranscribeRequest
    visitor: Visitor
    request_id: str

    async def whole(self) -> Transcription | VerboseTranscription | Response:
        """Its transcript in the format that was asked for."""
        with named_as(self.form.names):
            async with self.manager.lease(self.form.model, Ability.TRANSCRIPTION, visitor=self.visitor) as lease:
                return await whole(lease, self.asked, self.form, lambda heard: self._tell(lease, heard))

    async def frames(self, upload: Upload) -> AsyncGenerator[bytes, None]:
        """Its text as it is heard. The stream outlives its route, and needs the file as long."""
        with closing(upload), named_as(self.form.names):
            async with (
                self.manager.lease(self.form.model, Ability.TRANSCRIPTION, visitor=self.visitor) as lease,
                aclosing(frames(lease, self.asked, lambda heard: self._tell(lease, heard))) as stream,
            ):
                async for some in stream:
                    yield some

    def _tell(self, lease: Lease, heard: Listened) -> None:
        """To the event feed, and to whoever waits."""
        said = f"transcribing, {_clock(heard.seconds)}"
        said += f" of {_clock(heard.total)}" if heard.total is not None else ""
        self.visitor.activity = lambda: said
        self.manager.feed.publish(
            "transcription.progress",
            model=lease.spec.id,
            request=self.request_id,
            seconds=round(heard.seconds, 3),
            total=None if heard.total is None else round(heard.total, 3),
        )


def _clock(seconds: float) -> str:
    """Such as 12:30, or 1:00:00."""
    whole_seconds = int(seconds)
    hours, minutes = whole_seconds // 3600, whole_seconds // 60 % 60
    return f"{hours}:{minutes:02}:{whole_seconds % 60:02}" if hours else f"{minutes}:{whole_seconds % 60:02}"
