"""What the decoder writes of one window, token by token: Whisper's loop, whatever computes the scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluid_server.content.whisper_rules import Drawn, Rules, draw, likeliest_language, no_speech_probability
from fluid_server.content.whisper_tokens import Marks

MOST = 448  # tokens of one window, the places of Whisper's own decoder: what writes more runs in circles


class Steps(Protocol):
    """A decoder that has heard a window: it takes a token, and tells the scores of what may follow."""

    @property
    def room(self) -> int:
        """Tokens that it can still take."""
        ...

    def step(self, token: int) -> npt.NDArray[np.float32]:
        """The scores, shape [vocabulary], after one more token."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """``drawn`` without the end of the transcript; ``tokens`` counts that too. ``no_speech`` None: not told."""

    drawn: tuple[Drawn, ...]
    tokens: int
    no_speech: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How one window is written down. ``fresh`` gives a decoder that has heard it and taken no token yet."""

    fresh: Callable[[], Steps]
    marks: Marks
    rules: Rules
    temperature: float
    chance: np.random.Generator

    def language(self) -> str:
        """The language that the model hears; it must have languages."""
        return likeliest_language(self.fresh().step(self.marks.start), self.marks)

    def write(
        self,
        preceding: Sequence[int],
        start: Sequence[int],
        wrote: Callable[[Drawn], None],
        stopped: Callable[[], bool],
    ) -> Written:
        """From the text that came before and the start sequence to the end of the transcript.

        A decoder that is full is begun anew with the segment that is being written: published graphs have 200
        places, and half a minute of some languages takes more. A segment that fills half of them ends there.
        """
        drawn: list[Drawn] = []
        tokens: list[int] = []
        steps, scores, no_speech = self._begun([*preceding, *start], start)
        while not stopped() and len(tokens) < MOST:
            found = draw(self.rules.allowed(scores, tokens), self.temperature, self.chance)
            if found.token == self.marks.end:
                return Written(tuple(drawn), len(tokens) + 1, no_speech)
            drawn.append(found)
            tokens.append(found.token)
            wrote(found)
            if steps.room:
                scores = steps.step(found.token)
            elif unfinished := self._unfinished(tokens, self.fresh().room // 2):
                steps, scores, _ = self._begun([*start, *unfinished], start)
            else:
                break
        return Written(tuple(drawn), len(tokens), no_speech)

    def _begun(
        self, prompt: Sequence[int], start: Sequence[int]
    ) -> tuple[Steps, npt.NDArray[np.float32], float | None]:
        """A decoder that has taken the prompt, the scores after it, and how likely it is that nobody speaks."""
        steps = self.fresh()
        no_speech = None
        for token in prompt:
            scores = steps.step(token)
            if token == start[0]:
                no_speech = no_speech_probability(scores, self.marks)
        return steps, scores, no_speech

    def _unfinished(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """The segment that is being written, its opening time first; empty if it is longer than ``most``."""
        begin = self.marks.first_timestamp
        place = next((place for place in reversed(range(len(tokens))) if tokens[place] >= begin), 0)
        return tokens[place:] if len(tokens) - place <= most else ()
