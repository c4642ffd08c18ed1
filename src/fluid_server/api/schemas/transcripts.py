"""What transcripts look like: OpenAI's objects and events, with what a local server knows besides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel

from fluid_server.api.schemas.sparse import Sparse
from fluid_server.content.repetition import compression_ratio
from fluid_server.types import Segment, TokenLogprob, Usage, Word


class AudioUsage(BaseModel):
    """How long the audio is, in seconds."""

    type: Literal["duration"] = "duration"
    seconds: float


class TokenUsage(BaseModel):
    """What a stream's end counts, since OpenAI's is in tokens: those of the text, of which the audio has none.

    ``seconds`` is how long the audio is.
    """

    type: Literal["tokens"] = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int
    seconds: float


class HeardLanguage(BaseModel):
    """A language that was heard, by its code."""

    code: str


class TokenBody(Sparse):
    """A token of the text and its natural-log probability; ``bytes`` are left out where unknown."""

    _sparse = frozenset({"bytes"})

    token: str
    logprob: float
    bytes: list[int] | None = None


class Transcription(Sparse):
    """POST /v1/audio/transcriptions and /translations in the format json. ``logprobs`` are there if asked for."""

    _sparse = frozenset({"languages", "logprobs"})

    text: str
    languages: list[HeardLanguage] | None = None
    logprobs: list[TokenBody] | None = None
    usage: AudioUsage


class SegmentBody(Sparse):
    """A stretch of speech, its times in seconds. ``seek`` is its start in hundredths of a second.

    ``tokens``, ``avg_logprob`` and ``no_speech_prob`` are left out where the engine does not tell them.
    """

    _sparse = frozenset({"tokens", "avg_logprob", "no_speech_prob"})

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int] | None = None
    temperature: float
    avg_logprob: float | None = None
    compression_ratio: float
    no_speech_prob: float | None = None


class WordBody(BaseModel):
    """A word, its times in seconds."""

    word: str
    start: float
    end: float


class VerboseTranscription(Sparse):
    """The format verbose_json. ``language`` is an English name in lower case, empty where none was heard.

    ``segments`` and ``words`` are there as ``timestamp_granularities`` asks for them.
    """

    _sparse = frozenset({"segments", "words"})

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    segments: list[SegmentBody] | None = None
    words: list[WordBody] | None = None
    usage: AudioUsage


def segment_bodies(segments: Iterable[Segment]) -> list[SegmentBody]:
    """Segments in OpenAI's words, numbered from 0."""
    return [
        SegmentBody(
            id=number,
            seek=round(one.start * 100),
            start=round(one.start, 3),
            end=round(one.end, 3),
            text=one.text,
            tokens=list(one.tokens) or None,
            temperature=one.temperature,
            avg_logprob=one.avg_logprob,
            compression_ratio=round(compression_ratio(one.text), 3),
            no_speech_prob=one.no_speech_prob,
        )
        for number, one in enumerate(segments)
    ]


def word_bodies(words: Iterable[Word]) -> list[WordBody]:
    """Words in OpenAI's words."""
    return [WordBody(word=one.text.strip(), start=round(one.start, 3), end=round(one.end, 3)) for one in words]


def token_bodies(tokens: Iterable[TokenLogprob]) -> list[TokenBody]:
    """Tokens as transcripts list them."""
    return [TokenBody(token=one.text, logprob=one.logprob, bytes=list(one.data) or None) for one in tokens]


def audio_usage(usage: Usage) -> AudioUsage:
    """How long the audio was."""
    return AudioUsage(seconds=round(usage.audio_seconds, 3))


def token_usage(usage: Usage) -> TokenUsage:
    """The counts at the end of a stream."""
    return TokenUsage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        seconds=round(usage.audio_seconds, 3),
    )
