"""The speech runtime on models that speak noise: pieces, voices, pace, failures of the engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fluid_server.catalog.scan import scan
from fluid_server.content.sentences import Pause
from fluid_server.errors import EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.openvino_speech import PAUSES, OpenVINOSpeechRuntime
from fluid_server.types import (
    Done,
    Event,
    GenerateRequest,
    ModelSpec,
    RuntimeOptions,
    SoundPiece,
    SpeakRequest,
)
from tests.speaking import KOKORO, RATE, SPEECHT5, heard, pcm, speech_models

pytestmark = pytest.mark.skipif(find_spec("openvino_genai") is None, reason="openvino-genai has no wheel here")

# Speaks in a process in which no library called espeak-ng can be opened.
WITHOUT_ESPEAK = """
import sys
from pathlib import Path
from fluid_server.catalog.scan import scan
from fluid_server.errors import FluidError
from fluid_server.runtimes.openvino_speech import OpenVINOSpeechRuntime
from fluid_server.types import RuntimeOptions, SpeakRequest

spec = next(spec for spec in scan(Path(sys.argv[1])) if spec.id == "kokoro")
runtime = OpenVINOSpeechRuntime()
info = runtime.load(spec, RuntimeOptions(threads=1), lambda text, done: None)
print("NOTES", *info.notes)
runtime.add(1, SpeakRequest(text="hello zyzzyva", format="pcm"))
while runtime.busy:
    print("STEP", *(type(event).__name__ for _, event in runtime.step()))
try:
    runtime.add(2, SpeakRequest(text="bonjour", voice="ff_siwis"))
except FluidError as error:
    print("REFUSED", error.param, error.message)
"""


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSpec]:
    return {spec.id: spec for spec in scan(speech_models(tmp_path_factory.mktemp("models")))}


def loaded(spec: ModelSpec) -> OpenVINOSpeechRuntime:
    runtime = OpenVINOSpeechRuntime()
    runtime.load(spec, RuntimeOptions(threads=1), lambda text, done: None)
    return runtime


@pytest.fixture(scope="module")
def kokoro(specs: dict[str, ModelSpec]) -> Iterator[OpenVINOSpeechRuntime]:
    yield loaded(specs[KOKORO])


@pytest.fixture(scope="module")
def speecht5(specs: dict[str, ModelSpec]) -> Iterator[OpenVINOSpeechRuntime]:
    yield loaded(specs[SPEECHT5])


def spoken(runtime: OpenVINOSpeechRuntime, text: str, **fields: Any) -> list[Event | FluidError]:
    settings: dict[str, Any] = {"format": "pcm", **fields}
    runtime.add(1, SpeakRequest(text=text, **settings))
    events: list[Event | FluidError] = []
    while runtime.busy:
        events += [event for _, event in runtime.step()]
    return events


def sound(events: list[Event | FluidError]) -> bytes:
    assert isinstance(events[-1], Done), events[-1]
    return b"".join(event.data for event in events if isinstance(event, SoundPiece))


def test_a_text_is_spoken_sentence_by_sentence_with_silence_between(kokoro: OpenVINOSpeechRuntime) -> None:
    events = spoken(kokoro, "Hello world. This is a test.")
    first, second, _, done = events
    assert isinstance(first, SoundPiece)
    assert isinstance(second, SoundPiece)
    assert isinstance(done, Done)
    pause = pcm(second.data)[: round(PAUSES[Pause.SENTENCE] * RATE)]
    assert not pause.any()
    assert pcm(first.data)[:3].max() < 0.05
    assert pcm(first.data)[-3:].max() < 0.05
    assert done.usage.characters == 28
    assert done.usage.spoken_seconds == pytest.approx(len(sound(events)) / 2 / RATE)
    assert first.seconds + second.seconds == pytest.approx(done.usage.spoken_seconds)


@pytest.mark.parametrize("name", [KOKORO, SPEECHT5])
@pytest.mark.parametrize(("speed", "longer"), [(2.0, 0.5), (0.5, 2.0)])
def test_a_pace_makes_it_longer_or_shorter(
    request: pytest.FixtureRequest, name: str, speed: float, longer: float
) -> None:
    runtime = request.getfixturevalue(name)
    plain, other = (len(sound(spoken(runtime, "a", speed=one))) for one in (1.0, speed))
    assert other / plain == pytest.approx(longer, rel=0.2)


def test_voices_sound_different(speecht5: OpenVINOSpeechRuntime) -> None:
    own, again, guest = (sound(spoken(speecht5, "Hi", voice=voice)) for voice in ("default", "alloy", "guest"))
    assert own == again
    assert own != guest


def test_a_rate_of_the_model_s_own_becomes_24_khz(speecht5: OpenVINOSpeechRuntime) -> None:
    samples, rate, _ = heard(sound(spoken(speecht5, "Hi", format="flac")))
    assert rate == RATE
    assert len(samples) == 20_480 * RATE // 16_000


@pytest.mark.parametrize(
    ("name", "fields", "param"),
    [
        (KOKORO, {"voice": "bob"}, "voice"),
        (KOKORO, {"voice": "jf_alpha"}, "voice"),
        (KOKORO, {"language": "de"}, "language"),
        (SPEECHT5, {"voice": "af_heart"}, "voice"),
        (SPEECHT5, {"language": "fr"}, "language"),
    ],
)
def test_what_a_model_does_not_have_is_refused_at_the_door(
    request: pytest.FixtureRequest, name: str, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        request.getfixturevalue(name).add(1, SpeakRequest(text="Hi", **fields))
    assert refused.value.param == param


def test_a_damaged_voice_is_named(speecht5: OpenVINOSpeechRuntime) -> None:
    (failure,) = spoken(speecht5, "Hi", voice="torn")
    assert isinstance(failure, EngineFailed)
    assert "'torn'" in failure.message


def test_it_only_speaks(kokoro: OpenVINOSpeechRuntime) -> None:
    with pytest.raises(InvalidRequest, match="speaks"):
        kokoro.add(1, GenerateRequest(text="Hi"))


def test_a_text_that_the_voice_has_no_sound_for_is_refused(kokoro: OpenVINOSpeechRuntime) -> None:
    (failure,) = spoken(kokoro, "日本語です。", format="mp3")
    assert isinstance(failure, InvalidRequest)
    assert failure.param == "input"


def test_a_client_that_leaves_is_noticed_before_the_next_sentence(kokoro: OpenVINOSpeechRuntime) -> None:
    kokoro.add(7, SpeakRequest(text="Hello. World. A test.", format="opus"))
    assert len(kokoro.step()) == 1
    assert [type(event).__name__ for _, event in kokoro.cancel(7)] == ["Cancelled"]
    assert not kokoro.busy
    assert sound(spoken(kokoro, "Hello"))


def test_sound_that_the_engine_made_of_another_text_is_never_passed_on(
    kokoro: OpenVINOSpeechRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread the engine answers with its last result where it fails, which it does with long texts."""
    pipeline, kept = kokoro._speaker.pipeline, []

    class Stale:
        def generate(self, text: str, *rest: Any, **fields: Any) -> Any:
            if len(text) <= 20:
                kept.append(pipeline.generate(text, *rest, **fields))
            return kept[-1]

    monkeypatch.setattr(kokoro._speaker, "pipeline", Stale())
    spoken(kokoro, "hello")
    samples = len(sound(spoken(kokoro, "hello world this is a test hello world"))) // 2
    assert [np.size(result.speeches[0].data) for result in kept[1:]] == [pytest.approx(samples / 2, rel=0.4)] * 2


class Broken:
    def generate(self, *_: Any) -> Any:
        raise RuntimeError("Eltwise shape infer input shapes dim index: 1 mismatch")


def test_an_engine_that_failed_does_not_spoil_what_follows(
    speecht5: OpenVINOSpeechRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SpeechT5's decoder keeps its state where it failed, and would fail on everything after it."""
    before = len(sound(spoken(speecht5, "Hi")))
    monkeypatch.setattr(speecht5._speaker, "pipeline", Broken())
    (failure,) = spoken(speecht5, "Hi")
    assert isinstance(failure, EngineFailed)
    assert "could not speak this" in failure.message
    assert len(sound(spoken(speecht5, "Hi"))) == before


def test_a_long_text_without_a_space_is_no_trouble(kokoro: OpenVINOSpeechRuntime) -> None:
    """Without espeak-ng it is a word that nobody knows."""
    *_, end = spoken(kokoro, "z" * 130, speed=4.0)
    assert isinstance(end, Done | InvalidRequest)


@pytest.mark.skipif(sys.platform != "linux", reason="it hides a library by the way that Linux finds it")
def test_without_espeak_english_is_spoken_and_the_rest_says_what_to_install(
    specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    for name in ("libespeak-ng.so", "libespeak-ng.so.1"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ESPEAK, str(specs[KOKORO].path.parent)],
        env={"LD_LIBRARY_PATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.split(" ")[0] in ("NOTES", "STEP", "REFUSED")]
    assert told[0].startswith("NOTES espeak-ng is not installed: words that are not in the model's dictionary")
    assert told[1:4] == ["STEP SoundPiece", "STEP SoundPiece", "STEP Done"]
    assert told[4].startswith("REFUSED voice Speaking 'fr-fr' needs espeak-ng")
    assert "MISAKI_ESPEAK_LIBRARY" in told[4]
