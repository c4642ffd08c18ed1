"""When a window is tried again, and what is sent meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from fluid_server.runtimes.hearing_plan import Ask, Recognised, Say
from fluid_server.runtimes.hearing_tries import well_recognised
from fluid_server.types import Segment

GREEDY = Ask()
SAMPLES = np.zeros(16_000, np.float32)
LOOP = " Thank you." * 40


@dataclass
class Scripted:
    """Says one text after the other, whatever it hears; piece by piece until it is told to stop."""

    texts: list[str]
    avg_logprob: list[float] = field(default_factory=list)
    no_speech_prob: float | None = None
    asked: list[Ask] = field(default_factory=list)

    def __call__(self, samples: npt.NDArray[np.float32], ask: Ask, say: Say, stopped: Callable[[], bool]) -> Recognised:
        number = len(self.asked)
        self.asked.append(ask)
        sure = self.avg_logprob[number] if self.avg_logprob else None
        said = ""
        for word in self.texts[number].split(" ")[1:]:
            if stopped():
                break
            said += f" {word}"
            say(f" {word}", sure)
        segment = Segment(start=0, end=1, text=said, avg_logprob=sure, no_speech_prob=self.no_speech_prob)
        return Recognised(segments=(segment,), tokens=said.count(" "))


def hear(script: Scripted, ask: Ask = GREEDY, stopped: bool = False) -> tuple[Recognised, str]:
    sent: list[str] = []
    return well_recognised(script, SAMPLES, ask, sent.append, lambda: stopped), "".join(sent)


def test_a_plain_text_is_taken_at_once() -> None:
    script = Scripted([" Turn on the kitchen light."])
    found, sent = hear(script)
    assert found.text == " Turn on the kitchen light."
    assert found.text.startswith(sent)
    assert [ask.temperature for ask in script.asked] == [0.0]


def test_a_text_that_repeats_itself_is_tried_again_a_little_warmer_with_another_seed() -> None:
    script = Scripted([LOOP, LOOP, " Thank you, Bob."])
    found, _ = hear(script)
    assert (found.text, found.segments[0].temperature) == (" Thank you, Bob.", 0.4)
    assert [ask.temperature for ask in script.asked] == [0.0, 0.2, 0.4]
    assert len({ask.seed for ask in script.asked}) == 3


def test_a_loop_is_cut_short_and_its_repetitions_are_not_sent() -> None:
    found, sent = hear(Scripted([LOOP] * 6))
    assert sent == " Thank you."
    assert len(found.text) < len(LOOP)


def test_where_no_try_is_better_the_least_repetitive_is_taken_and_all_tokens_are_counted() -> None:
    script = Scripted([" A.", " B b b b.", " C.", " D.", " E.", " F."], avg_logprob=[-2.0] * 6)
    found, _ = hear(script)
    assert found.text == " A."
    assert found.tokens == 5 * 1 + 4


def test_a_temperature_that_was_asked_for_is_the_only_one() -> None:
    script = Scripted([LOOP])
    found, _ = hear(script, Ask(temperature=0.7, seed=5))
    assert [(ask.temperature, ask.seed) for ask in script.asked] == [(0.7, 5)]
    assert found.tokens == found.text.count(" ")
    assert found.segments[0].temperature == 0.7


def test_an_improbable_text_is_not_sent_and_tried_again() -> None:
    found, sent = hear(Scripted([" Blah.", " Hello world."], avg_logprob=[-1.5, -0.2]))
    assert (found.text, sent) == (" Hello world.", "")


def test_an_improbable_text_where_nobody_speaks_is_no_text() -> None:
    script = Scripted([" Thanks for watching!"], avg_logprob=[-1.5], no_speech_prob=0.9)
    assert hear(script)[0].segments == ()
    assert len(script.asked) == 1


@pytest.mark.parametrize(("sure", "no_speech"), [(-0.3, 0.9), (-0.3, None)])
def test_a_probable_text_is_believed_whatever_the_silence(sure: float, no_speech: float | None) -> None:
    script = Scripted([" Hello world."], avg_logprob=[sure], no_speech_prob=no_speech)
    assert hear(script)[0].text == " Hello world."


def test_whoever_is_told_to_stop_is_not_asked_again() -> None:
    script = Scripted([LOOP])
    assert hear(script, stopped=True)[0].text == ""
    assert len(script.asked) == 1
