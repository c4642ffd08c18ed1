"""The Whisper runtime on the demo model, with speech that espeak-ng spoke."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fluid_server.errors import FluidError, InvalidRequest, UnreadableAudio, UnsupportedField
from fluid_server.runtimes.openvino_whisper import OpenVINOWhisperRuntime, hears
from fluid_server.types import (
    Cancelled,
    Done,
    Event,
    GenerateRequest,
    LanguageHeard,
    RuntimeOptions,
    Segment,
    TextPiece,
    TranscribeRequest,
)
from tests.runtimes.engines import SPECS, Numbers
from tests.runtimes.hearing import of_kind, text_of, transcribed
from tests.runtimes.speech import AUDIO, RATE, silence, spoken, talk, wav

# file → what is said in it, and what that is in English
FRENCH = {
    "bonjour.wav": ("Bonjour le monde.", "Hello world."),
    "ou-est-le-chat.flac": ("Où est le chat?", "Where is the cat?"),
}


@pytest.fixture(scope="module")
def runtime() -> Iterator[OpenVINOWhisperRuntime]:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    made = OpenVINOWhisperRuntime()
    made.load(SPECS["fluid-tiny-whisper-ov"], RuntimeOptions(), lambda text, done: None)
    yield made
    made.close()


def transcribe(runtime: OpenVINOWhisperRuntime, request: TranscribeRequest) -> list[Event | FluidError]:
    (events,) = transcribed(runtime, request)
    return events


def with_pauses(*files: str, pause: float = 1.5) -> TranscribeRequest:
    """These sentences, with more silence between them."""
    return TranscribeRequest(audio=wav(talk(*(part for file in files for part in (file, pause)))))


@pytest.mark.parametrize("file", sorted(AUDIO), ids=lambda file: Path(file).stem)
def test_what_was_said_is_written_down(runtime: OpenVINOWhisperRuntime, file: str) -> None:
    assert text_of(transcribe(runtime, TranscribeRequest(audio=spoken(file)))) == AUDIO[file]


def test_the_usage_tells_the_length_of_the_audio(runtime: OpenVINOWhisperRuntime) -> None:
    events = transcribe(runtime, TranscribeRequest(audio=silence(2.5)))
    assert isinstance(events[-1], Done)
    assert events[-1].usage.audio_seconds == pytest.approx(2.5, abs=0.01)


def test_each_of_many_sentences_is_found_once_in_order_where_it_begins(runtime: OpenVINOWhisperRuntime) -> None:
    english = [file for file in sorted(AUDIO) if AUDIO[file].isascii() and file != "bonjour.wav"]
    order = [english[number % 4] for number in (0, 1, 2, 3, 3, 1, 2, 0)]
    minutes = 150.0  # seconds of nothing at all, in the middle of it
    parts = [part for file in order for part in (file, 1.5)]
    parts.insert(8, minutes)
    segments = of_kind(transcribe(runtime, TranscribeRequest(audio=wav(talk(*parts)))), Segment)
    assert [segment.text.strip() for segment in segments] == [AUDIO[file] for file in order]
    lengths = [len(talk(part)) / RATE for part in parts]
    begins = [sum(lengths[:at]) + 0.5 for at, part in enumerate(parts) if isinstance(part, str)]
    assert [segment.start for segment in segments] == pytest.approx(begins, abs=0.3)


def test_text_is_told_while_it_is_recognised(runtime: OpenVINOWhisperRuntime) -> None:
    events = transcribe(runtime, with_pauses("timer.wav"))
    assert len(of_kind(events, TextPiece)) > 1


@pytest.mark.parametrize("file", ["bonjour.wav", "ou-est-le-chat.flac"])
def test_french_is_known_for_what_it_is(runtime: OpenVINOWhisperRuntime, file: str) -> None:
    events = transcribe(runtime, TranscribeRequest(audio=spoken(file)))
    assert of_kind(events, LanguageHeard) == [LanguageHeard("fr")]
    assert text_of(events) == FRENCH[file][0]


@pytest.mark.parametrize("language", [None, "fr"], ids=["detected", "told"])
@pytest.mark.parametrize("file", ["bonjour.wav", "ou-est-le-chat.flac"])
def test_french_is_translated(runtime: OpenVINOWhisperRuntime, file: str, language: str | None) -> None:
    request = TranscribeRequest(audio=spoken(file), task="translate", language=language)
    assert text_of(transcribe(runtime, request)) == FRENCH[file][1]


def test_the_language_of_the_first_sentence_is_that_of_all(runtime: OpenVINOWhisperRuntime) -> None:
    events = transcribe(runtime, with_pauses("bonjour.wav", "hello.wav"))
    assert of_kind(events, LanguageHeard) == [LanguageHeard("fr")]
    assert len(of_kind(events, Segment)) == 2


def test_words_have_times_within_their_segment_and_are_its_text(runtime: OpenVINOWhisperRuntime) -> None:
    asked = replace(with_pauses("timer.wav", "kitchen-light.wav"), words=True)
    segments = of_kind(transcribe(runtime, asked), Segment)
    assert len(segments) == 2
    for segment in segments:
        assert "".join(word.text for word in segment.words) == segment.text
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert segment.start <= times[0] < times[-1] <= segment.end


def test_words_are_left_out_where_nobody_asked_for_them(runtime: OpenVINOWhisperRuntime) -> None:
    (segment,) = of_kind(transcribe(runtime, with_pauses("timer.wav")), Segment)
    assert segment.words == ()


def test_a_model_without_alignment_heads_says_why_its_words_have_no_times(tmp_path: Path) -> None:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    spec = SPECS["fluid-tiny-whisper-ov"]
    folder = tmp_path / "model"
    shutil.copytree(spec.path, folder)
    settings = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    del settings["alignment_heads"]
    (folder / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")
    made = OpenVINOWhisperRuntime()
    info = made.load(replace(spec, path=folder), RuntimeOptions(), lambda text, done: None)
    with pytest.raises(UnsupportedField) as caught:
        made.add(1, TranscribeRequest(audio=b"", words=True))
    made.close()
    assert caught.value.param == "timestamp_granularities"
    assert "alignment_heads" in info.notes[0]


def test_log_probabilities_are_refused_by_name(runtime: OpenVINOWhisperRuntime) -> None:
    with pytest.raises(UnsupportedField) as caught:
        runtime.add(1, TranscribeRequest(audio=b"", logprobs=True))
    assert caught.value.param == "include"


def test_an_english_model_neither_translates_nor_knows_another_language() -> None:
    known = hears(SimpleNamespace(is_multilingual=False, lang_to_id={}), "CPU", words=True)
    known.check(TranscribeRequest(audio=b"", language="en", prompt="Hello", keywords=("Bob",), words=True))
    with pytest.raises(UnsupportedField, match="translate"):
        known.check(TranscribeRequest(audio=b"", task="translate"))
    with pytest.raises(InvalidRequest, match=r"'fr'.*en"):
        known.check(TranscribeRequest(audio=b"", language="fr"))


def test_an_npu_takes_no_prompt() -> None:
    known = hears(SimpleNamespace(is_multilingual=True, lang_to_id={"<|en|>": 1}), "NPU", words=False)
    with pytest.raises(UnsupportedField, match="prompt"):
        known.check(TranscribeRequest(audio=b"", prompt="Hello"))


def test_four_files_at_once_are_told_apart(runtime: OpenVINOWhisperRuntime) -> None:
    files = sorted(AUDIO)[:4]
    answers = transcribed(runtime, *(TranscribeRequest(audio=spoken(file)) for file in files))
    assert [text_of(events) for events in answers] == [AUDIO[file] for file in files]


def test_a_language_that_the_model_does_not_have_is_refused_by_name(runtime: OpenVINOWhisperRuntime) -> None:
    with pytest.raises(InvalidRequest, match=r"'de'.*en, fr") as caught:
        runtime.add(1, TranscribeRequest(audio=b"", language="de"))
    assert caught.value.param == "language"


def test_it_refuses_to_chat(runtime: OpenVINOWhisperRuntime) -> None:
    with pytest.raises(InvalidRequest):
        runtime.add(1, GenerateRequest(text="hello"))


@pytest.mark.parametrize("audio", [b"", b"no sound at all" * 100, wav(np.zeros(40, np.float32))])
def test_what_is_no_speech_fails_that_request_and_no_other(runtime: OpenVINOWhisperRuntime, audio: bytes) -> None:
    (failure,) = transcribe(runtime, TranscribeRequest(audio=audio))
    assert isinstance(failure, UnreadableAudio)
    assert isinstance(transcribe(runtime, TranscribeRequest(audio=silence(1.0)))[-1], Done)


def test_cancelling_ends_it_and_the_next_file_is_transcribed(runtime: OpenVINOWhisperRuntime) -> None:
    number = Numbers.next()
    runtime.add(number, TranscribeRequest(audio=silence(600)))
    runtime.step()
    assert runtime.cancel(number) == [(number, Cancelled())]
    assert not runtime.busy
    file = sorted(AUDIO)[0]
    assert text_of(transcribe(runtime, TranscribeRequest(audio=spoken(file)))) == AUDIO[file]


def test_the_same_temperature_draws_the_same_words(runtime: OpenVINOWhisperRuntime) -> None:
    request = TranscribeRequest(audio=spoken("timer.wav"), temperature=1.0)
    first, second = (of_kind(transcribe(runtime, request), Segment) for _ in range(2))
    assert first == second
    assert {segment.temperature for segment in first} == {1.0}


def test_a_file_that_is_gone_fails_its_request_and_no_other(runtime: OpenVINOWhisperRuntime, tmp_path: Path) -> None:
    (failure,) = transcribe(runtime, TranscribeRequest(audio=tmp_path / "gone"))
    assert isinstance(failure, FluidError)
    assert isinstance(transcribe(runtime, TranscribeRequest(audio=silence(1.0)))[-1], Done)


def test_a_prompt_and_keywords_of_any_length_are_taken(runtime: OpenVINOWhisperRuntime) -> None:
    asked = replace(with_pauses("timer.wav"), prompt="turn on the light " * 200, keywords=("timer",) * 300)
    assert isinstance(transcribe(runtime, asked)[-1], Done)


def test_a_prompt_reaches_the_model(runtime: OpenVINOWhisperRuntime) -> None:
    """The demo model was never shown one, and is thrown off by it."""
    plain = with_pauses("timer.wav")
    answers = transcribed(runtime, plain, replace(plain, prompt="Hello."), replace(plain, keywords=("Hello",)))
    assert text_of(answers[0]) == AUDIO["timer.wav"]
    assert text_of(answers[1]) != AUDIO["timer.wav"]
    assert text_of(answers[2]) != AUDIO["timer.wav"]
