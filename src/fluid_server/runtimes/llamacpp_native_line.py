"""One sequence under way in the native driver: what is still to be read, what was said, and what of it is told."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

import numpy as np

from fluid_server.runtimes.llamacpp_native_cells import Cells
from fluid_server.runtimes.llamacpp_native_grammar import TokenMatcher
from fluid_server.runtimes.llamacpp_native_library import Floats
from fluid_server.runtimes.llamacpp_native_sampler import Sampler
from fluid_server.runtimes.llamacpp_native_vocabulary import NativeVocabulary
from fluid_server.runtimes.text_plan import Piece, Plan
from fluid_server.types import TokenLogprob


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


@dataclass(slots=True, eq=False)
class Line:
    """``todo`` are the tokens that the engine has not computed yet: the prompt's rest, then the last one drawn.

    ``lender`` is another line that is computing a beginning of this prompt, ``loan`` tokens of it: it is waited for.
    """

    sequence: int
    prompt: list[int]
    plan: Plan
    cells: Cells
    sampler: Sampler
    matcher: TokenMatcher | None
    vocabulary: NativeVocabulary
    todo: list[int] = field(default_factory=list)
    lender: Line | None = None
    loan: int = 0
    cached: int = 0
    made: int = 0
    paused: bool = False
    decoder: codecs.IncrementalDecoder = field(default_factory=_decoder)

    @property
    def decoding(self) -> bool:
        """Whether its next step is one token."""
        return self.made > 0 and len(self.todo) == 1

    def computed(self, count: int) -> None:
        """The engine has computed the next ``count`` tokens."""
        self.cells.tokens += self.todo[:count]
        del self.todo[:count]

    def say(self, token: int, logits: Floats | None) -> Piece:
        """A token was drawn. ``logits``: those of its place, as the model gave them, where probabilities are wanted."""
        self.made += 1
        piece = Piece(self.sequence, tokens=1, cached_tokens=self.cached)
        if token in self.vocabulary.ends and not self.plan.ignore_eos:
            piece.text = self.decoder.decode(b"", final=True)
            piece.finish = "stop"
            return piece
        data = self._bytes(token)
        piece.text = self.decoder.decode(data)
        if logits is not None and data:
            piece.logprobs = (self._scored(token, data, piece.text, logits),)
        self.todo = [token]
        if self.made >= self.plan.max_tokens:
            piece.text += self.decoder.decode(b"", final=True)
            piece.finish = "length"
        return piece

    def _bytes(self, token: int) -> bytes:
        """What the token adds to the text; a special one adds something only where its text is marked."""
        if (plain := self.vocabulary.plain[token]) or not self.plan.marks:
            return plain
        whole = self.vocabulary.whole[token]
        return whole if whole.decode("utf-8", "replace") in self.plan.marks else b""

    def _scored(self, token: int, data: bytes, text: str, logits: Floats) -> TokenLogprob:
        peak = float(logits.max())
        total = peak + float(np.log(np.exp(logits - peak).sum()))
        wanted = self.plan.logprobs or 0
        best = np.argpartition(logits, -wanted)[-wanted:] if wanted else np.array([], int)
        top = tuple(
            TokenLogprob(
                int(one), self.vocabulary.text(int(one)), float(logits[one]) - total, self.vocabulary.whole[one]
            )
            for one in best[np.argsort(-logits[best], kind="stable")]
        )
        return TokenLogprob(token, text, float(logits[token]) - total, data, top)
