"""One window, tried again at higher temperatures while its text is degenerate: OpenAI's rule for temperature 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fluid_server.content.repetition import compression_ratio
from fluid_server.content.streamed import Steady
from fluid_server.content.transcript import is_looping
from fluid_server.runtimes.base import COLDEST
from fluid_server.runtimes.hearing_plan import Ask, Recognised, Say

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
IMPROBABLE = -1.0  # mean log probability of a text that is not to be trusted
SILENT = 0.6  # probability of no speech; with an improbable text, there was none

Samples = npt.NDArray[np.float32]


Recognise = Callable[[Samples, Ask, Say, Callable[[], bool]], Recognised]  # HearingRuntime.recognise


@dataclass(slots=True)
class _Try:
    """What one pass over the window says while it runs."""

    send: Callable[[str], None]
    stopped: Callable[[], bool]
    steady: Steady
    trusted: bool = True

    def say(self, text: str, avg_logprob: float | None = None) -> None:
        """Pass on what is neither repeated nor improbable."""
        steady = self.steady.feed(text)
        self.trusted = self.trusted and (avg_logprob is None or avg_logprob >= IMPROBABLE)
        if steady and self.trusted:
            self.send(steady)

    def over(self) -> bool:
        """Whether the engine is to stop: nobody waits, or it turns in circles."""
        return self.stopped() or self.steady.loops


def well_recognised(
    recognise: Recognise, samples: Samples, ask: Ask, send: Callable[[str], None], stopped: Callable[[], bool]
) -> Recognised:
    """What is said in the window. Only the first try sends text while it runs.

    A temperature that was asked for is the only one. With 0, a text that repeats itself or is improbable is tried
    again, up to 1.0; where none is better, the least repetitive of them is the answer.
    """
    tries: list[Recognised] = []
    for number, temperature in enumerate(_temperatures(ask)):
        out = send if number == 0 else _nowhere
        one = _Try(out, stopped, Steady())
        again = replace(ask, temperature=temperature, seed=ask.seed + number)
        found = _at(temperature, recognise(samples, again, one.say, one.over))
        tries.append(found)
        if stopped() or _good(found):
            return _heard(found, tries)
    return _heard(min(tries, key=lambda found: compression_ratio(found.text)), tries)


def _temperatures(ask: Ask) -> Iterator[float]:
    if ask.temperature >= COLDEST:
        yield ask.temperature
    else:
        yield from TEMPERATURES


def _nowhere(text: str) -> None:
    """A second try sends nothing: it may be thrown away too."""


def _at(temperature: float, found: Recognised) -> Recognised:
    segments = tuple(replace(segment, temperature=temperature) for segment in found.segments)
    return replace(found, segments=segments)


def _good(found: Recognised) -> bool:
    if is_looping(found.text):
        return False
    return _confidence(found) >= IMPROBABLE or _without_speech(found)


def _heard(chosen: Recognised, tries: list[Recognised]) -> Recognised:
    """The chosen one of them, with the tokens of all."""
    segments = () if _without_speech(chosen) and _confidence(chosen) < IMPROBABLE else chosen.segments
    return replace(chosen, segments=segments, tokens=sum(found.tokens for found in tries))


def _confidence(found: Recognised) -> float:
    """Mean log probability of all tokens; 0, which is certain, where the engine does not tell."""
    known = [(one.avg_logprob, max(1, len(one.tokens))) for one in found.segments if one.avg_logprob is not None]
    return sum(mean * count for mean, count in known) / sum(count for _, count in known) if known else 0.0


def _without_speech(found: Recognised) -> bool:
    known = [one.no_speech_prob for one in found.segments if one.no_speech_prob is not None]
    return bool(known) and min(known) > SILENT
