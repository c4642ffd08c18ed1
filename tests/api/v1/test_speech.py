"""POST /v1/audio/speech and GET /v1/audio/voices, with models that speak noise."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from fluid_server.api.schemas.speech import MEDIA_TYPES
from tests.front_door import ECHO, RunningServer, error_of, until
from tests.published import conforms
from tests.scrape import Scrape
from tests.speaking import GUESTS, KOKORO, RATE, SPEECHT5, VOICES, heard, pcm, speech_models

pytestmark = pytest.mark.skipif(find_spec("openvino_genai") is None, reason="openvino-genai has no wheel here")
SPEECH = "/v1/audio/speech"
TEXT = "Hello world. This is a test."
SLACK = {"mp3": 0.1, "opus": 0.03, "aac": 0.13, "flac": 0.0, "wav": 0.0, "pcm": 0.0}  # seconds that codecs add


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own: the demo models do not speak."""
    folder = tmp_path_factory.mktemp("speech")
    flags = ("--echo", "--no-warm-up", "--idle-timeout", "0", "--threads", "1")
    with RunningServer.start(*flags, folder=folder, models=speech_models(folder / "models")) as running:
        yield running


@pytest.fixture(scope="module")
def client(speaking: RunningServer) -> Iterator[openai.OpenAI]:
    with speaking.official() as connected:
        yield connected


@pytest.fixture(scope="module")
def http(speaking: RunningServer) -> Iterator[httpx.Client]:
    with speaking.plain() as connected:
        yield connected


def asked(**fields: Any) -> dict[str, Any]:
    """A body; a field that is None stays out."""
    body = {"model": KOKORO, "input": "hello", "voice": "af_heart", **fields}
    return {name: value for name, value in body.items() if value is not None}


def events_of(text: str) -> list[dict[str, Any]]:
    lines = [line for line in text.split("\n\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def seconds_of(data: bytes, form: str) -> float:
    if form == "pcm":
        return len(pcm(data)) / RATE
    samples, rate, channels = heard(data)
    assert (rate, channels) == (48_000 if form == "opus" else RATE, 1)
    return len(samples) / rate


# --- what is spoken -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", MEDIA_TYPES)
def test_every_format_is_a_whole_file_of_the_length_that_is_told(http: httpx.Client, form: str) -> None:
    answer = http.post(SPEECH, json=asked(input=TEXT, response_format=form, stream_format="sse"))
    *deltas, done = events_of(answer.text)
    data = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    told = done["usage"]["seconds"]
    assert len(deltas) >= 2
    assert told - 0.001 <= seconds_of(data, form) <= told + SLACK[form] + 0.001


@pytest.mark.parametrize("form", MEDIA_TYPES)
def test_the_file_itself_comes_with_its_media_type(client: openai.OpenAI, form: Any, tmp_path: Path) -> None:
    create = client.audio.speech.with_streaming_response.create
    with create(model=KOKORO, input="hello", voice="alloy", response_format=form) as answer:
        answer.stream_to_file(tmp_path / "speech")
    assert answer.headers["content-type"] == MEDIA_TYPES[form]
    assert seconds_of((tmp_path / "speech").read_bytes(), form) > 0.5


def test_mp3_is_what_comes_unasked(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(model=SPEECHT5, input="Hi", voice="alloy")
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert seconds_of(answer.content, "mp3") == pytest.approx(20_480 / 16_000, abs=0.1)


def test_a_stream_begins_before_it_is_all_said(client: openai.OpenAI, speaking: RunningServer) -> None:
    create = client.audio.speech.with_streaming_response.create
    with create(model=KOKORO, input=f"{TEXT} " * 8, voice="af_heart", response_format="pcm") as answer:
        parts = answer.iter_bytes()
        first = len(next(parts))
        leases = speaking.health()["models"][KOKORO]["leases"]
        rest = sum(map(len, parts))
    assert leases == 1
    assert rest > 4 * first > 0


def test_events_are_the_official_ones(http: httpx.Client) -> None:
    answer = http.post(SPEECH, json=asked(input=TEXT, stream_format="sse", response_format="pcm"))
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    for event in events:
        conforms(event, "CreateSpeechResponseStreamEvent")
    assert [event["type"] for event in events[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    usage = events[-1]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (len(TEXT), 0, len(TEXT))


@pytest.mark.parametrize("voice", ["af_nova", {"id": "af_nova"}, "nova", "AF_Nova", None])
def test_a_voice_by_name_by_object_by_openai_s_name_or_the_best(http: httpx.Client, voice: Any) -> None:
    assert http.post(SPEECH, json=asked(voice=voice, response_format="pcm")).raise_for_status().content


@pytest.mark.parametrize(("speed", "longer"), [(0.5, 2.0), (2.0, 0.5), (4.0, 0.25)])
def test_speed_changes_the_length(http: httpx.Client, speed: float, longer: float) -> None:
    plain, other = (
        len(http.post(SPEECH, json=asked(speed=one, response_format="pcm")).content) for one in (1.0, speed)
    )
    assert other / plain == pytest.approx(longer, rel=0.25)


@pytest.mark.parametrize(
    "text", ["hello \x00\x07\u200b world 😀", "hello " * 3 + "😀" * 20, "\ufeffhello\r\n\r\nworld"]
)
def test_odd_characters_are_passed_over(http: httpx.Client, text: str) -> None:
    body = asked(input=text, speed=4.0, response_format="pcm")
    assert http.post(SPEECH, json=body).raise_for_status().content


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": " \n\t"}, "input"),
        ({"input": "😀 …"}, "input"),
        ({"input": "a" * 4097}, "input"),
        ({"input": "日本語です。"}, "input"),
        ({"input": 7}, "input"),
        ({"model": None}, "model"),
        ({"model": ECHO}, "model"),
        ({"voice": "bob"}, "voice"),
        ({"voice": ""}, "voice"),
        ({"voice": {"id": "voice_1234"}}, "voice"),
        ({"voice": {"name": "af_heart"}}, "voice.id"),
        ({"voice": "jf_alpha"}, "voice"),
        ({"instructions": "Speak like a pirate."}, "instructions"),
        ({"response_format": "ogg"}, "response_format"),
        ({"speed": 0.2}, "speed"),
        ({"speed": 4.1}, "speed"),
        ({"stream_format": "raw"}, "stream_format"),
        ({"language": "de"}, "language"),
        ({"spead": 1}, "spead"),
    ],
)
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_what_cannot_be_is_refused_by_name(
    http: httpx.Client, fields: dict[str, Any], param: str, stream_format: str
) -> None:
    answer = http.post(SPEECH, json=asked(**{"stream_format": stream_format, **fields}))
    assert error_of(answer, 400)["param"] == param


def test_an_unknown_voice_is_told_those_that_there_are(http: httpx.Client) -> None:
    assert ", ".join(VOICES) in error_of(http.post(SPEECH, json=asked(voice="bob")), 400)["message"]


def test_half_a_character_is_refused(http: httpx.Client) -> None:
    raw = json.dumps(asked(input="hello \ud83d"))
    answer = http.post(SPEECH, content=raw, headers={"content-type": "application/json"})
    assert error_of(answer, 400)["code"] == "invalid_unicode"


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    assert error_of(http.post(SPEECH, json=asked(model="tts-1")), 404)["code"] == "model_not_found"


def test_empty_instructions_and_stream_ask_for_nothing(http: httpx.Client) -> None:
    assert http.post(SPEECH, json=asked(instructions="", stream=True)).is_success


# --- who leaves -----------------------------------------------------------------------------------------------


def test_a_client_that_leaves_frees_the_model(http: httpx.Client, speaking: RunningServer) -> None:
    cancelled = {"model": KOKORO, "ability": "speech", "outcome": "cancelled"}
    before = Scrape.of(speaking).value("fluid_requests_total", **cancelled)
    with http.stream("POST", SPEECH, json=asked(input=f"{TEXT} " * 60, response_format="pcm")) as answer:
        next(answer.iter_raw())
    until(lambda: Scrape.of(speaking).value("fluid_requests_total", **cancelled) == before + 1)
    assert http.post(SPEECH, json=asked()).is_success


def test_a_file_that_breaks_off_is_seen_to_be_incomplete(http: httpx.Client, speaking: RunningServer) -> None:
    with http.stream("POST", SPEECH, json=asked(input=f"{TEXT} " * 60, response_format="wav")) as answer:
        parts = answer.iter_raw()
        next(parts)
        psutil.Process(speaking.health()["models"][KOKORO]["pid"]).kill()
        with pytest.raises(httpx.RemoteProtocolError):
            list(parts)
    assert answer.status_code == 200
    until(lambda: any("speech broke off" in line for line in list(speaking.log)))
    assert http.post(SPEECH, json=asked()).is_success


def test_seconds_of_speech_are_counted(http: httpx.Client, speaking: RunningServer) -> None:
    before = Scrape.of(speaking).value("fluid_spoken_seconds_total", model=SPEECHT5)
    answer = http.post(SPEECH, json=asked(model=SPEECHT5, voice="guest", input="Hi", stream_format="sse"))
    seconds = events_of(answer.text)[-1]["usage"]["seconds"]
    after = Scrape.of(speaking).value("fluid_spoken_seconds_total", model=SPEECHT5)
    assert after - before == pytest.approx(seconds, abs=0.001)


# --- which voices there are -----------------------------------------------------------------------------------


def test_voices_are_listed_with_their_model_and_language(http: httpx.Client) -> None:
    body = http.get("/v1/audio/voices").raise_for_status().json()
    found = {(voice["model"], voice["id"]): voice for voice in body["data"]}
    assert [name for model, name in found if model == KOKORO] == list(VOICES)
    assert [name for model, name in found if model == SPEECHT5] == ["default", *GUESTS]
    assert found[KOKORO, "ff_siwis"]["language"] == "fr-fr"
    assert found[SPEECHT5, "guest"]["language"] is None


def test_voices_are_in_the_forms_that_clients_read(http: httpx.Client) -> None:
    body = http.get("/v1/audio/voices").json()
    assert body["object"] == "list"
    assert body["voices"] == body["data"]
    assert {voice["id"] for voice in body["voices"]} == {voice["name"] for voice in body["voices"]}
    assert {voice["object"] for voice in body["data"]} == {"audio.voice"}


def test_a_voice_cannot_be_made(http: httpx.Client) -> None:
    error_of(http.post("/v1/audio/voices", data={"name": "me"}), 405)


def test_where_nothing_speaks_there_are_no_voices(server: RunningServer) -> None:
    body = httpx.get(f"{server.base_url}/audio/voices").raise_for_status().json()
    assert (body["data"], body["voices"]) == ([], [])
