"""Log probabilities as llama.cpp tells them, token by token; and those of tokens about which it says nothing.

llama.cpp sends a chunk only where its text ends in a whole character: of a character that is spread over tokens it
tells the last one. The others are found again by their bytes, and their probabilities by asking once more for the
distribution at their place. Pure but for the questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fluid_server.errors import EngineFailed
from fluid_server.types import TokenLogprob

# A raw completion of one token after these ids, with so many of the likeliest tokens: its logprobs entry.
Ask = Callable[[list[int], int], Mapping[str, Any]]
FEW, MANY = 100, 5000  # how many of the likeliest are asked for, before the whole vocabulary


@dataclass(slots=True)
class Chunk:
    """One chunk of an answer, read. ``missing`` are the tokens before its own that llama.cpp has not told of."""

    data: dict[str, Any]
    missing: list[TokenLogprob] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text that has come with it."""
        return str(self.data["choices"][0]["text"])

    @property
    def total(self) -> int:
        """How many tokens there are so far."""
        return int(self.data.get("timings", {}).get("predicted_n", 0))

    @property
    def entry(self) -> dict[str, Any] | None:
        """What is told of its own token."""
        content = (self.data["choices"][0].get("logprobs") or {}).get("content") or [None]
        found: dict[str, Any] | None = content[0]
        return found


def told(entry: Mapping[str, Any], alternatives: int, data: bytes | None = None) -> TokenLogprob:
    """An entry of llama.cpp's as ours."""
    return TokenLogprob(
        token=int(entry["id"]),
        text=str(entry["token"]),
        logprob=float(entry["logprob"]),
        data=bytes(entry["bytes"]) if data is None else data,
        top=tuple(told(one, 0) for one in entry.get("top_logprobs", ())[:alternatives]),
    )


class Recovery:
    """Watches one answer with log probabilities; from its first gap on, chunks are held until ``settle``."""

    def __init__(self, prompt: Sequence[int], alternatives: int, ask: Ask, size: int) -> None:
        self._prompt = list(prompt)
        self._alternatives = alternatives
        self._ask = ask
        self._size = size
        self._total = 0
        self._ids: list[int] = []
        self._held: list[tuple[int, Chunk]] = []

    def watch(self, chunk: Chunk) -> Chunk | None:
        """The chunk if it can go on at once. None: it is held, since a token before it is not known yet."""
        gap = max(0, chunk.total - self._total - 1) if chunk.entry is not None else 0
        self._total = max(self._total, chunk.total)
        if not self._held and not gap:
            if chunk.entry is not None:
                self._ids.append(int(chunk.entry["id"]))
            return chunk
        self._held.append((gap, chunk))
        return None

    def settle(self) -> Iterator[Chunk]:
        """All chunks that were held, with what was missing. Asks the model a question for each missing token."""
        for gap, chunk in self._held:
            entry = chunk.entry
            if entry is not None:
                if gap:
                    chunk.missing = self._recover(gap, chunk, entry)
                self._ids.append(int(entry["id"]))
            yield chunk
        self._held = []

    def _recover(self, gap: int, chunk: Chunk, entry: dict[str, Any]) -> list[TokenLogprob]:
        own = self._bytes.get(int(entry["id"]), b"")
        whole = chunk.text.encode()
        if not whole.endswith(own):
            return []
        entry["bytes"] = list(own)
        recovered = []
        for token in next(cut(whole.removesuffix(own), gap, self._tokens), []):
            recovered.append(self._score(token))
            self._ids.append(token)
        return recovered

    def _score(self, token: int) -> TokenLogprob:
        for asked in (FEW, MANY, self._size):
            entry = self._ask([*self._prompt, *self._ids], asked)
            for one in entry["top_logprobs"]:
                if one["id"] == token:
                    top = {"top_logprobs": entry["top_logprobs"]}
                    return told({**one, **top, "token": ""}, self._alternatives, bytes(one["bytes"]))
        raise EngineFailed(f"llama.cpp gives no probability to the token {token}.")

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        """Every token's bytes."""
        entry = self._ask(self._prompt, self._size)
        return {int(one["id"]): bytes(one["bytes"]) for one in entry["top_logprobs"]}

    @cached_property
    def _tokens(self) -> dict[bytes, int]:
        return {data: token for token, data in self._bytes.items() if data}


def cut(data: bytes, count: int, tokens: Mapping[bytes, int]) -> Iterator[list[int]]:
    """The ways in which these bytes are so many tokens, those with long tokens first."""
    if count == 1:
        if data in tokens:
            yield [tokens[data]]
        return
    for length in range(len(data) - count + 1, 0, -1):
        if data[:length] in tokens:
            for rest in cut(data[length:], count - 1, tokens):
                yield [tokens[data[:length]], *rest]


def parsed(payload: bytes) -> Chunk:
    """A chunk as it comes."""
    return Chunk(json.loads(payload))
