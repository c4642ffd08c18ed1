"""Driving one of llama.cpp's drivers alone: what the tests of its files share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fluid_server.runtimes.llamacpp import WAYS, Driver, Way
from fluid_server.runtimes.table import load_target
from fluid_server.runtimes.text_plan import Piece, Plan, complete
from fluid_server.types import ModelSpec, RuntimeOptions, Sampling, TokenLogprob
from tests.runtimes.engines import SPECS

NATIVE, PREBUILT = WAYS
STORY = "Tell me a story."


@dataclass(frozen=True, slots=True)
class Heard:
    """One finished sequence."""

    text: str
    finish: str
    cached: int
    tokens: int
    logprobs: tuple[TokenLogprob, ...]


class Desk:
    """A loaded model (a demo model by its name), asked one thing after another."""

    def __init__(self, model: str | ModelSpec = "fluid-tiny-gguf:F16", parallel: int = 2, way: Way = PREBUILT) -> None:
        spec = SPECS[model] if isinstance(model, str) else model
        self.driver: Driver = load_target(way.driver)(spec, RuntimeOptions(parallel=parallel))
        self._last = 0

    def ids(self, text: str) -> list[int]:
        chat = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        return self.driver.encode(chat, special=False)

    def ask(self, prompt: str | list[int] = STORY, *, max_tokens: int = 60, **fields: Any) -> Heard:
        """A prompt's answer, greedy unless ``sampling`` says otherwise."""
        sampling = complete(fields.pop("sampling", Sampling(temperature=0.0)), Sampling())
        ids = self.ids(prompt) if isinstance(prompt, str) else prompt
        self._last += 1
        self.driver.start(self._last, ids, Plan(max_tokens=max_tokens, sampling=sampling, **fields))
        return self._hear(self._last)

    def _hear(self, sequence: int) -> Heard:
        pieces: list[Piece] = []
        while not pieces or (pieces[-1].finish is None and pieces[-1].error is None):
            pieces += [piece for piece in self.driver.advance() if piece.sequence == sequence]
        self.driver.release(sequence)
        while self.driver.leaving:
            self.driver.advance()
        if (error := pieces[-1].error) is not None:
            raise error
        return Heard(
            text="".join(piece.text for piece in pieces),
            finish=str(pieces[-1].finish),
            cached=max(piece.cached_tokens for piece in pieces),
            tokens=sum(piece.tokens for piece in pieces),
            logprobs=tuple(logprob for piece in pieces for logprob in piece.logprobs),
        )
