"""Through HTTP beside the engine alone: tokens a second and time to first token; and /health beside 32 streams.

Targets 1, 2 and 4 of the speed page. ``uv run benchmarks/run.py --only throughput`` (or first-token, health).

Server and engine alone are there together, and work in turns, so that what else the machine does meets both. The client
of many streams is a process that costs little (client.py); a first token is waited for here, on a plain socket.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.effort import Effort
from benchmarks.engines import (
    LARGE,
    TINY,
    Engine,
    alone,
    ask_alone,
    body,
    contents,
    engines,
    models,
    serving,
    the_client,
)
from benchmarks.figures import Row, Subject, Target, difference, percentile, ratio, value
from benchmarks.peer import Peer
from benchmarks.server import ROOT, Server, chat

LOADS = (1, 4, 8, 16, 32)
QUICK_LOADS = (1, 16)
THROUGHPUT = {LARGE: Target(0.97), TINY: Target(0.80)}
# Tokens of each stream, by how many there are: a second or some of each, with either model.
TOKENS = {
    TINY: {1: 900, 4: 600, 8: 400, 16: 400, 32: 400},
    LARGE: {1: 96, 4: 64, 8: 48, 16: 48, 32: 32},
}
QUICK_SHARE = 0.5
WARM_UP = {TINY: 100, LARGE: 8}
FIRST_TOKEN = Target(5.0, most=True)
PROMPT_WORDS = {"a short prompt": 0, "a prompt of 300 words": 300}
FIRST_TOKENS = 4  # tokens of an answer whose first one is waited for
HEALTH = Target(20.0, most=True)
MOST_STREAMS = 32


class Numbers:
    """Counts on: no two prompts of a run begin alike."""

    def __init__(self) -> None:
        self._next = 100_000

    def take(self, count: int) -> int:
        """The first of that many new ones."""
        self._next += count
        return self._next - count


@dataclass(frozen=True, slots=True)
class Pair:
    """An engine with a model, alone and behind a server, both loaded; and a client."""

    engine: Engine
    model: str
    peer: Peer
    client: Peer
    url: str
    numbers: Numbers

    def alone(self, messages: Sequence[str], tokens: int) -> float:
        """Generated tokens a second of the engine alone."""
        answer = ask_alone(self.peer, messages, tokens)
        if answer["tokens"] != tokens * len(messages):
            raise RuntimeError("an answer of the engine alone is short")
        return float(answer["tokens"] / answer["seconds"])

    def through(self, messages: Sequence[str], tokens: int) -> float:
        """Generated tokens a second through HTTP."""
        return through_http(self.client, self.url, self.engine.models[self.model][0], messages, tokens)

    def both(self, streams: int, tokens: int, turn: int) -> tuple[float, float]:
        """Through HTTP and alone, one after the other; who begins takes turns too."""
        messages = contents(streams, self.numbers.take(streams))
        if turn % 2:
            through = self.through(messages, tokens)
            return through, self.alone(messages, tokens)
        alone = self.alone(messages, tokens)
        return self.through(messages, tokens), alone


def throughput(effort: Effort) -> Iterator[Row]:
    """A row for each model, engine and load: generated tokens a second."""
    for model in (LARGE, TINY):
        for engine in engines(effort):
            yield from _loads(effort, engine, model)


def _loads(effort: Effort, engine: Engine, model: str) -> Iterator[Row]:
    """All loads of an engine and a model. Each load and repeat has processes of its own, but for the quick form's.

    The same program on the same weights is several percent faster in one process than in the next: how its memory
    lies decides. So what is repeated is not only the load. And our native driver keeps what ended conversations have
    computed, which the bare loop beside it forgets.
    """
    loads = QUICK_LOADS if effort.quick else LOADS
    found: dict[int, list[tuple[float, float]]] = {streams: [] for streams in loads}
    numbers, what = Numbers(), f"{engine.name}, {model} model"
    for turn in range(1 if effort.quick else effort.repeats):
        for group in [list(found)] if effort.quick else [[streams] for streams in found]:
            effort.tell(f"{what}: loading")
            with alone(engine, model) as peer, serving(engine, model) as server, the_client() as client:
                _check_prompts(server, peer, engine, model)
                pair = Pair(engine, model, peer, client, server.url, numbers)
                for streams in group:
                    found[streams] += _paired(effort, pair, streams, turn)
    for streams, pairs in found.items():
        ours, theirs = zip(*pairs, strict=True)
        place = {"engine": engine.name, "model": model, "streams": str(streams)}
        yield ratio(Subject(f"{what}, {_streams(streams)}", "tokens/s", THROUGHPUT[model], place), ours, theirs)


def _paired(effort: Effort, pair: Pair, streams: int, turn: int) -> list[tuple[float, float]]:
    effort.tell(f"{pair.engine.name}, {pair.model} model, {_streams(streams)}, {turn + 1} of {effort.repeats}")
    tokens = round(TOKENS[pair.model][streams] * (QUICK_SHARE if effort.quick else 1))
    pair.both(streams, WARM_UP[pair.model], turn)  # not counted: the engine makes its kernels for this size
    again = range(effort.repeats if effort.quick else 1)
    return [pair.both(streams, tokens, turn + number) for number in again]


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"


def first_token(effort: Effort) -> Iterator[Row]:
    """A row for each model and engine, with a short and a longer prompt: milliseconds to one client's first token."""
    count = 3 * effort.repeats
    for model in models(effort):
        for engine in engines(effort):
            effort.tell(f"{engine.name}, {model} model: loading")
            with alone(engine, model) as peer, serving(engine, model) as server:
                _check_prompts(server, peer, engine, model)
                numbers = Numbers()
                for told, words in PROMPT_WORDS.items():
                    what = f"{engine.name}, {model} model, {told}"
                    rounds = effort.rounds(what, 1 + (count if model == TINY or not words else effort.repeats))
                    pairs = [_first(server, peer, engine, model, contents(1, numbers.take(1), words)) for _ in rounds]
                    ours, theirs = zip(*pairs[1:], strict=True)  # in the first one everything is new
                    yield difference(Subject(what, "ms", FIRST_TOKEN), ours, theirs)


def _first(server: Server, peer: Peer, engine: Engine, model: str, messages: Sequence[str]) -> tuple[float, float]:
    """Milliseconds to the first text through HTTP, and to the first token of the engine alone."""
    theirs = ask_alone(peer, messages, FIRST_TOKENS)["first"][0]
    ours = asyncio.run(chat(server.url, body(engine.models[model][0], messages[0], FIRST_TOKENS))).first
    return ours * 1000, theirs * 1000


def health(effort: Effort) -> Iterator[Row]:
    """A row for each model and engine: /health at the 99th percentile while 32 streams run, beside it while none do."""
    for model in models(effort):
        for engine in engines(effort):
            effort.tell(f"{engine.name}, {model} model: loading")
            with serving(engine, model) as server, the_client() as client:
                what, name = f"{engine.name}, {model} model", engine.models[model][0]
                yield _health(effort, what, server, client, name, TOKENS[model][MOST_STREAMS])


def _health(effort: Effort, what: str, server: Server, client: Peer, name: str, tokens: int) -> Row:
    busy, idle, numbers = [], [], Numbers()
    through_http(client, server.url, name, contents(MOST_STREAMS, numbers.take(MOST_STREAMS)), 8)
    for _ in effort.rounds(what, 1 if effort.quick else effort.repeats):
        idle.append(_watched(server, partial(time.sleep, 1.0)))
        messages = contents(MOST_STREAMS, numbers.take(MOST_STREAMS))
        busy.append(_watched(server, partial(through_http, client, server.url, name, messages, tokens)))
    return value(Subject(what, "ms", HEALTH), busy, idle)


def _watched(server: Server, work: Callable[[], object]) -> float:
    """The 99th percentile of /health in milliseconds while something is done."""
    watcher = watch(server.url)
    try:
        started = time.perf_counter()
        work()
        ended = time.perf_counter()
        seen = json.loads(watcher.communicate()[0])
    finally:
        watcher.kill()  # where it has not ended by itself
    return percentile([took for when, took in seen if started <= when <= ended], 0.99)


def _check_prompts(server: Server, peer: Peer, engine: Engine, model: str) -> None:
    """See that both sides are asked the same. Errors: RuntimeError where they are not."""
    message = contents(1, 1)
    theirs = ask_alone(peer, message, 8)["prompt_tokens"]
    answer = asyncio.run(chat(server.url, body(engine.models[model][0], message[0], 8)))
    if answer.prompt_tokens != theirs:
        raise RuntimeError(f"{engine.name} alone reads {theirs} tokens where the server reads {answer.prompt_tokens}")


def through_http(client: Peer, url: str, model: str, messages: Sequence[str], tokens: int) -> float:
    """Generated tokens a second of these streams together."""
    answer = client.ask({"url": url, "bodies": [body(model, one, tokens) for one in messages]})
    if answer["tokens"] != [tokens] * len(messages):
        raise RuntimeError(f"an answer of the server is short: {answer['tokens']} tokens instead of {tokens} each")
    return float(tokens * len(messages) / answer["seconds"])


def watch(url: str) -> subprocess.Popen[str]:
    """`health_watch.py` on this server, once it has been answered: its process takes longer to start than a burst."""
    command = [sys.executable, str(ROOT / "benchmarks" / "health_watch.py"), url]
    watcher = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert watcher.stdout is not None
    watcher.stdout.readline()
    return watcher
