"""The QNN runtime on the demo model's portable graphs, with speech that espeak-ng spoke."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fluid_server.errors import EngineFailed, FluidError, UnsupportedField
from fluid_server.runtimes.hearing_plan import Ask, Recognised
from fluid_server.runtimes.qnn_whisper import QNNWhisperRuntime
from fluid_server.types import (
    ChoiceEnd,
    Done,
    Event,
    LanguageHeard,
    RuntimeOptions,
    Segment,
    TextPiece,
    TranscribeRequest,
)
from tests.decoded import decode
from tests.runtimes.engines import SPECS, Numbers
from tests.runtimes.speech import AUDIO, silence, spoken

SPEC = SPECS["fluid-tiny-whisper-qnn"]


@pytest.fixture(scope="module")
def runtime() -> Iterator[QNNWhisperRuntime]:
    pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    made = QNNWhisperRuntime()
    made.load(SPEC, RuntimeOptions(), lambda text, done: None)
    yield made
    made.close()


def transcribe(runtime: QNNWhisperRuntime, request: TranscribeRequest) -> list[Event | FluidError]:
    runtime.add(Numbers.next(), request)
    events: list[Event | FluidError] = []
    while runtime.busy:
        events += [event for _, event in runtime.step()]
    return events


def recognised(runtime: QNNWhisperRuntime, name: str, ask: Ask) -> Recognised:
    samples = decode(spoken(name), max_seconds=30).samples
    return runtime.recognise(samples, ask, lambda text, avg_logprob=None: None, lambda: False)


@pytest.mark.parametrize("file", sorted(AUDIO), ids=lambda file: Path(file).stem)
def test_what_was_said_is_written_down_in_the_language_that_is_heard(runtime: QNNWhisperRuntime, file: str) -> None:
    events = transcribe(runtime, TranscribeRequest(audio=spoken(file)))
    (segment,) = (event for event in events if isinstance(event, Segment))
    assert segment.text.strip() == AUDIO[file]
    assert segment.start == pytest.approx(0.5, abs=0.1)
    language = "fr" if file == "bonjour.wav" else "en"
    assert [event for event in events if isinstance(event, LanguageHeard)] == [LanguageHeard(language)]
    assert "".join(event.text for event in events if isinstance(event, TextPiece)).strip() == AUDIO[file]
    assert isinstance(events[-2], ChoiceEnd)
    assert isinstance(events[-1], Done)


def test_french_is_translated_into_english(runtime: QNNWhisperRuntime) -> None:
    assert recognised(runtime, "bonjour.wav", Ask(task="translate")).text == " Hello world."


def test_silence_is_no_text(runtime: QNNWhisperRuntime) -> None:
    events = transcribe(runtime, TranscribeRequest(audio=silence(2.5)))
    assert not [event for event in events if isinstance(event, TextPiece | Segment)]
    assert isinstance(events[-1], Done)


def test_both_runtimes_write_the_same(runtime: QNNWhisperRuntime) -> None:
    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    from fluid_server.runtimes.openvino_whisper import OpenVINOWhisperRuntime

    other = OpenVINOWhisperRuntime()
    other.open(SPECS["fluid-tiny-whisper-ov"], RuntimeOptions(), lambda text, done: None)
    for name in AUDIO:
        for task in ("transcribe", "translate") if name == "bonjour.wav" else ("transcribe",):
            ask = Ask(task=task)
            samples = decode(spoken(name), max_seconds=30).samples
            theirs = other.recognise(samples, ask, lambda text, avg_logprob=None: None, lambda: False)
            ours = recognised(runtime, name, ask)
            assert (ours.text, ours.language) == (theirs.text, theirs.language)
            for mine, its in zip(ours.segments, theirs.segments, strict=True):
                assert (mine.start, mine.end) == pytest.approx((its.start, its.end), abs=0.041)


def test_log_probabilities_are_those_of_the_text_s_tokens(runtime: QNNWhisperRuntime) -> None:
    found = recognised(runtime, "bonjour.wav", Ask(logprobs=True))
    assert b"".join(one.data for one in found.logprobs).decode() == found.text
    assert all(-1 < one.logprob <= 0 for one in found.logprobs)
    assert recognised(runtime, "bonjour.wav", Ask()).logprobs == ()


def test_a_segment_has_statistics_that_the_engine_computed(runtime: QNNWhisperRuntime) -> None:
    (segment,) = recognised(runtime, "hello.wav", Ask()).segments
    assert segment.avg_logprob is not None and -1.5 < segment.avg_logprob < 0
    assert segment.no_speech_prob is not None and segment.no_speech_prob < 0.01
    assert len(segment.tokens) == 5


def test_what_came_before_and_keywords_are_put_into_the_prompt(runtime: QNNWhisperRuntime) -> None:
    plain = recognised(runtime, "hello.wav", Ask(language="en"))
    led = recognised(runtime, "hello.wav", Ask(language="en", prompt="Good night.", keywords=("Paris", "Rome")))
    assert plain.prompt_tokens == 3
    assert led.prompt_tokens >= 3 + 1 + 6


def test_a_warm_answer_depends_on_its_seed_alone(runtime: QNNWhisperRuntime) -> None:
    def draw(seed: int) -> str:
        return recognised(runtime, "kitchen-light.wav", Ask(language="en", temperature=2.0, seed=seed)).text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(4)}) > 1


def test_who_has_gone_is_written_for_no_further(runtime: QNNWhisperRuntime) -> None:
    said: list[str] = []
    samples = decode(spoken("timer.wav"), max_seconds=30).samples
    found = runtime.recognise(
        samples, Ask(language="en"), lambda text, avg_logprob=None: said.append(text), lambda: bool(said)
    )
    assert len(said) == 1
    assert found.tokens == 2


def test_words_have_no_times_here(runtime: QNNWhisperRuntime) -> None:
    with pytest.raises(UnsupportedField) as caught:
        runtime.add(1, TranscribeRequest(audio=b"", words=True))
    assert caught.value.param == "timestamp_granularities"


@pytest.mark.parametrize(
    ("gone", "reason"),
    [("tokenizer.json", "tokenizer.json is missing"), ("cpu/decoder/model.onnx", "decoder did not load on the CPU")],
)
def test_what_is_missing_is_named(tmp_path: Path, gone: str, reason: str) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    folder = shutil.copytree(SPEC.path, tmp_path / "model")
    (folder / gone).unlink()
    files = tuple(folder / file.relative_to(SPEC.path) for file in SPEC.files)
    with pytest.raises(EngineFailed, match=reason) as caught:
        QNNWhisperRuntime().open(replace(SPEC, path=folder, files=files), RuntimeOptions(), lambda text, done: None)
    assert str(tmp_path) not in caught.value.message


def test_another_model_s_tokenizer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    small = Path(__file__).resolve().parents[1] / "fixtures" / "qnn/float"
    folder = shutil.copytree(small, tmp_path / "model")
    shutil.copyfile(SPEC.path / "tokenizer.json", folder / "tokenizer.json")
    files = (folder / "cpu/encoder/model.onnx", folder / "cpu/decoder/model.onnx")
    with pytest.raises(EngineFailed, match=r"for 2131 tokens and the decoder writes 300"):
        QNNWhisperRuntime().open(replace(SPEC, path=folder, files=files), RuntimeOptions(), lambda text, done: None)
