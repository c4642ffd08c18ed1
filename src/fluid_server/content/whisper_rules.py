"""Which token Whisper may write next: OpenAI's rules for timestamps and suppressed tokens, and how one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fluid_server.content.whisper_tokens import Marks

FloatArray = npt.NDArray[np.float32]
NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token and its natural-log probability among all that were allowed."""

    token: int
    logprob: float


class Rules:
    """The rules for one model; ``vocabulary`` is how many scores a step has."""

    def __init__(self, marks: Marks, vocabulary: int) -> None:
        self._marks = marks
        self._always = np.zeros(vocabulary, np.float32)
        self._always[[token for token in marks.suppressed if token < vocabulary]] = NEVER
        self._first = self._always.copy()
        self._first[[token for token in marks.suppressed_first if token < vocabulary]] = NEVER
        self._first[: marks.first_timestamp] = NEVER
        if marks.latest_start is not None:
            self._first[marks.first_timestamp + marks.latest_start + 1 :] = NEVER

    def allowed(self, scores: FloatArray, written: Sequence[int]) -> FloatArray:
        """The scores of one step, shape [vocabulary], with -inf for what may not follow ``written``.

        A transcript begins with a time. Times come in pairs (the end of one segment, the start of the next), but
        for the one before the end, and never go back. Where times together are likelier than the likeliest
        text, it is time for one.
        """
        if not written:
            return scores + self._first
        scores = scores + self._always
        begin = self._marks.first_timestamp
        just_now = written[-1] >= begin
        before = len(written) < 2 or written[-2] >= begin
        if just_now and before:
            scores[begin:] = NEVER
        elif just_now:
            scores[: self._marks.end] = NEVER
        self._forbid_going_back(scores, written, just_now=just_now, before=before)
        if _times_are_likelier(scores, begin):
            scores[:begin] = NEVER
        return scores

    def _forbid_going_back(self, scores: FloatArray, written: Sequence[int], *, just_now: bool, before: bool) -> None:
        """A segment has a length, so the time that ends it is later than its start; the next may begin at its end."""
        begin = self._marks.first_timestamp
        latest = max((token for token in written if token >= begin), default=None)
        if latest is not None:
            ends_segment = just_now and not before
            scores[begin : latest + (0 if ends_segment else 1)] = NEVER


def _times_are_likelier(scores: FloatArray, begin: int) -> bool:
    times, text = scores[begin:], scores[:begin]
    top = times.max(initial=NEVER)
    if top == NEVER:
        return False
    together = float(top) + float(np.log(np.exp(times - top).sum()))
    return together > float(text.max(initial=NEVER))


def log_probabilities(scores: FloatArray) -> FloatArray:
    """Natural-log probabilities; -inf stays."""
    moved: FloatArray = scores - scores.max()
    moved -= np.float32(np.log(np.exp(moved).sum(dtype=np.float64)))
    return moved


def draw(scores: FloatArray, temperature: float, chance: np.random.Generator) -> Drawn:
    """The likeliest token at temperature 0, else one drawn by chance; ``scores`` are those that are allowed."""
    logprobs = log_probabilities(scores)
    if temperature <= 0:
        token = int(scores.argmax())
    else:
        warm = log_probabilities(np.divide(scores, temperature, dtype=np.float32))
        cumulated = np.exp(warm, dtype=np.float64).cumsum()
        place = int(np.searchsorted(cumulated, chance.random() * cumulated[-1], side="right"))
        token = min(place, len(scores) - 1)  # the product may round up to the sum of all
    return Drawn(token, float(logprobs[token]))


def likeliest_language(scores: FloatArray, marks: Marks) -> str:
    """The language whose token is the likeliest after the start; the model must have languages."""
    return max(marks.languages, key=lambda code: float(scores[marks.languages[code]]))


def no_speech_probability(scores: FloatArray, marks: Marks) -> float | None:
    """How likely it is, after the start, that nobody speaks; None where the model has no token for it."""
    if marks.no_speech is None:
        return None
    return float(np.exp(log_probabilities(scores)[marks.no_speech]))
