"""Speech in every format that OpenAI's clients know, streamed too, and translated. The demo model, the real client."""

from __future__ import annotations

import io
import json
import re
import socket
import wave
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent, TranscriptionVerbose

from tests.front_door import AUDIO, OPENVINO, PATIENCE, WHISPER, RunningServer, error_of, until
from tests.published import conforms

LIGHT, LIGHT_TEXT = "kitchen-light", "Turn on the kitchen light."
FRENCH, ENGLISH_TEXT = "bonjour", "Hello world."
EVERY = 4.5  # seconds, of which 2.7 are the sentence
TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
CUE = re.compile(r"00:00:0(\d[.,]\d{3}) --> 00:00:0(\d[.,]\d{3})")


def posted(http: httpx.Client, path: str = TRANSCRIPTIONS, name: str = LIGHT, **fields: Any) -> httpx.Response:
    """A form as no SDK would send it."""
    sound = (AUDIO / f"{name}.wav").read_bytes()
    return http.post(path, data={"model": WHISPER, **fields}, files={"file": ("speech.wav", sound)})


def heard(client: openai.OpenAI, file: Any = AUDIO / f"{LIGHT}.wav", **fields: Any) -> Any:
    return client.audio.transcriptions.create(model=WHISPER, file=file, **fields)


@cache
def long_recording(sentences: int) -> bytes:
    """One sentence over and over, each in EVERY seconds: the rest of them is silence."""
    target = io.BytesIO()
    with wave.open(str(AUDIO / f"{LIGHT}.wav")) as source, wave.open(target, "wb") as sink:
        sink.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        silence = bytes(round(EVERY * source.getframerate()) * source.getsampwidth() - len(frames))
        sink.writeframes((frames + silence) * sentences)
    return target.getvalue()


# --- formats -------------------------------------------------------------------------------------------------


def test_verbose_json_says_where_in_the_recording_it_was_said(client: openai.OpenAI) -> None:
    answer = heard(client, response_format="verbose_json")
    assert isinstance(answer, TranscriptionVerbose)
    assert answer.segments
    (segment,) = answer.segments
    assert (answer.language, answer.text, segment.text.strip()) == ("english", LIGHT_TEXT, LIGHT_TEXT)
    assert answer.duration == pytest.approx(2.679, abs=0.01)
    assert 0 <= segment.start < 1.0 < segment.end <= answer.duration


def test_the_language_that_was_heard_is_told(http: httpx.Client) -> None:
    assert posted(http, name=FRENCH, response_format="verbose_json").json()["language"] == "french"
    assert posted(http, name=FRENCH).json()["languages"] == [{"code": "fr"}]


@pytest.mark.parametrize(("form", "media"), [("srt", "application/x-subrip"), ("vtt", "text/vtt")])
@pytest.mark.parametrize(
    ("path", "name", "text"), [(TRANSCRIPTIONS, LIGHT, LIGHT_TEXT), (TRANSLATIONS, FRENCH, ENGLISH_TEXT)]
)
def test_subtitles(http: httpx.Client, path: str, name: str, text: str, form: str, media: str) -> None:
    answer = posted(http, path, name=name, response_format=form).raise_for_status()
    assert answer.headers["content-type"] == f"{media}; charset=utf-8"
    (cue,) = CUE.finditer(answer.text)
    start, end = (float(time.replace(",", ".")) for time in cue.groups())
    assert 0 <= start < 1.0 < end < 2.7
    assert answer.text.splitlines()[-1] == text
    assert answer.text.startswith({"srt": "1\n", "vtt": "WEBVTT\n\n"}[form])


@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
def test_the_official_client_reads_texts(client: openai.OpenAI, form: Any) -> None:
    assert LIGHT_TEXT in str(heard(client, response_format=form))


@pytest.mark.parametrize(
    "file",
    [
        (AUDIO / f"{LIGHT}.wav").read_bytes(),
        AUDIO / f"{LIGHT}.wav",
        ("a", (AUDIO / f"{LIGHT}.wav").read_bytes(), "audio/wav"),
    ],
    ids=["bytes", "path", "tuple"],
)
def test_the_official_client_sends_files_in_several_ways(client: openai.OpenAI, file: Any) -> None:
    assert heard(client, file).text == LIGHT_TEXT


def test_the_official_client_sends_objects_and_lists(client: openai.OpenAI) -> None:
    cut: Any = {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 800}
    answer = heard(
        client, chunking_strategy=cut, languages=["en"], response_format="verbose_json",
        timestamp_granularities=["segment"],
    )  # fmt: skip
    assert answer.text == LIGHT_TEXT
    with pytest.raises(openai.BadRequestError) as caught:
        heard(client, chunking_strategy={**cut, "threshold": 2})
    assert caught.value.param == "chunking_strategy.threshold"


def test_each_sentence_of_a_longer_recording_is_told_with_its_time(http: httpx.Client) -> None:
    form = {"model": WHISPER, "response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    answer = http.post(TRANSCRIPTIONS, data=form, files={"file": ("a.wav", long_recording(3))}).raise_for_status()
    body = answer.json()
    assert [one["text"].strip() for one in body["segments"]] == [LIGHT_TEXT] * 3
    assert [one["start"] for one in body["segments"]] == pytest.approx([0.6, 0.6 + EVERY, 0.6 + 2 * EVERY], abs=0.3)
    assert " ".join(one["word"] for one in body["words"]) == body["text"] == " ".join([LIGHT_TEXT] * 3)
    assert all(one["end"] <= other["start"] + 0.02 for one, other in pairwise(body["words"]))


def test_how_far_a_recording_has_been_heard_is_told_in_the_feed(http: httpx.Client) -> None:
    with http.stream("GET", "/v1/events", params={"types": "transcription"}) as feed:
        events = (json.loads(line.removeprefix("data: ")) for line in feed.iter_lines() if line.startswith("data: "))
        assert next(events)["type"] == "snapshot"
        files = {"file": ("a.wav", long_recording(3))}
        http.post(TRANSCRIPTIONS, data={"model": WHISPER}, files=files, headers={"X-Request-ID": "mine"})
        told = [next(events)]
        while told[-1]["seconds"] != told[-1]["total"]:
            told.append(next(events))
    assert {(one["type"], one["model"], one["request"]) for one in told} == {
        ("transcription.progress", WHISPER, "mine")
    }
    assert told[-1]["total"] == pytest.approx(3 * EVERY, abs=0.01)
    heard_up_to = [one["seconds"] for one in told]
    assert heard_up_to == sorted(heard_up_to)
    assert len(told) > 1


@pytest.mark.parametrize(("field", "value"), [("include[]", "logprobs")])
def test_what_the_engine_does_not_tell_is_refused_by_name(http: httpx.Client, field: str, value: str) -> None:
    error = error_of(posted(http, **{field: value}), 400)
    assert (error["param"], error["code"]) == (field.removesuffix("[]"), "unsupported_parameter")


def test_a_language_that_the_model_lacks_is_refused_under_the_name_that_was_sent(http: httpx.Client) -> None:
    assert error_of(posted(http, **{"languages[]": "de"}), 400)["param"] == "languages"


# --- translations --------------------------------------------------------------------------------------------


def test_french_is_translated_into_english(http: httpx.Client) -> None:
    body = posted(http, TRANSLATIONS, FRENCH).raise_for_status().json()
    assert body["text"] == ENGLISH_TEXT
    conforms(body, "CreateTranslationResponseJson")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt", "verbose_json"])
def test_the_official_client_translates(client: openai.OpenAI, form: Any) -> None:
    path = AUDIO / f"{FRENCH}.wav"
    translations: Any = client.audio.translations  # its types call it deprecated
    answer = translations.create(model=WHISPER, file=path, response_format=form)
    assert ENGLISH_TEXT in (answer if isinstance(answer, str) else answer.text)


def test_verbose_json_of_a_translation(http: httpx.Client) -> None:
    body = posted(http, TRANSLATIONS, FRENCH, response_format="verbose_json", language="French").json()
    assert (body["task"], body["language"], body["text"]) == ("translate", "english", ENGLISH_TEXT)
    assert [one["text"].strip() for one in body["segments"]] == [ENGLISH_TEXT]


@pytest.mark.parametrize("field", ["stream", "timestamp_granularities[]", "include[]", "keywords[]"])
def test_what_translations_do_not_have_is_refused_by_name(http: httpx.Client, field: str) -> None:
    error = error_of(posted(http, TRANSLATIONS, **{field: "word"}), 400)
    assert (error["param"], error["code"]) == (field.removesuffix("[]"), "unsupported_parameter")


# --- streams -------------------------------------------------------------------------------------------------


def test_a_stream_has_the_official_clients_events(client: openai.OpenAI) -> None:
    *deltas, done = heard(client, stream=True)
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert all(isinstance(one, TranscriptionTextDeltaEvent) for one in deltas)
    assert "".join(one.delta for one in deltas) == done.text == LIGHT_TEXT
    assert done.usage is not None
    assert done.usage.output_tokens > 0


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_stream_on_the_wire(http: httpx.Client, form: str) -> None:
    answer = posted(http, stream="true", response_format=form)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, last = answer.text.removesuffix("\n\n").split("\n\n")
    assert last == "data: [DONE]"
    for event in events:
        conforms(json.loads(event.removeprefix("data: ")), "CreateTranscriptionResponseStreamEvent")


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [({"model": OPENVINO}, 400, "model"), ({"model": "nope"}, 404, "model"), ({"language": "de"}, 400, "language")],
)
def test_a_failure_before_the_first_event_has_its_status(
    http: httpx.Client, fields: dict[str, str], status: int, param: str
) -> None:
    assert error_of(posted(http, stream="true", **fields), status)["param"] == param


def test_a_file_that_is_no_sound_has_its_status_in_a_stream_too(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        heard(client, b"hello, this is no sound", stream=True)
    assert (caught.value.param, caught.value.code) == ("file", "invalid_audio")


# --- who leaves, who waits, what is left ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the own server's uploads lie."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def own_server(temporary: Path) -> Iterator[RunningServer]:
    """A server whose uploads can be looked at, and whose heart beats fast."""
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    server = RunningServer.start("--no-warm-up", "--heartbeat", "0.05", folder=temporary, env=places)
    yield server
    server.stop()


def uploads_in(folder: Path) -> list[Path]:
    return list(folder.glob("fluid-server-*/*/upload"))


def counted(server: RunningServer, counter: str) -> int:
    counters = server.health()["models"].get(WHISPER, {}).get("counters") or {}
    return int(counters.get(counter, 0))


@contextmanager
def asking(server: RunningServer) -> Generator[Iterator[str], None, None]:
    """The lines of the stream about a recording that takes a while."""
    asked = long_question(server, "true")
    with httpx.Client(timeout=PATIENCE) as http, closing(http.send(asked, stream=True)) as answer:
        yield answer.iter_lines()


def long_question(server: RunningServer, stream: str) -> httpx.Request:
    """The request to write down a recording that takes a while."""
    form, files = {"model": WHISPER, "stream": stream}, {"file": ("long.wav", long_recording(100))}
    return httpx.Request("POST", f"{server.address}{TRANSCRIPTIONS}", data=form, files=files)


def test_who_leaves_a_stream_cancels_it_and_the_file_goes(own_server: RunningServer, temporary: Path) -> None:
    before = counted(own_server, "cancelled")
    with asking(own_server) as lines:
        assert next(lines).startswith(": ")
        assert any(re.match(r": transcribing, \d+:\d\d", line) for line in lines)
        assert uploads_in(temporary)
    until(lambda: counted(own_server, "cancelled") > before)
    until(lambda: not uploads_in(temporary))


def test_who_does_not_wait_for_the_answer_cancels_it_and_the_file_goes(
    own_server: RunningServer, temporary: Path
) -> None:
    httpx.post(f"{own_server.base_url}/models/{WHISPER}/load", timeout=PATIENCE).raise_for_status()
    before = counted(own_server, "cancelled")
    asked = long_question(own_server, "false")
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
    with socket.create_connection((asked.url.host, asked.url.port or 0)) as connection:
        connection.sendall(f"POST {TRANSCRIPTIONS} HTTP/1.1\r\n{head}\r\n".encode() + asked.read())
        until(lambda: counted(own_server, "running"))
    until(lambda: counted(own_server, "cancelled") > before)
    until(lambda: not uploads_in(temporary))


def test_who_leaves_in_the_middle_of_an_upload_leaves_nothing_behind(
    own_server: RunningServer, temporary: Path
) -> None:
    head = (
        f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )
    address = httpx.URL(own_server.address or "")
    with socket.create_connection((address.host, address.port or 0)) as connection:
        connection.sendall(head.encode() + bytes(3_000_000))
        until(lambda: uploads_in(temporary))
    until(lambda: not uploads_in(temporary))
    assert own_server.is_live()


def test_a_model_that_dies_ends_the_stream_with_an_error(own_server: RunningServer, temporary: Path) -> None:
    with asking(own_server) as lines:
        assert any(line.startswith("data: ") for line in lines)
        psutil.Process(own_server.health()["models"][WHISPER]["pid"]).kill()
        *_, last = (line.removeprefix("data: ") for line in lines if line.startswith("data: "))
    error = json.loads(last)["error"]
    assert (error["type"], error["code"]) == ("server_error", "worker_died")
    until(lambda: not uploads_in(temporary))


def test_an_answer_leaves_no_file_behind(own_server: RunningServer, temporary: Path) -> None:
    with httpx.Client(base_url=own_server.address or "", timeout=PATIENCE) as http:
        posted(http, response_format="srt").raise_for_status()
        assert "done" in posted(http, stream="true").text
        error_of(posted(http, response_format="xml"), 400)
    until(lambda: not uploads_in(temporary))


def test_two_uploads_at_once_are_both_heard(http: httpx.Client) -> None:
    def asked(name: str) -> str:
        return str(posted(http, name=name).raise_for_status().json()["text"])

    with ThreadPoolExecutor(2) as both:
        assert list(both.map(asked, (LIGHT, FRENCH))) == [LIGHT_TEXT, "Bonjour le monde."]
