"""POST /v1/audio/transcriptions: spoken sentences that the demo model knows, in the formats that people have."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import av
import httpx
import openai
import pytest
from openai.types.audio import Transcription

from tests.front_door import AUDIO, ECHO, OPENVINO, WHISPER, error_of

LIGHT, LIGHT_TEXT = "kitchen-light", "Turn on the kitchen light."
FRENCH, FRENCH_TEXT = "bonjour", "Bonjour le monde."
SENTENCES = {
    LIGHT: LIGHT_TEXT,
    FRENCH: FRENCH_TEXT,
    "capital-of-france": "What is the capital of France?",
    "hello": "Hello world.",
    "timer": "Set a timer for ten minutes.",
}
TRANSCRIPTIONS = "/v1/audio/transcriptions"
# Name, container, codec, sample rate, channels.
FORMATS = [
    ("mp3", "mp3", "mp3", 44_100, "stereo"),
    ("flac", "flac", "flac", 48_000, "stereo"),
    ("ogg", "ogg", "flac", 22_050, "mono"),
    ("opus", "ogg", "libopus", 48_000, "mono"),
    ("m4a", "ipod", "aac", 44_100, "stereo"),
    ("webm", "webm", "libopus", 48_000, "stereo"),
    ("wav", "wav", "pcm_s16le", 44_100, "stereo"),
    ("wav", "wav", "pcm_f32le", 96_000, "5.1"),
    ("wav", "wav", "pcm_u8", 8_000, "mono"),
]


def spoken(name: str) -> bytes:
    return (AUDIO / f"{name}.wav").read_bytes()


@cache
def converted(name: str, container: str, codec: str, rate: int, layout: str) -> bytes:
    """A fixture in another container, codec, sample rate and number of channels."""
    target = io.BytesIO()
    with av.open(io.BytesIO(spoken(name)), "r") as source, av.open(target, "w", format=container) as sink:
        stream = sink.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, layout, rate)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                sink.mux(stream.encode(part))
        sink.mux(stream.encode(None))
    return target.getvalue()


def heard(client: openai.OpenAI, data: bytes, name: str = "speech.wav", **fields: Any) -> Transcription:
    answer: Transcription = client.audio.transcriptions.create(model=WHISPER, file=(name, data), **fields)
    return answer


def sent(http: httpx.Client, data: bytes) -> httpx.Response:
    return http.post(TRANSCRIPTIONS, data={"model": WHISPER}, files={"file": ("speech.wav", data)})


def posted(http: httpx.Client, **fields: Any) -> httpx.Response:
    """A form as no SDK would send it: a field that is None stays out."""
    kept = {name: value for name, value in {"model": WHISPER, **fields}.items() if value is not None}
    return http.post(TRANSCRIPTIONS, data=kept, files={"file": ("speech.wav", spoken(LIGHT))})


@pytest.mark.parametrize("name", SENTENCES)
def test_speech_is_written_down_exactly(client: openai.OpenAI, name: str) -> None:
    assert heard(client, spoken(name)).text == SENTENCES[name]


@pytest.mark.parametrize(("suffix", "container", "codec", "rate", "layout"), FORMATS, ids=str)
def test_formats_rates_and_channels(
    client: openai.OpenAI, suffix: str, container: str, codec: str, rate: int, layout: str
) -> None:
    data = converted("capital-of-france", container, codec, rate, layout)
    assert heard(client, data, f"speech.{suffix}").text == SENTENCES["capital-of-france"]


@pytest.mark.parametrize("name", ["speech", "speech.mp3", "../../etc/passwd", "Zürich 😀.wav", "a" * 300])
def test_the_name_of_the_file_does_not_matter(client: openai.OpenAI, name: str) -> None:
    assert heard(client, spoken(LIGHT), name).text == LIGHT_TEXT


def test_json_is_the_official_object_with_the_duration(http: httpx.Client) -> None:
    body = posted(http).raise_for_status().json()
    assert Transcription.model_validate(body, strict=True).text == LIGHT_TEXT
    assert body["usage"] == {"type": "duration", "seconds": pytest.approx(2.679, abs=0.01)}


def test_text_is_plain(http: httpx.Client, client: openai.OpenAI) -> None:
    response = posted(http, response_format="text")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == f"{LIGHT_TEXT}\n"
    assert str(heard(client, spoken(LIGHT), response_format="text")).strip() == LIGHT_TEXT


@pytest.mark.parametrize("language", ["fr", "FR", "fr-CA", "French", "french"])
def test_a_language_by_code_or_name(client: openai.OpenAI, language: str) -> None:
    assert heard(client, spoken(FRENCH), language=language).text == FRENCH_TEXT


@pytest.mark.parametrize("language", ["klingon", "xx", "../en", "de"])
def test_a_language_that_is_not_known_is_refused(http: httpx.Client, language: str) -> None:
    assert error_of(posted(http, language=language), 400)["param"] == "language"


@pytest.mark.parametrize("empty", ["language", "prompt", "response_format", "temperature"])
def test_an_empty_field_is_one_left_out(http: httpx.Client, empty: str) -> None:
    assert posted(http, **{empty: ""}).json()["text"] == LIGHT_TEXT


def test_no_special_token_shows_with_a_prompt(client: openai.OpenAI) -> None:
    assert "<|" not in heard(client, spoken(LIGHT), prompt="Hello").text


def test_a_cut_off_file_is_heard_as_far_as_it_goes(client: openai.OpenAI) -> None:
    assert heard(client, spoken(LIGHT)[:60_000]).text.startswith("Turn on the")


# --- what is refused ------------------------------------------------------------------------------------------

NO_SOUND = {
    "empty": b"",
    "text": b"hello, this is no sound at all\n" * 99,
    "header alone": spoken(LIGHT)[:44],
    "two milliseconds": spoken(LIGHT)[:108],
    "playlist": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n",
    "zeros": bytes(5000),
}


@pytest.mark.parametrize("data", NO_SOUND.values(), ids=NO_SOUND)
def test_a_file_that_is_no_sound_is_refused(http: httpx.Client, data: bytes) -> None:
    error = error_of(sent(http, data), 400)
    assert (error["param"], error["code"]) == ("file", "invalid_audio")
    assert posted(http).json()["text"] == LIGHT_TEXT


@pytest.mark.parametrize("file", [None, (None, b"just text")], ids=["left out", "a text field"])
def test_a_missing_file_is_named(http: httpx.Client, file: Any) -> None:
    parts = {"model": (None, WHISPER), **({"file": file} if file else {})}
    error = error_of(http.post(TRANSCRIPTIONS, files=parts), 400)
    assert (error["param"], error["code"]) == ("file", "missing_required_parameter")


@pytest.mark.parametrize("model", [None, ""])
def test_a_missing_model_is_named(http: httpx.Client, model: str | None) -> None:
    error = error_of(posted(http, model=model), 400)
    assert (error["param"], error["code"]) == ("model", "missing_required_parameter")


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    error = error_of(posted(http, model="fluid-tiny-whisper"), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert WHISPER in error["message"]


@pytest.mark.parametrize("model", [OPENVINO, "fluid-tiny-gguf", ECHO])
def test_a_language_model_transcribes_nothing(http: httpx.Client, model: str) -> None:
    error = error_of(posted(http, model=model), 400)
    assert (error["param"], error["code"]) == ("model", "model_not_capable")


@pytest.mark.parametrize(("field", "value"), [("known_speaker_names[]", "Ann"), ("response_format", "diarized_json")])
def test_what_is_not_supported_is_refused_by_name(http: httpx.Client, field: str, value: str) -> None:
    error = error_of(posted(http, **{field: value}), 400)
    assert (error["param"], error["code"]) == (field.removesuffix("[]"), "unsupported_parameter")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "hot"),
        ("temperature", "2"),
        ("temperature", "nan"),
        ("response_format", "xml"),
        ("prompt", "a" * 5000),
        ("model", "a" * 600),
        ("lnguage", "en"),
        ("model", [WHISPER, WHISPER]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_value_is_named(http: httpx.Client, field: str, value: Any) -> None:
    assert error_of(posted(http, **{field: value}), 400)["param"] == field


def test_a_misspelt_field_gets_a_hint(http: httpx.Client) -> None:
    error = error_of(posted(http, lnguage="en"), 400)
    assert error["code"] == "unknown_parameter"
    assert "'language'" in error["message"]


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", b'{"model": "x"}'),
        ("application/x-www-form-urlencoded", b"model=x"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b""),
    ],
)
def test_a_body_that_is_no_form_is_refused(http: httpx.Client, content_type: str, content: bytes) -> None:
    error_of(http.post(TRANSCRIPTIONS, content=content, headers={"content-type": content_type}), 400)


def test_more_files_or_fields_than_sensible_are_refused(http: httpx.Client) -> None:
    sound = ("speech.wav", spoken(LIGHT))
    error_of(http.post(TRANSCRIPTIONS, data={"model": WHISPER}, files=[("file", sound), ("file", sound)]), 400)
    error_of(posted(http, **{f"field{number}": "1" for number in range(400)}), 400)
