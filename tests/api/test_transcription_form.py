"""What a form about speech comes to, and which fields are named where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fluid_server.api.schemas.transcription import transcription_form, translation_form
from fluid_server.errors import FluidError, InvalidRequest, UnsupportedField
from fluid_server.types import Chunking, TranscribeRequest

FILE = Path("upload")


def asked(*fields: tuple[str, str]) -> TranscribeRequest:
    return transcription_form([("model", "m"), *fields], "a.wav").as_request(FILE, 60)


def translated(*fields: tuple[str, str]) -> TranscribeRequest:
    return translation_form([("model", "m"), *fields], "a.wav").as_request(FILE, 60)


def refused(ask: Any, *fields: tuple[str, str]) -> FluidError:
    with pytest.raises(InvalidRequest) as caught:
        ask(*fields)
    return caught.value


def test_a_plain_form_leaves_all_to_the_model() -> None:
    assert asked() == TranscribeRequest(audio=FILE, max_seconds=60)
    assert translated() == TranscribeRequest(audio=FILE, max_seconds=60, task="translate")


@pytest.mark.parametrize(
    ("key", "value", "field", "becomes"),
    [
        ("language", "French", "language", "fr"),
        ("languages[]", "de-AT", "language", "de"),
        ("prompt", "Hi", "prompt", "Hi"),
        ("temperature", "0.5", "temperature", 0.5),
        ("prompt", " \t", "prompt", None),
        ("keywords", "Ann", "keywords", ("Ann",)),
        ("keywords", " ", "keywords", ()),
        ("keywords[0]", "Ann", "keywords", ("Ann",)),
        ("include[]", "logprobs", "logprobs", True),
        ("chunking_strategy", "auto", "chunking", Chunking()),
    ],
)
def test_a_field_reaches_the_model(key: str, value: str, field: str, becomes: Any) -> None:
    assert getattr(asked((key, value)), field) == becomes


def test_a_list_is_sent_in_several_parts() -> None:
    assert asked(("keywords[]", "Ann"), ("keywords[]", "Bo"), ("keywords[]", "")).keywords == ("Ann", "Bo")


def test_words_are_asked_of_the_model_if_they_are_to_be_shown() -> None:
    verbose = ("response_format", "verbose_json")
    assert asked(verbose, ("timestamp_granularities[]", "word")).words
    assert not asked(verbose, ("timestamp_granularities[]", "segment")).words


OUR_VAD = Chunking(threshold=0.7, padding=0.1, silence=0.5)


@pytest.mark.parametrize(
    "fields",
    [
        [
            (
                "chunking_strategy",
                '{"type":"server_vad","threshold":0.7,"prefix_padding_ms":100,"silence_duration_ms":500}',
            )
        ],
        [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.7"),
            ("chunking_strategy[prefix_padding_ms]", "100"),
            ("chunking_strategy[silence_duration_ms]", "500"),
        ],
    ],
    ids=["as JSON", "as fields"],
)
def test_how_to_cut_comes_as_json_or_as_fields(fields: list[tuple[str, str]]) -> None:
    assert asked(*fields).chunking == OUR_VAD


def test_what_is_left_out_of_how_to_cut_is_our_own() -> None:
    assert asked(("chunking_strategy", '{"type":"server_vad"}')).chunking == Chunking()


@pytest.mark.parametrize(
    ("key", "value", "param"),
    [
        ("chunking_strategy", "never", "chunking_strategy"),
        ("chunking_strategy", "{", "chunking_strategy"),
        ("chunking_strategy", "[1]", "chunking_strategy"),
        ("chunking_strategy", '{"a":' * 10_000, "chunking_strategy"),
        ("chunking_strategy", "{}", "chunking_strategy.type"),
        ("chunking_strategy[type]", "client_vad", "chunking_strategy.type"),
        ("chunking_strategy", '{"type":"server_vad","threshold":2}', "chunking_strategy.threshold"),
        ("chunking_strategy", '{"type":"server_vad","speed":2}', "chunking_strategy.speed"),
        ("stream", "perhaps", "stream"),
        ("temperature[]", "0", "temperature"),
        ("model[]", "n", "model"),
        ("model[a]", "n", "model"),
        ("prompt[a]", "n", "prompt"),
        ("a]b[", "n", "a]b["),
        ("include[]", "everything", "include[0]"),
        ("keywords[]", "a" * 201, "keywords[0]"),
        ("languages[]", "klingon", "languages"),
        ("timestamp_granularities[]", "word", "timestamp_granularities"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_is_named(key: str, value: str, param: str) -> None:
    assert refused(asked, (key, value)).param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ([("language", "en"), ("languages[]", "en")], "languages"),
        ([("include[]", "logprobs"), ("response_format", "text")], "include"),
        ([("stream", "true"), ("response_format", "srt")], "response_format"),
        ([("stream", "true"), ("response_format", "vtt")], "response_format"),
        ([("stream", "true"), ("response_format", "verbose_json")], "response_format"),
        ([("chunking_strategy", "auto"), ("chunking_strategy[type]", "server_vad")], "chunking_strategy"),
    ],
    ids=str,
)
def test_fields_that_do_not_go_together_are_named(fields: list[tuple[str, str]], param: str) -> None:
    assert refused(asked, *fields).param == param


@pytest.mark.parametrize(
    "fields",
    [
        [("languages[]", "en"), ("languages[]", "fr")],
        [("known_speaker_names[]", "Ann")],
        [("known_speaker_references[]", "data:audio/wav;base64,AA==")],
        [("response_format", "diarized_json")],
    ],
    ids=str,
)
@pytest.mark.parametrize("ask", [asked, translated])
def test_what_is_not_supported_is_refused_by_name(ask: Any, fields: list[tuple[str, str]]) -> None:
    error = refused(ask, *fields)
    assert isinstance(error, UnsupportedField)
    assert error.param == fields[0][0].removesuffix("[]")


@pytest.mark.parametrize(
    ("key", "value"),
    [("stream", "true"), ("keywords[]", "Ann"), ("include[]", "logprobs"), ("timestamp_granularities[]", "word")],
)
def test_what_translations_do_not_have_is_refused_by_name(key: str, value: str) -> None:
    error = refused(translated, (key, value))
    assert isinstance(error, UnsupportedField)
    assert "/v1/audio/transcriptions" in error.message


def test_a_translation_may_be_told_the_language_that_is_spoken() -> None:
    assert translated(("language", "French")).language == "fr"


@pytest.mark.parametrize(("fields", "name"), [([], None), ([("file", "just text")], "a.wav")], ids=["none", "text"])
def test_a_form_without_a_file_says_so(fields: list[tuple[str, str]], name: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        transcription_form([("model", "m"), *fields], name)
    assert (caught.value.param, caught.value.code) == ("file", "missing_required_parameter")
