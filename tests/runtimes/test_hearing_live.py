"""A live request, fed and recognised by the test itself, without a thread."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

import pytest

from fluid_server.errors import EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.hearing_live import LiveTranscription
from fluid_server.runtimes.hearing_plan import Ask, Hears, Recognised
from fluid_server.types import (
    Chunking,
    Done,
    EndOfSound,
    EndTurn,
    Event,
    Fed,
    ForgetSound,
    Listened,
    ListenRequest,
    NothingToTake,
    Segment,
    SoundBytes,
    SoundForgotten,
    TurnDone,
    TurnFailed,
    TurnStarted,
    TurnStopped,
    TurnTaken,
    TurnText,
)
from tests.runtimes.speech import RATE, talk

T = TypeVar("T")
BY_SILENCE = ListenRequest(rate=RATE)
BY_HAND = ListenRequest(rate=RATE, turns=None)
PATIENT = ListenRequest(rate=RATE, turns=Chunking(silence=3.0))
HELLO = ("hello.wav", 1.0)


def sound(*parts: str | float) -> SoundBytes:
    return SoundBytes((talk(*parts) * 32_767).astype("<i2").tobytes())


UNFINISHED = SoundBytes(sound("hello.wav").data[:-RATE])  # without the half second of silence that ends it


class Session:
    """A live request whose engine says ``texts`` in turn, the last one for ever."""

    def __init__(self, asked: ListenRequest = BY_SILENCE, *texts: str | Exception) -> None:
        self.told: list[Event | FluidError] = []
        self.asks: list[Ask] = []
        self._texts = itertools.chain(texts or (" Hello.",), itertools.repeat((texts or (" Hello.",))[-1]))
        hears = Hears(languages=("en", "fr"), detects=True)
        self.now = 0.0
        self.task = LiveTranscription(asked, self._recognise, self.told.append, hears.check, clock=lambda: self.now)

    def _recognise(self, samples: object, ask: Ask, say: object, stopped: Callable[[], bool]) -> Recognised:
        self.asks.append(ask)
        self.now += 2
        text = next(self._texts)
        if isinstance(text, Exception):
            raise text
        return Recognised(segments=(Segment(start=0.3, end=0.6, text=text),), language="en", tokens=2)

    def feed(self, *orders: Fed | tuple[str | float, ...]) -> None:
        """Orders, sentences among them; all that is complete is recognised."""
        for order in orders:
            self.task.push(sound(*order) if isinstance(order, tuple) else order)
        while self.task.hungry:
            self.task.feed()
            while (job := self.task.take()) is not None:
                job()

    def guess(self, *parts: str | float) -> None:
        """More sound, and a hypothesis of what was said up to here, after a rest."""
        self.now += 2
        self.feed(parts)
        job = self.task.spare()
        assert job is not None
        job()

    def all(self, kind: type[T]) -> list[T]:
        return [event for event in self.told if isinstance(event, kind)]


def test_a_turn_is_started_stopped_taken_and_written_down() -> None:
    session = Session()
    session.feed((1.0, *HELLO))
    kinds = [type(event) for event in session.told if not isinstance(event, Listened)]
    assert kinds == [TurnStarted, TurnStopped, TurnTaken, TurnDone]
    (done,) = session.all(TurnDone)
    assert (done.turn, done.text) == (0, "Hello.")
    assert done.usage.completion_tokens == 2
    assert session.all(TurnStarted)[0].seconds == pytest.approx(1.2, abs=0.15)
    assert done.usage.audio_seconds == pytest.approx(1.3, abs=0.3)


def test_a_session_that_is_taken_up_again_keeps_its_time() -> None:
    session = Session(ListenRequest(rate=RATE, start=100.0))
    session.feed((1.0, *HELLO))
    assert session.all(TurnStarted)[0].seconds == pytest.approx(101.2, abs=0.15)
    assert session.all(Listened)[-1].seconds == pytest.approx(100 + 1.0 + len(talk(*HELLO)) / RATE)


def test_turns_by_hand_are_told_only_when_they_are_taken() -> None:
    session = Session(BY_HAND, " Hello.", " Set a timer.")
    session.feed((*HELLO, "timer.wav"))
    assert {type(event) for event in session.told} == {Listened}
    session.feed(EndTurn(7))
    (taken,) = session.all(TurnTaken)
    assert taken.mark == 7
    assert taken.seconds == pytest.approx(len(talk(*HELLO, "timer.wav")) / RATE)
    assert [done.text for done in session.all(TurnDone)] == ["Hello. Set a timer."]


def test_an_end_of_sound_ends_the_turn_that_is_being_said() -> None:
    session = Session()
    session.feed(UNFINISHED, EndOfSound())
    assert [done.text for done in session.all(TurnDone)] == ["Hello."]
    assert isinstance(session.told[-1], Done)
    assert session.task.over


def test_what_was_not_taken_by_hand_is_lost_at_the_end_of_sound() -> None:
    session = Session(BY_HAND)
    session.feed(UNFINISHED, EndOfSound())
    assert not session.all(TurnDone)
    assert isinstance(session.told[-1], Done)


@pytest.mark.parametrize("asked", [BY_HAND, BY_SILENCE])
def test_there_is_nothing_to_take_in_nothing(asked: ListenRequest) -> None:
    session = Session(asked)
    session.feed(EndTurn(3))
    assert session.told == [NothingToTake(3, 0.0)]


@pytest.mark.parametrize("asked", [BY_HAND, BY_SILENCE])
def test_what_is_forgotten_is_never_told(asked: ListenRequest) -> None:
    session = Session(asked, " Set a timer.")
    session.feed(UNFINISHED, ForgetSound(), (1.0, "timer.wav", 1.0), EndTurn(1))
    assert session.all(SoundForgotten)
    assert [done.text for done in session.all(TurnDone)] == ["Set a timer."]


def test_what_was_taken_is_not_forgotten() -> None:
    session = Session()
    session.task.push(sound(*HELLO))
    while session.task.hungry:
        session.task.feed()
    session.feed(ForgetSound())
    assert [done.text for done in session.all(TurnDone)] == ["Hello."]


def test_what_hypotheses_agree_on_is_told_while_somebody_speaks() -> None:
    session = Session(PATIENT, " Set a", " Set a time", " Set a timer for", " Set a timer for ten minutes.")
    for _ in range(3):
        session.guess("timer.wav")
    assert [text.text for text in session.all(TurnText)] == ["Set a"]
    session.feed((3.5,))
    assert session.all(TurnDone)[0].text == "Set a timer for ten minutes."


def test_the_engine_is_not_asked_for_hypotheses_more_than_half_of_the_time() -> None:
    session = Session(PATIENT)
    session.guess("timer.wav")
    session.feed(("timer.wav",))
    session.now += 1.9
    assert session.task.spare() is None
    session.now += 0.2
    assert session.task.spare() is not None


def test_a_hypothesis_that_fails_costs_nothing() -> None:
    session = Session(PATIENT, RuntimeError("out of memory"), " Hello.")
    session.guess("hello.wav", "hello.wav")
    session.feed((3.5,))
    assert [done.text for done in session.all(TurnDone)] == ["Hello."]


def test_a_hypothesis_of_what_is_over_is_not_told() -> None:
    session = Session(PATIENT, " One two three", " One two four", " Five.")
    session.guess("hello.wav", "hello.wav")
    session.now += 2
    session.feed(("hello.wav",))
    job = session.task.spare()
    assert job is not None
    session.task.push(sound(3.5))
    while session.task.hungry:
        session.task.feed()
    job()
    assert not session.all(TurnText)


def test_a_turn_that_fails_is_told_once_it_is_taken_and_the_next_one_is_heard() -> None:
    session = Session(BY_SILENCE, RuntimeError("out of memory"), " Hello.")
    session.feed(("timer.wav", 1.0), HELLO)
    (failed,) = session.all(TurnFailed)
    assert (failed.turn, failed.code) == (0, EngineFailed.code)
    assert "out of memory" in failed.message
    assert [done.turn for done in session.all(TurnDone)] == [1]


def test_each_turn_is_in_a_language_of_its_own_unless_one_is_told() -> None:
    session = Session()
    session.feed(HELLO, ListenRequest(rate=RATE, language="fr"), HELLO)
    assert [ask.language for ask in session.asks] == [None, "fr"]


def test_a_language_that_the_model_does_not_know_ends_it() -> None:
    with pytest.raises(InvalidRequest):
        Session(ListenRequest(language="de"))
    session = Session()
    session.feed(ListenRequest(rate=RATE, language="de"))
    assert [error.param for error in session.all(InvalidRequest)] == ["language"]
    assert session.task.over


def test_another_rule_for_turns_ends_the_one_that_is_being_said() -> None:
    session = Session()
    session.feed(UNFINISHED, BY_HAND, ("timer.wav",), EndTurn(1))
    assert [(taken.turn, taken.mark) for taken in session.all(TurnTaken)] == [(0, None), (1, 1)]


def test_another_rate_counts_from_there_on() -> None:
    session = Session()
    session.feed((1.0,), ListenRequest(rate=8_000), SoundBytes(bytes(2 * 8_000)))
    assert session.all(Listened)[-1].seconds == pytest.approx(2.0)


def test_a_turn_longer_than_a_window_is_told_bit_by_bit() -> None:
    session = Session(ListenRequest(rate=RATE, turns=Chunking(silence=3.0)), " One two three.", " Four five six.")
    session.feed(("timer.wav", "hello.wav") * 9, (4.0,))
    assert len(session.asks) > 1
    (done,) = session.all(TurnDone)
    assert "".join(text.text for text in session.all(TurnText)) == done.text[: len("One two three.")]
    assert done.text.startswith("One two three. Four five six.")


def test_nothing_is_told_to_who_has_left() -> None:
    session = Session()
    session.task.stop()
    session.feed(HELLO)
    assert session.told == []
    assert session.task.over
