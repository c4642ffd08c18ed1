"""Whisper's loop with a decoder that answers by a script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.content.whisper_rules import Drawn, Rules
from fluid_server.content.whisper_tokens import Marks
from fluid_server.runtimes.qnn_writing import MOST, Writing, Written

END, START, ENGLISH, FRENCH, WRITE, TRANSLATE, NOBODY, UNTIMED, PREVIOUS = range(10, 19)
TIME = PREVIOUS + 1
MARKS = Marks(
    start=START,
    end=END,
    transcribe=WRITE,
    translate=TRANSLATE,
    no_timestamps=UNTIMED,
    first_timestamp=TIME,
    previous=PREVIOUS,
    no_speech=NOBODY,
    languages={"en": ENGLISH, "fr": FRENCH},
)
VOCABULARY = TIME + 50
BEGIN = [START, FRENCH, WRITE]


class Scripted:
    """Writes ``text`` after the start sequence, goes on where a prompt ends in the middle of it, and then ends."""

    def __init__(self, text: Sequence[int], room: int) -> None:
        self.text, self.room, self.taken = text, room, list[int]()

    def step(self, token: int) -> npt.NDArray[np.float32]:
        assert self.room > 0, "a full decoder took a token"
        self.room -= 1
        self.taken.append(token)
        scores = np.zeros(VOCABULARY, np.float32)
        scores[self._next()] = 20
        return scores

    def _next(self) -> int:
        if START not in self.taken[:-1]:
            return FRENCH
        written = self.taken[self.taken.index(START) + 3 :]
        if not written:
            return self.text[0]
        place = next(
            place for place in range(len(self.text)) if list(self.text[place : place + len(written)]) == written
        )
        return [*self.text, END][place + len(written)]


class Scene:
    """One window whose decoders are kept, to be looked at."""

    def __init__(self, text: Sequence[int], room: int = 64) -> None:
        self.text, self.room, self.made = text, room, list[Scripted]()
        self.said: list[int] = []

    def fresh(self) -> Scripted:
        self.made.append(Scripted(self.text, self.room))
        return self.made[-1]

    def writing(self) -> Writing:
        chance = np.random.default_rng(0)
        return Writing(fresh=self.fresh, marks=MARKS, rules=Rules(MARKS, VOCABULARY), temperature=0.0, chance=chance)

    def write(self, preceding: Sequence[int] = (), stop_after: int = 10_000) -> Written:
        def wrote(drawn: Drawn) -> None:
            self.said.append(drawn.token)

        return self.writing().write(preceding, BEGIN, wrote, lambda: len(self.said) >= stop_after)


SENTENCE = [TIME, 1, 2, 3, TIME + 9]


def test_it_writes_until_the_end() -> None:
    scene = Scene(SENTENCE)
    written = scene.write()
    assert [drawn.token for drawn in written.drawn] == scene.said == SENTENCE
    assert written.tokens == len(SENTENCE) + 1
    assert written.no_speech == pytest.approx(np.exp(-20), rel=0.1)


def test_what_came_before_is_put_under_its_mark() -> None:
    scene = Scene(SENTENCE)
    scene.write(preceding=[PREVIOUS, 8, 9])
    assert scene.made[0].taken[:6] == [PREVIOUS, 8, 9, *BEGIN]


def test_the_language_is_asked_of_a_decoder_that_has_taken_the_start_alone() -> None:
    scene = Scene(SENTENCE)
    assert scene.writing().language() == "fr"
    assert scene.made[0].taken == [START]


def test_it_stops_when_nobody_waits() -> None:
    assert len(Scene(SENTENCE).write(stop_after=2).drawn) == 2


TWO = [TIME, 1, 2, 3, TIME + 9, TIME + 9, 4, 5, 6, 7, TIME + 20]


@pytest.mark.parametrize("room", range(10, 16))
def test_a_full_decoder_is_begun_anew_with_the_segment_in_work(room: int) -> None:
    scene = Scene(TWO, room)
    written = scene.write()
    assert [drawn.token for drawn in written.drawn] == TWO
    assert len(scene.made) >= 2 if room < len(BEGIN) + len(TWO) else 1


def test_a_segment_that_fills_half_of_the_decoder_ends_there() -> None:
    endless = [TIME, *[1, 2] * 300]
    scene = Scene(endless, room=12)
    assert len(scene.write().drawn) == 10


def test_no_window_is_written_for_ever() -> None:
    endless = [TIME, *[1, 2] * 300]
    assert len(Scene(endless, room=10_000).write().drawn) == MOST
