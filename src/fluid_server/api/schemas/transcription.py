"""Transcription requests: a multipart form with a file in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from fluid_server.api.errors import explain
from fluid_server.api.schemas.fields import TRANSCRIPTION
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.content.language import language_code
from fluid_server.errors import InvalidRequest, UnsupportedField

NOT_BUILT = {"srt", "vtt", "verbose_json", "diarized_json"}


class TranscriptionForm(BaseModel):
    """The form's fields; all of them come as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    file: Annotated[str, Field(json_schema_extra={"format": "binary"})] = Field(description="the audio")
    model: str = Field(min_length=1, max_length=256, description="a model's id, as GET /v1/models lists it")
    language: str | None = Field(None, description="the language spoken: a code (en) or an English name (English)")
    prompt: str | None = Field(None, max_length=4096, description="text before the audio, in its style and spelling")
    temperature: float = Field(0.0, ge=0, le=1)
    response_format: Literal["json", "text"] = "json"
    keep_alive: KeepAlive = None


def read_form(data: FormData) -> tuple[TranscriptionForm, UploadFile]:
    """The fields and the file. Errors: InvalidRequest naming the field."""
    fields = _fields(data)
    kept = TRANSCRIPTION.check(fields)
    upload = kept.get("file")
    if not isinstance(upload, UploadFile):
        raise InvalidRequest(
            "Missing required parameter: 'file'. Send the audio as a file in a multipart form.",
            param="file",
            code="missing_required_parameter",
        )
    if kept.get("response_format") in NOT_BUILT:
        raise UnsupportedField(
            f"The format '{kept['response_format']}' is not built yet: use json or text.",
            param="response_format",
        )
    form = _checked({**kept, "file": upload.filename or "upload"})
    return form, upload


def _fields(data: FormData) -> dict[str, Any]:
    """Lists arrive as ``name[]``; everything else once."""
    fields: dict[str, Any] = {}
    for name, value in data.multi_items():
        if name.endswith("[]"):
            fields.setdefault(name.removesuffix("[]"), []).append(value)
        elif name in fields:
            raise InvalidRequest(f"'{name}' was sent more than once.", param=name)
        elif value != "" or name == "file":
            fields[name] = value
    return fields


def _checked(fields: dict[str, Any]) -> TranscriptionForm:
    try:
        form = TranscriptionForm(**fields)
    except ValidationError as error:
        raise explain(error.errors()) from error
    return form.model_copy(update={"language": language_code(form.language)})
