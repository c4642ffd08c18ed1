"""The second turn of a long conversation: its time to first token beside the first turn's, in the same run.

Target 6 of the speed page. ``uv run benchmarks/run.py --only second-turn``

What the turns have in common is read from the prefix cache. Each conversation has other words, so none helps another.
"""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.effort import Effort
from benchmarks.engines import WORDS, engines, models, serving
from benchmarks.figures import Row, Subject, Target, ratio
from benchmarks.server import Server, chat

TOKENS = 1500  # of the first turn
CONTEXT = 2048
SHARE = Target(0.15, most=True)
FOLLOW_UP = "What is the capital of France?"
ANSWER_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Turns:
    """One conversation: milliseconds to the first token of each turn, the second's prompt, what of it was cached."""

    first: float
    second: float
    prompt_tokens: int
    cached_tokens: int


def second_turn(effort: Effort) -> Iterator[Row]:
    """A row for each model and engine: milliseconds to the first token of the second turn, beside the first turn's."""
    rng = random.Random(1)
    for model in models(effort):
        for engine in engines(effort):
            with serving(engine, model, "--context-length", str(CONTEXT)) as server:
                name = engine.models[model][0]
                converse(server, name, 64, rng)  # so that nothing is new
                what = f"{engine.name}, {model} model"
                turns = [converse(server, name, TOKENS, rng) for _ in effort.rounds(what)]
            yield _row(what, turns)


def _row(what: str, turns: list[Turns]) -> Row:
    prompt, cached = (max(getattr(one, name) for one in turns) for name in ("prompt_tokens", "cached_tokens"))
    told = f"{what} ({cached:,} of {prompt:,} tokens cached)"
    second, first = [one.second for one in turns], [one.first for one in turns]
    return ratio(Subject(told, "ms", SHARE), second, first)


def converse(server: Server, model: str, tokens: int, rng: random.Random) -> Turns:
    """Two turns; the second sends back the first with its answer."""
    messages = [{"role": "user", "content": story(server, model, tokens, rng)}]
    body: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": ANSWER_TOKENS}
    first = asyncio.run(chat(server.url, {**body, "messages": messages}))
    said = _ask(server, "/v1/chat/completions", {**body, "messages": messages})["choices"][0]["message"]["content"]
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": FOLLOW_UP}]
    second = asyncio.run(chat(server.url, {**body, "messages": messages}))
    return Turns(first.first * 1000, second.first * 1000, second.prompt_tokens, second.cached)


def story(server: Server, model: str, tokens: int, rng: random.Random) -> str:
    """A text of about that many tokens that no other conversation begins with."""
    words = WORDS.split()
    chosen = [str(rng.randrange(10**6)), *(rng.choice(words) for _ in range(tokens))]
    count = _ask(server, "/v1/tokenize", {"model": model, "prompt": " ".join(chosen)})["count"]
    return " ".join(chosen[: max(2, round(len(chosen) * tokens / count))])


def _ask(server: Server, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)
