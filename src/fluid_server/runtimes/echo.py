"""EchoRuntime: the fake that we ship. Deterministic, needs no weights, and passes through everything but an engine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fluid_server import __version__
from fluid_server.errors import InvalidRequest, UnsupportedField
from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.text import TextRuntime
from fluid_server.runtimes.text_plan import Piece, Plan, context_limit
from fluid_server.types import ModelInfo, ModelSpec, RuntimeOptions, TokenLogprob


@dataclass(slots=True)
class _Voice:
    words: list[str]
    plan: Plan
    said: int = 0


class EchoRuntime(TextRuntime):
    """Answers with the last user message, one word a token; with ``ignore_eos``, over and over again."""

    name = "echo"

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []
        self._ids: dict[str, int] = {}
        self._voices: dict[int, _Voice] = {}

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        """Nothing to load."""
        progress("ready", 1.0)
        return ModelInfo(
            runtime=self.name,
            device="CPU",
            parallel=options.parallel,
            engine=f"echo {__version__}",
            context_length=context_limit(options, spec),
        )

    def encode(self, text: str, *, special: bool) -> list[int]:
        """One token a word, its leading white space included; ids are given out as words appear."""
        words = re.findall(r"\s*\S+|\s+\Z", text)
        for word in words:
            if word not in self._ids:
                self._ids[word] = len(self._words)
                self._words.append(word)
        return [self._ids[word] for word in words]

    def decode(self, ids: list[int]) -> str:
        """The words of these ids."""
        if ids and (min(ids) < 0 or max(ids) >= len(self._words)):
            raise InvalidRequest(f"The prompt has token ids outside of 0 to {len(self._words) - 1}.", param="prompt")
        return "".join(self._words[token] for token in ids)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Find what is to be repeated."""
        if plan.shape is not None:
            raise UnsupportedField(
                "The built-in model 'echo' only repeats what it is told: it cannot keep to a format or call a tool.",
                param="response_format",
            )
        if plan.logit_bias:
            raise UnsupportedField("The built-in model 'echo' draws no tokens.", param="logit_bias")
        text = "".join(self._words[token] for token in prompt if token < len(self._words))
        said = text.removesuffix("\necho: ").rpartition("user: ")[2]
        self._voices[sequence] = _Voice(re.findall(r"\s*\S+", said) or [" "], plan)

    def advance(self) -> list[Piece]:
        """The next word of every sequence."""
        return [self._say(sequence, voice) for sequence, voice in self._voices.items()]

    def release(self, sequence: int) -> None:
        """Fall silent."""
        del self._voices[sequence]

    def _say(self, sequence: int, voice: _Voice) -> Piece:
        count = len(voice.words)
        word = voice.words[voice.said % count]
        if voice.said % count == 0 and voice.said:
            word = " " + word.lstrip()
        voice.said += 1
        finish = None
        if voice.said >= count and not voice.plan.ignore_eos:
            finish = "stop"
        elif voice.said >= voice.plan.max_tokens:
            finish = "length"
        return Piece(sequence, word, 1, finish, logprobs=self._logprobs(word, voice.plan.logprobs))

    def _logprobs(self, word: str, wanted: int | None) -> tuple[TokenLogprob, ...]:
        """It is always certain."""
        if wanted is None:
            return ()
        (token,) = self.encode(word, special=False)
        certain = TokenLogprob(token, word, 0.0, word.encode())
        return (TokenLogprob(token, word, 0.0, word.encode(), (certain,) if wanted else ()),)
