"""The pipeline of all speech runtimes, with real sound and an engine that hears what it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fluid_server.errors import EngineFailed, FluidError, InvalidRequest, TooLarge, UnreadableAudio, UnsupportedField
from fluid_server.runtimes.hearing_plan import Hears
from fluid_server.types import (
    Cancelled,
    ChoiceEnd,
    Chunking,
    Done,
    GenerateRequest,
    LanguageHeard,
    Listened,
    Segment,
    TextPiece,
    TranscribeRequest,
)
from tests.runtimes.engines import Numbers
from tests.runtimes.hearing import PATIENCE, Heard, ears, of_kind, text_of, transcribed, until_idle
from tests.runtimes.speech import silence, talk, wav

SENTENCES = (" Hello world.", " Turn on the light.", " Good night.")
THREE = wav(talk("hello.wav", 1.5, "timer.wav", 1.5, "hello.wav"))
ONE = wav(talk("hello.wav"))


def in_turn(call: Heard) -> str:
    """A sentence a window, said in two pieces."""
    text = SENTENCES[call.number % 3]
    call.say(text[:5])
    call.say(text[5:])
    return text


def waits(call: Heard) -> str:
    """Hears until it is told to stop, as an engine does that asks at every token."""
    while not call.stopped():
        threading.Event().wait(0.001)
    return ""


def test_sentences_with_pauses_between_them_are_recognised_apart_and_told_in_order() -> None:
    with ears(in_turn) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE))
    assert text_of(events) == "".join(SENTENCES).strip()
    segments = of_kind(events, Segment)
    assert tuple(segment.text for segment in segments) == SENTENCES
    assert [round(segment.start, 1) for segment in segments] == pytest.approx([0.5, 4.1, 8.7], abs=0.3)
    assert isinstance(events[-2], ChoiceEnd)


def test_a_client_may_ask_for_longer_pauses_than_the_model_does() -> None:
    with ears(in_turn) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE, chunking=Chunking(silence=6.0)))
    assert len(of_kind(events, Segment)) == 1


def test_the_pieces_together_are_the_segments_together() -> None:
    with ears(in_turn) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE))
    pieces = of_kind(events, TextPiece)
    assert len(pieces) > len(SENTENCES)
    assert "".join(piece.text for piece in pieces) == "".join(one.text for one in of_kind(events, Segment))


def test_text_is_there_before_its_window_is_done() -> None:
    told = threading.Event()

    def hear(call: Heard) -> str:
        call.say(" Hello")
        call.say(" world")
        assert told.wait(PATIENCE)
        return " Hello world."

    with ears(hear) as runtime:
        runtime.add(Numbers.next(), TranscribeRequest(audio=ONE))
        while not any(isinstance(event, TextPiece) for _, event in runtime.step()):
            pass
        told.set()
        assert text_of([event for _, event in until_idle(runtime)]) != ""


def test_windows_without_spaces_around_their_words_do_not_run_into_each_other() -> None:
    with ears(lambda call: "Hello world.") as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE))
    assert text_of(events) == "Hello world. Hello world. Hello world."


def test_a_short_file_does_not_wait_for_the_end_of_a_long_one() -> None:
    heard: list[str] = []
    begun, short_heard = threading.Event(), threading.Event()

    def hear(call: Heard) -> str:
        heard.append(call.ask.prompt or "")
        begun.set()
        short_heard.wait(0.5)  # the short file is being decoded meanwhile
        if call.ask.prompt == "short":
            short_heard.set()
        return " Yes."

    with ears(hear) as runtime:
        long = wav(talk(*(part for _ in range(12) for part in ("hello.wav", 1.5))))
        runtime.add(Numbers.next(), TranscribeRequest(audio=long, prompt="long"))
        assert begun.wait(PATIENCE)
        runtime.add(Numbers.next(), TranscribeRequest(audio=ONE, prompt="short"))
        until_idle(runtime)
    assert heard.count("long") == 12
    assert heard.index("short") < 12


def test_windows_that_end_out_of_order_are_told_in_order() -> None:
    second = threading.Event()

    def hear(call: Heard) -> str:
        if call.ask.seed == 100:
            assert second.wait(PATIENCE)
        elif call.ask.seed == 200:
            call.say(" two")
            second.set()
        return {100: " one", 200: " two", 300: " three"}[call.ask.seed]

    with ears(hear, lanes=2) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE, language="en"))
    assert text_of(events) == "one two three"


def test_the_language_of_the_first_window_is_that_of_the_file_and_told_once() -> None:
    with ears(in_turn, lanes=2) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE))
        assert [call.ask.language for call in runtime.calls] == [None, "fr", "fr"]
    assert of_kind(events, LanguageHeard) == [LanguageHeard("fr")]
    kinds = [type(event) for event in events]
    assert kinds.index(LanguageHeard) < kinds.index(Segment)


def test_a_language_that_is_told_is_kept_and_told() -> None:
    with ears(in_turn) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE, language="en"))
        assert {call.ask.language for call in runtime.calls} == {"en"}
    assert of_kind(events, LanguageHeard) == [LanguageHeard("en")]


def test_a_window_in_which_nothing_was_said_does_not_choose_the_language() -> None:
    texts = ["", " Bonjour.", " Merci."]
    with ears(lambda call: texts[call.number]) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE))
        assert [call.ask.language for call in runtime.calls] == [None, None, "fr"]
    assert text_of(events) == "Bonjour. Merci."


def test_silence_is_an_empty_transcript_and_the_engine_never_hears_of_it() -> None:
    with ears(in_turn) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=silence(20.0)))
        assert runtime.calls == []
    assert (text_of(events), of_kind(events, Segment)) == ("", [])
    progress = of_kind(events, Listened)
    assert len(progress) >= 4
    assert (progress[-1].seconds, progress[-1].total) == (20.0, 20.0)


def test_progress_never_goes_back_and_ends_at_the_end() -> None:
    with ears(in_turn) as runtime:
        (events,) = transcribed(runtime, TranscribeRequest(audio=THREE))
    seconds = [event.seconds for event in of_kind(events, Listened)]
    assert len(seconds) >= 3
    assert seconds == sorted(set(seconds))
    usage = of_kind(events, Done)[0].usage
    assert usage.audio_seconds == pytest.approx(seconds[-1])
    assert (usage.completion_tokens, usage.prompt_tokens) == (9, 3)


def test_cancelling_a_file_that_is_being_recognised_answers_at_once_and_stops_the_engine() -> None:
    def hear(call: Heard) -> str:
        return waits(call) if call.number == 0 else " Hello world."

    with ears(hear) as runtime:
        number = Numbers.next()
        runtime.add(number, TranscribeRequest(audio=THREE))
        while not runtime.calls:
            runtime.step()
        assert runtime.cancel(number) == [(number, Cancelled())]
        assert not runtime.busy
        (events,) = transcribed(runtime, TranscribeRequest(audio=ONE))
    assert text_of(events) == "Hello world."
    assert runtime.counters.cancelled == 1


def test_a_file_is_cancelled_before_its_turn_or_while_it_is_decoded() -> None:
    with ears(lambda call: waits(call) if call.ask.prompt == "first" else " Hello world.") as runtime:
        first, second = Numbers.next(), Numbers.next()
        runtime.add(first, TranscribeRequest(audio=ONE, prompt="first"))
        runtime.add(second, TranscribeRequest(audio=silence(600)))
        runtime.cancel(second)
        runtime.cancel(first)
        assert runtime.load_now == (0, 0)
        (events,) = transcribed(runtime, TranscribeRequest(audio=ONE))
    assert text_of(events) == "Hello world."


def raises(error: BaseException) -> Callable[[Heard], str]:
    def hear(call: Heard) -> str:
        if call.ask.prompt == "bad":
            raise error
        return " Hello world."

    return hear


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), EngineFailed("out of luck")], ids=["native", "ours"])
def test_a_window_that_fails_ends_its_file_and_no_other(error: BaseException) -> None:
    with ears(raises(error)) as runtime:
        bad, good = transcribed(
            runtime, TranscribeRequest(audio=THREE, prompt="bad"), TranscribeRequest(audio=ONE, prompt="good")
        )
    (failure,) = of_kind(bad, FluidError)
    assert isinstance(failure, EngineFailed)
    assert "out of luck" in failure.message
    assert bad[-1] is failure
    assert text_of(good) == "Hello world."
    assert (runtime.counters.failed, runtime.counters.completed) == (1, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_nobody_foresaw_ends_the_worker() -> None:
    with ears(raises(KeyError("?"))) as runtime:
        runtime.add(Numbers.next(), TranscribeRequest(audio=ONE, prompt="bad"))
        with pytest.raises(EngineFailed, match="thread"):
            until_idle(runtime)


@pytest.mark.parametrize(
    ("audio", "error"),
    [(b"no sound", UnreadableAudio), (silence(0.01), UnreadableAudio), (silence(100), TooLarge)],
    ids=["garbage", "too short", "too long"],
)
def test_what_cannot_be_decoded_fails_that_file_and_no_other(audio: bytes, error: type[FluidError]) -> None:
    with ears(in_turn) as runtime:
        bad, good = transcribed(
            runtime, TranscribeRequest(audio=audio, max_seconds=60), TranscribeRequest(audio=silence(1))
        )
    assert isinstance(bad[-1], error)
    assert isinstance(good[-1], Done)


def test_a_file_that_is_gone_fails_its_request_without_its_path(tmp_path: Path) -> None:
    with ears(in_turn) as runtime:
        ((failure,),) = transcribed(runtime, TranscribeRequest(audio=tmp_path / "gone"))
    assert isinstance(failure, EngineFailed)
    assert str(tmp_path) not in failure.message


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (TranscribeRequest(audio=ONE, task="translate"), "model"),
        (TranscribeRequest(audio=ONE, prompt="Hello"), "prompt"),
        (TranscribeRequest(audio=ONE, keywords=("Bob",)), "keywords"),
        (TranscribeRequest(audio=ONE, words=True), "timestamp_granularities"),
        (TranscribeRequest(audio=ONE, logprobs=True), "include"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_engine_cannot_do_is_refused_by_name(asked: TranscribeRequest, param: str) -> None:
    with ears(in_turn, hears=Hears()) as runtime, pytest.raises(UnsupportedField) as caught:
        runtime.add(1, asked)
    assert caught.value.param == param


def test_an_unknown_language_and_other_work_are_refused() -> None:
    with ears(in_turn) as runtime:
        with pytest.raises(InvalidRequest, match=r"'de'.*en, fr"):
            runtime.add(1, TranscribeRequest(audio=ONE, language="de"))
        with pytest.raises(InvalidRequest, match="transcribes"):
            runtime.add(1, GenerateRequest(text="Hello"))
        assert not runtime.busy
