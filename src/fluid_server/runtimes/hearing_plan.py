"""What a speech runtime is asked for each window of sound, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.types import ListenRequest, Segment, TokenLogprob, TranscribeRequest

LONGEST_WINDOW = 30.0  # seconds; what Whisper's encoder takes at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How one window is to be recognised.

    ``language`` is a code that the model knows, or None: detect it. ``task`` is transcribe or translate (into
    English). ``prompt`` is text that came before. ``temperature`` 0 is greedy; above it tokens are drawn, and the
    same ``seed`` draws the same. ``words`` and ``logprobs``: what the answer must hold besides its segments.
    """

    language: str | None = None
    task: str = "transcribe"
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    words: bool = False
    logprobs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What was heard in one window. All times are seconds into the window, in order.

    The segments' texts together are all the text, leading spaces as the model writes them. ``language`` is what was
    heard or asked for, None where the model has no languages. ``tokens`` and ``prompt_tokens`` are counts.
    ``logprobs`` are those of the text's tokens, where they were asked for.
    """

    segments: tuple[Segment, ...] = ()
    language: str | None = None
    tokens: int = 0
    prompt_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def text(self) -> str:
        """All that was heard."""
        return "".join(segment.text for segment in self.segments)


class Say(Protocol):
    """Takes text as it is recognised, in order and free of special tokens."""

    def __call__(self, text: str, avg_logprob: float | None = None) -> None:
        """``avg_logprob``: the mean log probability of all tokens of this window so far, where the engine tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hears:
    """What a loaded model can be asked for; everything else is refused by name before it queues.

    ``languages`` are its codes, the one that is meant when none is told first; empty is not known. ``detects``:
    whether it can tell the language by itself.
    """

    languages: tuple[str, ...] = ()
    detects: bool = False
    translates: bool = False
    prompt: bool = False
    keywords: bool = False
    words: bool = False
    logprobs: bool = False

    def check(self, request: TranscribeRequest | ListenRequest) -> None:
        """Errors: InvalidRequest or UnsupportedField, naming the field that this model cannot honour."""
        self._check_language(request.language)
        file = request if isinstance(request, TranscribeRequest) else TranscribeRequest(audio=b"")
        refusals = (
            (file.task == "translate" and not self.translates, "model", "translate speech"),
            (bool(request.prompt) and not self.prompt, "prompt", "be given a prompt"),
            (bool(request.keywords) and not self.keywords, "keywords", "be given keywords"),
            (file.words and not self.words, "timestamp_granularities", "tell the times of single words"),
            (file.logprobs and not self.logprobs, "include", "tell log probabilities"),
        )
        for refused, param, what in refusals:
            if refused:
                advice = "Choose another one." if param == "model" else f"Leave '{param}' out, or choose another one."
                raise UnsupportedField(
                    f"This model cannot {what} on the engine that runs it here. {advice}", param=param
                )

    def _check_language(self, language: str | None) -> None:
        if language is not None and self.languages and language not in self.languages:
            known = ", ".join(self.languages)
            raise InvalidRequest(
                f"This model does not know the language '{language}'. It knows: {known}.", param="language"
            )
