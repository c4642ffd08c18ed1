"""Requests about speech: the fields of a multipart form with a file in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from fluid_server.api.errors import explain
from fluid_server.api.schemas.fields import TRANSCRIPTION, TRANSLATION, Contract
from fluid_server.api.schemas.hints import hint, hints
from fluid_server.api.schemas.keep_alive import KeepAlive
from fluid_server.content.language import language_code
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.types import Chunking, TranscribeRequest

Form = TypeVar("Form", bound="AudioForm")
NO_SPEAKERS = "diarized_json"
TIMES = frozenset({"srt", "vtt", "verbose_json"})
MOST_WORDS, LONGEST_WORD = 200, 200
LISTS = frozenset(
    {"include", "keywords", "known_speaker_names", "known_speaker_references", "languages", "timestamp_granularities"}
)
KEY = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<inside>[^\[\]]*)\])?")
MILLISECOND = 0.001
DEFAULT = Chunking()


class ServerVad(BaseModel):
    """How speech is told from silence. What is left out is this server's own: 0.5, 300 ms, the model's pause."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["server_vad"]
    threshold: float = Field(DEFAULT.threshold, ge=0, le=1)
    prefix_padding_ms: int = Field(round(DEFAULT.padding / MILLISECOND), ge=0, le=5_000)
    silence_duration_ms: int | None = Field(None, ge=50, le=30_000)

    def as_chunking(self) -> Chunking:
        """In seconds."""
        silence = self.silence_duration_ms
        return Chunking(
            threshold=self.threshold,
            padding=self.prefix_padding_ms * MILLISECOND,
            silence=None if silence is None else silence * MILLISECOND,
        )


def _strategy(value: Any) -> Any:
    """``auto`` is what the server does by itself; all else comes as a JSON text, or as fields of the form."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("{") else value
        except (ValueError, RecursionError):
            raise ValueError("it is not valid JSON") from None
    if value == "auto":
        return None
    if not isinstance(value, dict):
        raise ValueError("it must be 'auto', or an object of the type 'server_vad'")
    return value


Strategy = Annotated[
    ServerVad | None,
    BeforeValidator(_strategy),
    WithJsonSchema({"anyOf": [{"const": "auto"}, ServerVad.model_json_schema()]}),
    Field(description="how a recording is cut: `auto`, or when speech is told from silence, in OpenAI's words"),
]
Words = list[Annotated[str, Field(min_length=1, max_length=LONGEST_WORD)]]


class AudioForm(BaseModel):
    """What all forms with speech have; everything comes as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    file: Annotated[str, Field(json_schema_extra={"format": "binary"})] = Field(description="the audio")
    model: str = Field(min_length=1, max_length=256, description="a model's id, as GET /v1/models lists it")
    prompt: str | None = Field(None, max_length=4096, description="text before the audio, in its style and spelling")
    temperature: float = Field(0.0, ge=0, le=1)
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    language: str | None = Field(None, description="the language spoken: a code (en) or an English name (English)")
    keep_alive: KeepAlive = None

    @property
    def names(self) -> Mapping[str, str]:
        """What runtimes call a field, and this form otherwise."""
        return {}

    def as_request(self, audio: Path, max_seconds: float) -> TranscribeRequest:
        """What is asked of the model. Errors: InvalidRequest where fields do not go together."""
        return TranscribeRequest(
            audio=audio,
            language=language_code(self.language),
            prompt=hint(self.prompt),
            temperature=self.temperature,
            task="translate",
            max_seconds=max_seconds,
        )


class TranslationForm(AudioForm):
    """POST /v1/audio/translations. ``language``, the one that is spoken, is an extra of ours."""


class TranscriptionForm(AudioForm):
    """POST /v1/audio/transcriptions."""

    languages: list[str] | None = Field(None, max_length=1, description="as `language`, if it holds one")
    keywords: Words = Field([], max_length=MOST_WORDS, description="words that are likely to be said")
    chunking_strategy: Strategy = None
    include: list[Literal["logprobs"]] = Field([], description="`logprobs`, of each token; in the format json")
    stream: bool = Field(False, description="the text as it is heard, as server-sent events; in json or text")
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        [], description="what verbose_json gives times of: `segment` (the default), `word`"
    )

    @property
    def names(self) -> Mapping[str, str]:
        """What runtimes call a field, and this form otherwise."""
        return {"language": "languages"} if self.languages else {}

    @property
    def granularities(self) -> frozenset[str]:
        """What verbose_json gives times of."""
        return frozenset(self.timestamp_granularities or ("segment",))

    def as_request(self, audio: Path, max_seconds: float) -> TranscribeRequest:
        """What is asked of the model. Errors: InvalidRequest where fields do not go together."""
        self._check()
        return TranscribeRequest(
            audio=audio,
            language=self._spoken(),
            prompt=hint(self.prompt),
            keywords=hints(self.keywords),
            temperature=self.temperature,
            words="word" in self.granularities,
            logprobs=bool(self.include),
            chunking=self.chunking_strategy.as_chunking() if self.chunking_strategy else DEFAULT,
            max_seconds=max_seconds,
        )

    def _check(self) -> None:
        if self.timestamp_granularities and self.response_format != "verbose_json":
            raise InvalidRequest(
                "'timestamp_granularities' needs 'response_format' to be verbose_json.", param="timestamp_granularities"
            )
        if self.include and self.response_format != "json":
            raise InvalidRequest("'include' of logprobs needs 'response_format' to be json.", param="include")
        if self.stream and self.response_format in TIMES:
            raise InvalidRequest(
                f"The format {self.response_format} cannot be streamed: use json, or leave 'stream' out.",
                param="response_format",
            )

    def _spoken(self) -> str | None:
        if self.language is not None and self.languages:
            raise InvalidRequest("Give 'language' or 'languages', not both.", param="languages")
        if self.languages:
            return language_code(self.languages[0], param="languages")
        return language_code(self.language)


def transcription_form(sent: Iterable[tuple[str, str]], file_name: str | None) -> TranscriptionForm:
    """The fields of a form as a request. Errors: InvalidRequest naming the field."""
    fields = gathered(sent)
    if len(fields.get("languages", ())) > 1:
        raise UnsupportedField(
            "'languages' with more than one entry is not supported: a recording is transcribed in one language. Give "
            "one, or leave it out to have it detected.",
            param="languages",
        )
    return _form(TranscriptionForm, TRANSCRIPTION, fields, file_name)


def translation_form(sent: Iterable[tuple[str, str]], file_name: str | None) -> TranslationForm:
    """The fields of a form as a request. Errors: InvalidRequest naming the field."""
    return _form(TranslationForm, TRANSLATION, gathered(sent), file_name)


def _form(kind: type[Form], contract: Contract, fields: Mapping[str, Any], file_name: str | None) -> Form:
    kept = contract.check(fields)
    if "file" in kept or file_name is None:
        raise InvalidRequest(
            "Missing required parameter: 'file'. Send the audio as a file in a multipart form.",
            param="file",
            code="missing_required_parameter",
        )
    if kept.get("response_format") == NO_SPEAKERS:
        raise UnsupportedField(
            f"The format {NO_SPEAKERS} is not supported: speakers are not told apart. Use verbose_json, which gives "
            "segments and their times.",
            param="response_format",
        )
    try:
        return kind.model_validate({**kept, "file": file_name or "upload"})
    except ValidationError as error:
        raise explain(error.errors()) from error


def gathered(sent: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Fields by their names: lists as ``name[]``, ``name[0]`` or ``name`` again, objects as ``name[key]``.

    An empty field is one left out. Errors: InvalidRequest for one that was sent more than once.
    """
    fields: dict[str, Any] = {}
    for key, value in sent:
        match = KEY.fullmatch(key)
        name, inside = (match["name"], match["inside"]) if match else (key, None)
        if name in LISTS:
            fields.setdefault(name, []).extend([value] if value != "" else [])
        elif inside == "":
            _put(fields, name, name, [value])
        elif inside:
            _put(fields.setdefault(name, {}), name, inside, value)
        elif value != "" or name == "file":
            _put(fields, name, name, value)
    return {name: value for name, value in fields.items() if value != []}


def _put(place: Any, name: str, key: str, value: str | list[str]) -> None:
    if not isinstance(place, dict) or key in place:
        raise InvalidRequest(f"'{name}' was sent more than once.", param=name)
    place[key] = value
