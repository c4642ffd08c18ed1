"""One recording, fed and recognised by the test itself, without a thread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fluid_server.content.utterances import Window
from fluid_server.errors import FluidError
from fluid_server.runtimes.hearing_plan import Ask, Recognised
from fluid_server.runtimes.hearing_source import Samples
from fluid_server.runtimes.hearing_task import Transcription
from fluid_server.runtimes.hearing_writer import Writer
from fluid_server.types import Chunking, Done, Event, Listened, Segment, TextPiece, TokenLogprob, TranscribeRequest
from tests.runtimes.speech import RATE, talk

SENTENCE = talk("hello.wav", 1.5)
LONGEST = 30.0


class Endless:
    """The same sentence over and over again, of no known length; counts the seconds that were pulled."""

    ready = True
    total = None

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stopped = self.closed = False
        self._blocks = self._endless()

    def pull(self) -> Samples | None:
        block = next(self._blocks)
        self.seconds += len(block) / RATE
        return block

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _endless() -> Iterator[Samples]:
        while True:
            yield from np.array_split(SENTENCE, 4)


class Broken(Endless):
    """A disk that fails in the middle."""

    def pull(self) -> Samples | None:
        if self.seconds > 2:
            raise OSError("the disk has gone")
        return super().pull()


def heard(samples: Samples, *_: object) -> Recognised:
    return Recognised(segments=(Segment(start=0.5, end=1.0, text=" Hello world."),), language="en", tokens=4)


def task(source: Endless, told: list[Event | FluidError]) -> Transcription:
    return Transcription(source, TranscribeRequest(audio=b""), heard, told.append, detects=True)


def test_no_more_is_decoded_than_the_engine_will_soon_need() -> None:
    source = Endless()
    one = task(source, [])
    for windows in range(1, 4):
        while one.hungry:
            one.feed()
        assert source.seconds < (windows + 2) * (LONGEST + 5)
        before = source.seconds
        job = one.take()
        assert job is not None
        job()
    assert source.seconds == before


def test_a_language_that_is_not_known_yet_holds_the_second_window_back() -> None:
    one = task(Endless(), [])
    while one.hungry:
        one.feed()
    first = one.take()
    assert first is not None
    assert one.take() is None
    first()
    assert one.take() is not None


def test_a_recording_that_is_left_has_its_source_stopped_at_once_and_closed_at_the_next_turn() -> None:
    source, told = Endless(), list[Event | FluidError]()
    one = task(source, told)
    one.feed()
    one.stop()
    assert source.stopped
    assert (one.take(), one.hungry, one.over) == (None, True, False)
    one.feed()
    assert (source.closed, one.over, told) == (True, True, [])


def test_a_source_that_breaks_is_closed_and_its_failure_told_once() -> None:
    source, told = Broken(), list[Event | FluidError]()
    one = task(source, told)
    while one.hungry:
        one.feed()
    assert (source.closed, one.over) == (True, True)
    assert [str(event) for event in told if isinstance(event, FluidError)] == [
        "The sound could not be read: the disk has gone"
    ]


def window(start: float, end: float, **overlaps: float) -> Window:
    return Window(start, np.zeros(round((end - start) * RATE), np.float32), ((start, end),), **overlaps)


def found(*segments: tuple[float, float, str]) -> Recognised:
    return Recognised(segments=tuple(Segment(start=at, end=to, text=text) for at, to, text in segments), tokens=1)


def test_words_that_two_windows_share_are_told_once_and_not_before_both_are_known() -> None:
    told: list[Event] = []
    writer = Writer(told.append, whole=False)
    first, second = writer.open(window(0, 10, shared=1.0)), writer.open(window(9, 20, overlap=1.0))
    writer.say(first, " one two three four five")
    assert told == []
    writer.put(first, found((0, 8, " one two three"), (8, 10, " four five")))
    writer.put(second, found((0, 1, " five"), (1, 6, " six seven")))
    writer.end(20.0)
    text = "".join(event.text for event in told if isinstance(event, TextPiece))
    assert text == " one two three four five six seven"
    assert text == "".join(event.text for event in told if isinstance(event, Segment))


def test_progress_stops_at_a_window_that_is_not_recognised_yet() -> None:
    told: list[Event] = []
    writer = Writer(told.append, whole=False)
    part = writer.open(window(12, 20))
    writer.fed(60.0, None)
    assert told == [Listened(12, None)]
    writer.put(part, found((0, 8, " one")))
    assert [event.seconds for event in told if isinstance(event, Listened)] == [12, 20, 60]


def test_log_probabilities_come_with_their_window_s_whole_text() -> None:
    told: list[Event] = []
    writer = Writer(told.append, whole=True)
    part = writer.open(window(0, 5))
    writer.say(part, " one")
    token = TokenLogprob(1, " one", -0.5)
    segment = Segment(start=0, end=1, text=" one")
    writer.put(part, Recognised(segments=(segment,), logprobs=(token,)))
    writer.end(5.0)
    assert told[:2] == [TextPiece(0, " one", (token,)), segment]
    assert isinstance(told[-1], Done)


@pytest.mark.parametrize("silence", [0.5, 5.0])
def test_how_long_a_pause_ends_a_window_is_the_client_s_to_say(silence: float) -> None:
    source = Endless()
    request = TranscribeRequest(audio=b"", chunking=Chunking(silence=silence))
    lengths: list[float] = []

    def measuring(samples: Samples, ask: Ask, *_: object) -> Recognised:
        lengths.append(len(samples) / RATE)
        return heard(samples)

    one = Transcription(source, request, measuring, lambda event: None, detects=True)
    while one.hungry:
        one.feed()
    job = one.take()
    assert job is not None
    job()
    assert (lengths[0] > 10) == (silence > 4)
