"""The second turn of a long conversation: its time to first token beside the first turn's, in the same run.

uv run benchmarks/second_turn.py                     both runtimes, 1,500 tokens, 7 conversations each
uv run benchmarks/second_turn.py --tokens 800 --repeats 3 --json FILE

What the turns have in common is read from the prefix cache. The ratio is the second turn's time over the first's; the
server's own count of cached tokens stands beside it. Each conversation has other words, so none helps another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.server import Server, chat  # noqa: E402 - found beside this file, however it is started

MODELS = {"openvino": "fluid-tiny-ov", "llamacpp": "fluid-tiny-gguf:F16"}
TEXT = "the old green house at the river was quiet and a small bird sang near the open window every morning"
FOLLOW_UP = "What is the capital of France?"
ANSWER_TOKENS = 8


@dataclass(frozen=True)
class Turns:
    """One conversation: seconds to the first token of each turn, the second's prompt and what of it was cached."""

    runtime: str
    first: float
    second: float
    prompt_tokens: int
    cached_tokens: int


def _ask(server: Server, path: str, body: dict[str, Any]) -> Any:
    import urllib.request

    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def story(server: Server, model: str, tokens: int, rng: random.Random) -> str:
    """A text of about that many tokens that no other conversation begins with."""
    words = TEXT.split()
    chosen = [str(rng.randrange(10**6)), *(rng.choice(words) for _ in range(tokens))]
    count = _ask(server, "/v1/tokenize", {"model": model, "prompt": " ".join(chosen)})["count"]
    return " ".join(chosen[: max(2, round(len(chosen) * tokens / count))])


def converse(server: Server, runtime: str, tokens: int, rng: random.Random) -> Turns:
    """Two turns; the second sends back the first with its answer."""
    model = MODELS[runtime]
    messages = [{"role": "user", "content": story(server, model, tokens, rng)}]
    body: dict[str, Any] = {"model": model, "temperature": 0, "max_tokens": ANSWER_TOKENS}
    first = asyncio.run(chat(server.url, {**body, "messages": messages}))
    said = _ask(server, "/v1/chat/completions", {**body, "messages": messages})["choices"][0]["message"]["content"]
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": FOLLOW_UP}]
    second = asyncio.run(chat(server.url, {**body, "messages": messages}))
    usage = _ask(server, "/v1/chat/completions", {**body, "messages": messages})["usage"]
    return Turns(runtime, first.first, second.first, usage["prompt_tokens"], second.cached)


def measure(runtimes: Sequence[str], tokens: int, repeats: int, seed: int) -> list[Turns]:
    """Conversations with each runtime in turn, so that what else the machine does meets all alike."""
    rng = random.Random(seed)
    server = Server("--no-warm-up", "--idle-timeout", "0")
    try:
        for runtime in runtimes:
            converse(server, runtime, 64, rng)  # loads the model
        return [converse(server, runtime, tokens, rng) for _ in range(repeats) for runtime in runtimes]
    finally:
        server.stop()


def told(values: Sequence[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(turns: Sequence[Turns]) -> str:
    """Markdown: medians with minimum and maximum."""
    lines = [
        "| runtime | prompt tokens | of them cached | first turn, ms | second turn, ms | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for runtime in dict.fromkeys(one.runtime for one in turns):
        mine = [one for one in turns if one.runtime == runtime]
        cells = (
            runtime,
            told([one.prompt_tokens for one in mine], 0),
            told([one.cached_tokens for one in mine], 0),
            told([one.first * 1000 for one in mine]),
            told([one.second * 1000 for one in mine]),
            told([one.second / one.first for one in mine], 2),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--runtime", choices=MODELS, action="append", help="only this one (default: both)")
    command.add_argument("--tokens", type=int, default=1500, help="tokens of the first turn (default: 1500)")
    command.add_argument("--repeats", type=int, default=7, help="conversations with each (default: 7)")
    command.add_argument("--seed", type=int, default=1, help="which words (default: 1)")
    command.add_argument("--json", type=Path, help="write the figures of every conversation there too")
    chosen = command.parse_args(arguments)
    turns = measure(chosen.runtime or list(MODELS), chosen.tokens, chosen.repeats, chosen.seed)
    print(table(turns))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(one) for one in turns], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
