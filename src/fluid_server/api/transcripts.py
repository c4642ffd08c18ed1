"""A transcript as it comes together: told to who waits, then written in the format that was asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from fastapi import Response
from fastapi.responses import PlainTextResponse

from fluid_server.api import sse
from fluid_server.api.schemas.transcription import AudioForm, TranscriptionForm
from fluid_server.api.schemas.transcripts import (
    HeardLanguage,
    Transcription,
    VerboseTranscription,
    audio_usage,
    segment_bodies,
    token_bodies,
    token_usage,
    word_bodies,
)
from fluid_server.content.language import language_name
from fluid_server.content.subtitles import srt, vtt
from fluid_server.managers.lease import Lease
from fluid_server.types import (
    Done,
    Event,
    LanguageHeard,
    Listened,
    Segment,
    TextPiece,
    TokenLogprob,
    TranscribeRequest,
    Usage,
)

SUBTITLES: dict[str, tuple[Callable[[Iterable[Segment]], str], str]] = {
    "srt": (srt, "application/x-subrip"),
    "vtt": (vtt, "text/vtt"),
}
Tell = Callable[[Listened], None]


@dataclass(slots=True)
class Transcript:
    """What has been heard so far. ``text`` has no white space around it; ``language`` is a code."""

    text: str = ""
    language: str | None = None
    segments: list[Segment] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    _held: str = ""

    def take(self, event: Event) -> str:
        """Add what has come; returns what it adds to the text. White space waits for the text behind it."""
        match event:
            case TextPiece(text=text, logprobs=logprobs):
                self.logprobs += logprobs
                return self._add(text)
            case LanguageHeard(language=language):
                self.language = language
            case Segment():
                self.segments.append(event)
            case Done(usage=usage):
                self.usage = usage
        return ""

    def _add(self, text: str) -> str:
        more = self._held + text if self.text else text.lstrip()
        said = more.rstrip()
        self._held = more[len(said) :]
        self.text += said
        return said

    @property
    def languages(self) -> list[HeardLanguage] | None:
        """The language as lists have it; None where none was heard."""
        return None if self.language is None else [HeardLanguage(code=self.language)]


async def whole(
    lease: Lease, asked: TranscribeRequest, form: AudioForm, tell: Tell
) -> Transcription | VerboseTranscription | Response:
    """Wait for all of it. Errors: the request's failure."""
    transcript = Transcript()
    async with aclosing(lease.run(asked)) as batches:
        async for events in batches:
            for event in events:
                transcript.take(event)
                if isinstance(event, Listened):
                    tell(event)
    return written(transcript, asked, form)


def written(
    transcript: Transcript, asked: TranscribeRequest, form: AudioForm
) -> Transcription | VerboseTranscription | Response:
    """A transcript in the format that was asked for."""
    if form.response_format in SUBTITLES:
        write, media = SUBTITLES[form.response_format]
        return Response(write(transcript.segments), media_type=f"{media}; charset=utf-8")
    if form.response_format == "text":
        return PlainTextResponse(transcript.text + "\n")
    if form.response_format == "verbose_json":
        return _verbose(transcript, asked, form)
    return Transcription(
        text=transcript.text,
        languages=transcript.languages,
        logprobs=token_bodies(transcript.logprobs) if asked.logprobs else None,
        usage=audio_usage(transcript.usage),
    )


def _verbose(transcript: Transcript, asked: TranscribeRequest, form: AudioForm) -> VerboseTranscription:
    """Translations are English, whatever was heard."""
    heard = "en" if asked.task == "translate" else transcript.language or ""
    wanted = form.granularities if isinstance(form, TranscriptionForm) else frozenset({"segment"})
    words = [word for segment in transcript.segments for word in segment.words]
    return VerboseTranscription(
        task="translate" if asked.task == "translate" else "transcribe",
        language=language_name(heard),
        duration=round(transcript.usage.audio_seconds, 3),
        text=transcript.text,
        segments=segment_bodies(transcript.segments) if "segment" in wanted else None,
        words=word_bodies(words) if "word" in wanted else None,
        usage=audio_usage(transcript.usage),
    )


async def frames(lease: Lease, asked: TranscribeRequest, tell: Tell) -> AsyncGenerator[bytes, None]:
    """The text as it is heard, as server-sent events, then all of it. Errors: the request's failure."""
    writer = EventWriter(logprobs=asked.logprobs)
    async with aclosing(lease.run(asked)) as batches:
        async for events in batches:
            for event in events:
                if isinstance(event, Listened):
                    tell(event)
            if some := writer.deltas(events):
                yield some
    yield writer.done()


class EventWriter:
    """A stream's events: the deltas together are the text of the last one."""

    def __init__(self, *, logprobs: bool) -> None:
        self._wants_logprobs = logprobs
        self._transcript = Transcript()

    def deltas(self, events: Iterable[Event]) -> bytes:
        """What these events add to the text, as one event; nothing where they add none."""
        transcript, before = self._transcript, len(self._transcript.logprobs)
        delta = "".join(transcript.take(event) for event in events)
        tokens = transcript.logprobs[before:]
        if not delta and not tokens:
            return b""
        more = {"logprobs": _dumped(tokens)} if self._wants_logprobs else {}
        return sse.frame({"type": "transcript.text.delta", "delta": delta, **more})

    def done(self) -> bytes:
        """The last event: the whole text."""
        transcript = self._transcript
        body = {"type": "transcript.text.done", "text": transcript.text}
        more = {
            "languages": None if (found := transcript.languages) is None else [one.model_dump() for one in found],
            "logprobs": _dumped(transcript.logprobs) if self._wants_logprobs else None,
            "usage": token_usage(transcript.usage).model_dump(),
        }
        return sse.frame({**body, **{name: value for name, value in more.items() if value is not None}})


def _dumped(tokens: Iterable[TokenLogprob]) -> list[dict[str, object]]:
    return [one.model_dump() for one in token_bodies(tokens)]
