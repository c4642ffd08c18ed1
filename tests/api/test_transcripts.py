"""Events of a recording as the objects and events that OpenAI describes. No engine: what it tells is made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response
from openai.types.audio import Transcription, TranscriptionVerbose

from fluid_server.api.schemas.transcription import TranscriptionForm, TranslationForm
from fluid_server.api.transcripts import EventWriter, Transcript, written
from fluid_server.types import (
    ChoiceEnd,
    Done,
    Event,
    LanguageHeard,
    Listened,
    Segment,
    TextPiece,
    TokenLogprob,
    Usage,
    Word,
)
from tests.published import conforms, left_over

HELLO = TokenLogprob(7, " Hello", -0.25, b" Hello")
BROKEN = TokenLogprob(8, "\ufffd", -0.5)
WORDS = (Word(" Hello", 0.5, 0.9), Word(" world.", 0.95, 1.2))
EVENTS: list[Event] = [
    LanguageHeard("fr"),
    TextPiece(0, " Hello", (HELLO,)),
    TextPiece(0, " world. ", (BROKEN,)),
    Segment(
        start=0.5, end=1.20004, text=" Hello world.", words=WORDS, tokens=(7, 9), avg_logprob=-0.3, no_speech_prob=0.01
    ),
    Listened(2.0, 2.0),
    ChoiceEnd(0, "stop"),
    Done(Usage(prompt_tokens=3, completion_tokens=2, audio_seconds=2.00049)),
]


def answered(
    kind: type[TranscriptionForm | TranslationForm] = TranscriptionForm, *, events: Any = EVENTS, **fields: Any
) -> Any:
    """The answer to a form, its body read if it is JSON."""
    form = kind.model_validate({"file": "a", "model": "m", **fields})
    transcript = Transcript()
    for event in events:
        transcript.take(event)
    answer = written(transcript, form.as_request(Path("a"), 60), form)
    return bytes(answer.body).decode() if isinstance(answer, Response) else answer.model_dump()


def streamed(*batches: Sequence[Event], logprobs: bool = False) -> list[dict[str, Any]]:
    writer = EventWriter(logprobs=logprobs)
    frames = b"".join([*(writer.deltas(batch) for batch in batches), writer.done()]).decode()
    return [json.loads(line) for line in re.findall("^data: (.*)$", frames, re.MULTILINE)]


def test_json_is_the_text_with_the_language_and_the_length() -> None:
    body = answered()
    usage = {"type": "duration", "seconds": 2.0}
    assert body == {"text": "Hello world.", "languages": [{"code": "fr"}], "usage": usage}
    conforms(body, "CreateTranscriptionResponseJson")


def test_json_has_the_log_probabilities_that_were_asked_for() -> None:
    body = answered(include=["logprobs"])
    assert body["logprobs"] == [
        {"token": " Hello", "logprob": -0.25, "bytes": list(b" Hello")},
        {"token": "\ufffd", "logprob": -0.5},
    ]
    conforms(body, "CreateTranscriptionResponseJson")
    assert not set(left_over(Transcription.model_validate(body, strict=True)))


def test_verbose_json_has_all_that_an_engine_tells() -> None:
    body = answered(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    (segment,) = body["segments"]
    assert segment == {
        "id": 0, "seek": 50, "start": 0.5, "end": 1.2, "text": " Hello world.", "tokens": [7, 9], "temperature": 0.0,
        "avg_logprob": -0.3, "compression_ratio": 0.619, "no_speech_prob": 0.01,
    }  # fmt: skip
    assert body["words"] == [
        {"word": "Hello", "start": 0.5, "end": 0.9},
        {"word": "world.", "start": 0.95, "end": 1.2},
    ]
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "french", 2.0)
    conforms(body, "CreateTranscriptionResponseVerboseJson")
    assert set(left_over(TranscriptionVerbose.model_validate(body, strict=True))) == {"$.task"}


@pytest.mark.parametrize(
    ("asked", "given"), [([], {"segments"}), (["word"], {"words"}), (["segment"], {"segments"})], ids=str
)
def test_verbose_json_has_the_times_that_were_asked_for(asked: list[str], given: set[str]) -> None:
    body = answered(response_format="verbose_json", timestamp_granularities=asked)
    assert body.keys() - {"task", "language", "duration", "text", "usage"} == given


def test_what_an_engine_does_not_tell_is_left_out() -> None:
    segment = Segment(start=0, end=1, text="Ah!")
    body = answered(events=[segment], response_format="verbose_json")
    assert body["segments"][0].keys() == {"id", "seek", "start", "end", "text", "temperature", "compression_ratio"}
    assert body["language"] == ""


def test_a_text_that_repeats_itself_has_a_high_compression_ratio() -> None:
    body = answered(events=[Segment(start=0, end=9, text="no " * 200)], response_format="verbose_json")
    assert body["segments"][0]["compression_ratio"] > 10


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", "Hello world.\n"),
        ("srt", "1\n00:00:00,500 --> 00:00:01,200\nHello world.\n"),
        ("vtt", "WEBVTT\n\n00:00:00.500 --> 00:00:01.200\nHello world.\n"),
    ],
)
@pytest.mark.parametrize("kind", [TranscriptionForm, TranslationForm])
def test_texts(kind: Any, form: str, text: str) -> None:
    assert answered(kind, response_format=form) == text


def test_a_translation_is_english_whatever_was_heard() -> None:
    body = answered(TranslationForm, response_format="verbose_json")
    assert (body["task"], body["language"]) == ("translate", "english")
    conforms(body, "CreateTranslationResponseVerboseJson")
    conforms(answered(TranslationForm), "CreateTranslationResponseJson")


def test_a_stream_has_the_text_piece_by_piece_then_all_of_it() -> None:
    events = streamed(*([event] for event in EVENTS))
    usage = {"type": "tokens", "input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "seconds": 2.0}
    assert events == [
        {"type": "transcript.text.delta", "delta": "Hello"},
        {"type": "transcript.text.delta", "delta": " world."},
        {"type": "transcript.text.done", "text": "Hello world.", "languages": [{"code": "fr"}], "usage": usage},
    ]
    for event in events:
        conforms(event, "CreateTranscriptionResponseStreamEvent")


def test_pieces_that_come_together_are_one_event() -> None:
    assert [event.get("delta") for event in streamed(EVENTS)] == ["Hello world.", None]


def test_a_stream_has_the_log_probabilities_that_were_asked_for() -> None:
    first, second, done = streamed(EVENTS[:2], EVENTS[2:], logprobs=True)
    assert done["logprobs"] == first["logprobs"] + second["logprobs"]
    assert [one["token"] for one in done["logprobs"]] == [" Hello", "\ufffd"]
    conforms(first, "CreateTranscriptionResponseStreamEvent")
    conforms(done, "CreateTranscriptionResponseStreamEvent")


def test_silence_is_a_stream_of_its_end_alone() -> None:
    (done,) = streamed([Done(Usage(audio_seconds=1.0))])
    assert (done["type"], done["text"]) == ("transcript.text.done", "")


def test_deltas_are_the_text_however_the_white_space_falls() -> None:
    texts = ["  ", "\n Hello", " ", "", "world. ", " ", "Bye.", " "]
    *deltas, done = streamed(*([TextPiece(0, text)] for text in texts))
    assert "".join(event["delta"] for event in deltas) == done["text"] == "Hello world.  Bye."
