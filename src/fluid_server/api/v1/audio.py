"""POST /v1/audio/transcriptions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import ByteSize
from starlette.datastructures import UploadFile

from fluid_server.api.deps import Config, Manager, Uploads, Visit, expect, unless_gone
from fluid_server.api.errors import documented
from fluid_server.api.generation import collect
from fluid_server.api.schemas.answers import AudioUsage, Transcription
from fluid_server.api.schemas.transcription import TranscriptionForm, read_form
from fluid_server.errors import TooLarge
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, TranscribeRequest

router = APIRouter(prefix="/audio", tags=["audio"])
COPY_CHUNK = 1024 * 1024


@router.post(
    "/transcriptions",
    response_model=Transcription,
    responses=documented(),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": TranscriptionForm.model_json_schema()}},
        }
    },
)
async def create_transcription(
    request: Request, manager: Manager, config: Config, uploads: Uploads, visit: Visit
) -> Any:
    """Write down speech: wav, mp3, flac, ogg, opus, m4a or webm at any rate, as `json` or `text`."""
    async with request.form(max_files=1, max_fields=64) as data:
        form, upload = read_form(data)
        async with _as_file(upload, config.max_upload, uploads) as path:
            asked = TranscribeRequest(
                audio=path,
                language=form.language,
                prompt=form.prompt,
                temperature=form.temperature,
                max_seconds=config.max_audio_seconds,
            )
            visitor = expect(visit, keep_alive=form.keep_alive)
            return await unless_gone(request, _transcribe(manager, form, asked, visitor))


async def _transcribe(
    manager: RuntimeManager, form: TranscriptionForm, asked: TranscribeRequest, visitor: Visitor
) -> Transcription | Response:
    async with manager.lease(form.model, Ability.TRANSCRIPTION, visitor=visitor) as lease:
        answer = await collect(lease.run(asked), 1)
    text = answer.choices[0].text.strip()
    if form.response_format == "text":
        return PlainTextResponse(text + "\n")
    return Transcription(text=text, usage=AudioUsage(seconds=round(answer.usage.audio_seconds, 3)))


@asynccontextmanager
async def _as_file(upload: UploadFile, limit: ByteSize, uploads: Path) -> AsyncGenerator[Path, None]:
    """The upload as a file that a worker can read, gone when the request is over. Errors: TooLarge."""
    with tempfile.TemporaryDirectory(dir=uploads, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "upload"
        size = 0
        with path.open("wb") as file:
            while chunk := await upload.read(COPY_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise TooLarge(
                        f"The file is larger than {limit.human_readable()}. Send a shorter or compressed one, or "
                        "start the server with a larger --max-upload.",
                        param="file",
                    )
                await asyncio.to_thread(file.write, chunk)
        yield path
