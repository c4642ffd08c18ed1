"""The Whisper runtime on the demo model, with speech that espeak-ng spoke."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fluid_server.errors import FluidError, InvalidRequest, UnreadableAudio
from fluid_server.runtimes.openvino_whisper import OpenVINOWhisperRuntime
from fluid_server.types import (
    Cancelled,
    Done,
    Event,
    GenerateRequest,
    RuntimeOptions,
    TextPiece,
    TranscribeRequest,
)
from tests.runtimes.engines import SPECS, Numbers
from tests.runtimes.speech import AUDIO, silence, spoken, wav


@pytest.fixture(scope="module")
def runtime() -> Iterator[OpenVINOWhisperRuntime]:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    made = OpenVINOWhisperRuntime()
    made.load(SPECS["fluid-tiny-whisper-ov"], RuntimeOptions(), lambda text, done: None)
    yield made
    made.close()


def transcribe(runtime: OpenVINOWhisperRuntime, request: TranscribeRequest) -> list[Event | FluidError]:
    runtime.add(Numbers.next(), request)
    events: list[Event | FluidError] = []
    while runtime.busy:
        events += [event for _, event in runtime.step()]
    return events


def text_of(events: list[Event | FluidError]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextPiece)).strip()


@pytest.mark.parametrize("file", sorted(AUDIO), ids=lambda file: Path(file).stem)
def test_what_was_said_is_written_down(runtime: OpenVINOWhisperRuntime, file: str) -> None:
    assert text_of(transcribe(runtime, TranscribeRequest(audio=spoken(file)))) == AUDIO[file]


def test_the_usage_tells_the_length_of_the_audio(runtime: OpenVINOWhisperRuntime) -> None:
    events = transcribe(runtime, TranscribeRequest(audio=silence(2.5)))
    assert isinstance(events[-1], Done)
    assert events[-1].usage.audio_seconds == pytest.approx(2.5, abs=0.01)


def test_more_than_one_window_is_transcribed_to_its_end(runtime: OpenVINOWhisperRuntime) -> None:
    from fluid_server.content.sound import decode

    file = next(name for name in sorted(AUDIO) if AUDIO[name].isascii())
    samples = decode(spoken(file), max_seconds=60).samples
    gap = np.zeros(33 * 16000 - len(samples), np.float32)
    events = transcribe(runtime, TranscribeRequest(audio=wav(np.concatenate([samples, gap, samples]))))
    assert text_of(events).count(AUDIO[file]) == 2


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
    request = TranscribeRequest(audio=spoken(sorted(AUDIO)[0]), temperature=0.8)
    assert text_of(transcribe(runtime, request)) == text_of(transcribe(runtime, request))


def test_a_file_that_is_gone_fails_its_request_and_no_other(runtime: OpenVINOWhisperRuntime, tmp_path: Path) -> None:
    (failure,) = transcribe(runtime, TranscribeRequest(audio=tmp_path / "gone"))
    assert isinstance(failure, FluidError)
    assert isinstance(transcribe(runtime, TranscribeRequest(audio=silence(1.0)))[-1], Done)


def test_a_prompt_of_any_length_is_taken(runtime: OpenVINOWhisperRuntime) -> None:
    events = transcribe(runtime, TranscribeRequest(audio=silence(1.0), prompt="turn on the light " * 200))
    assert isinstance(events[-1], Done)
