"""What the model is asked: prompts of a wished length in tokens, all different, and the bodies that carry them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHAT, COMPLETION = "/chat/completions", "/completions"
# Short and common: most tokenizers have a token for each of these with the space before it.
COMMON = """
the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what
all were we when your can said there use an each which she do how their if will up other about out many then them these
so some her would make like him into time has look two more write go see number no way could people my than first water
been call who oil its now find long down day did get come made may part new sound take only little work know place year
live me back give most very after thing our just name good man think say great where help through much before line right
too mean old any same tell boy follow came want show also around form three small set put end does another well large
must big even such because turn here why ask went men read need land different home us move try kind hand picture again
change off play spell air away animal house point page letter mother answer found study still learn should world high
"""
WORDS = COMMON.split()
TASK = "Write a long story in which all of these words come up."
OWN = 8  # words at the end of a prompt that are its own where the others are shared
TOKENS_A_WORD = 1.0  # where the server does not count


@dataclass(frozen=True, slots=True)
class Ask:
    """How a request is written. ``extra``: fields of the body that the person gave."""

    model: str
    max_tokens: int
    path: str = CHAT
    usage: bool = True
    limit: str = "max_tokens"
    ignore_eos: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, prompt: str, max_tokens: int | None = None) -> dict[str, Any]:
        """The request for one answer."""
        asked: dict[str, Any] = {"prompt": prompt}
        if self.path == CHAT:
            asked = {"messages": [{"role": "user", "content": prompt}]}
        return {
            "model": self.model,
            **asked,
            self.limit: max_tokens or self.max_tokens,
            "stream": True,
            **({"stream_options": {"include_usage": True}} if self.usage else {}),
            **({"ignore_eos": True} if self.ignore_eos else {}),
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of so many words, the same ones for the same seed.

    Each begins with a number of its own, so that no cache has even its beginning. With ``shared`` only the last words
    differ, and a server that keeps prefixes has computed the rest before.
    """

    words: int
    seed: int
    shared: bool = False

    def prompt(self, place: str) -> str:
        """The prompt of one request; ``place`` says which, in this whole measurement."""
        draw = random.Random(f"{self.seed}/{place}")  # noqa: S311 - no secret
        if not self.shared:
            return " ".join([str(draw.randrange(10**5, 10**6)), *draw.choices(WORDS, k=max(1, self.words)), TASK])
        common = random.Random(f"{self.seed}/shared")  # noqa: S311
        first = common.choices(WORDS, k=max(1, self.words - OWN))
        return " ".join([TASK, *first, *draw.choices(WORDS, k=OWN), str(draw.randrange(10**5, 10**6))])


def words_for(tokens: int, counted: Mapping[int, int]) -> int:
    """How many words make a prompt of so many tokens. ``counted``: the words of two prompts, with their tokens.

    Empty: the server does not count, and a word is taken for a token.
    """
    if len(counted) < 2:
        return max(1, round((tokens - len(TASK.split())) / TOKENS_A_WORD))
    (few, low), (many, high) = sorted(counted.items())
    each = max(0.1, (high - low) / (many - few))
    return max(1, round((tokens - low) / each) + few)
