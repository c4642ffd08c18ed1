"""Greedy accuracy of the language model per skill, on dialogues drawn with a fresh seed, through llama.cpp.

python evaluate.py models/llm/fluid-tiny-gguf/fluid-tiny-F16.gguf --number 40
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from data import Dialogue, Message, Tool, memory_dialogue, render, system_dialogue, tool_dialogue, turns
from exchanges import Exchange, count, person_json, question, reason, repeat
from xllamacpp import CommonParams, Server


class Case(NamedTuple):
    messages: list[Message]
    wanted: str
    tools: list[Tool] | None = None


def start(path: str, threads: int) -> Server:
    params = CommonParams()
    params.model.path = path
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.verbosity = -1
    params.warmup = False
    return Server(params)


def answer(server: Server, case: Case) -> str:
    prompt = render(case.messages, case.tools, ask=True)
    request = {"prompt": prompt, "temperature": 0, "n_predict": 220, "cache_prompt": False}
    reply: dict[str, Any] = server.handle_completions(request)
    return reply["choices"][0]["text"] if "choices" in reply else reply["content"]


def same_text(answered: str, wanted: str) -> bool:
    return answered.strip() == wanted.strip()


def first_call(text: str) -> object:
    """The first tool call of an answer, None where there is none that can be read."""
    _, opened, rest = text.partition("<tool_call>")
    call, closed, _ = rest.partition("</tool_call>")
    try:
        return json.loads(call) if opened and closed else None
    except json.JSONDecodeError:
        return None


def same_call(answered: str, wanted: str) -> bool:
    return first_call(answered) == first_call(wanted)


def from_exchanges(make: Callable[[Random], Exchange], rng: Random, number: int) -> list[Case]:
    drawn = [make(rng) for _ in range(number)]
    return [Case(turns(pair)[:1], pair[1]) for pair in drawn]


def from_dialogues(make: Callable[[Random], Dialogue], rng: Random, number: int) -> list[Case]:
    """The last answer of each is asked for."""
    drawn = [make(rng).messages for _ in range(number)]
    return [Case(messages[:-1], messages[-1]["content"]) for messages in drawn]


def calls_in(dialogue: Dialogue) -> Iterator[Case]:
    for i, message in enumerate(dialogue.messages):
        if "tool_calls" in message:
            call = message["tool_calls"][0]["function"]
            body = f'{{"name": "{call["name"]}", "arguments": {call["arguments"]}}}'
            yield Case(dialogue.messages[:i], f"<tool_call>{body}</tool_call>", dialogue.tools)


def results_in(dialogue: Dialogue) -> Iterator[Case]:
    for i, message in enumerate(dialogue.messages):
        if message["role"] == "tool":
            yield Case(dialogue.messages[: i + 1], dialogue.messages[i + 1]["content"], dialogue.tools)


def skills(rng: Random, number: int) -> Iterator[tuple[str, list[Case]]]:
    yield "facts and sums", from_exchanges(question, rng, 2 * number)
    yield "repeat", from_exchanges(repeat, rng, number)
    yield "count", from_exchanges(count, rng, number)
    yield "json", from_exchanges(person_json, rng, number)
    yield "reasoning", from_exchanges(reason, rng, number)
    yield "memory", from_dialogues(memory_dialogue, rng, number)
    yield "system prompt", from_dialogues(system_dialogue, rng, number)
    tool_dialogues = [tool_dialogue(rng) for _ in range(number)]
    yield "tool call", [case for dialogue in tool_dialogues for case in calls_in(dialogue)]
    yield "tool result", [case for dialogue in tool_dialogues for case in results_in(dialogue)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--number", type=int, default=25, help="dialogues of each skill (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=4242, help="of the dialogues drawn (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--show", type=int, default=2, help="wrong answers to show (default: %(default)s)")
    args = parser.parse_args()
    server = start(args.model, args.threads)
    for skill, cases in skills(Random(args.seed), args.number):
        same = same_call if skill == "tool call" else same_text
        answers = [(case, answer(server, case)) for case in cases]
        wrong = [(case, answered) for case, answered in answers if not same(answered, case.wanted)]
        print(f"{skill:16} {len(cases) - len(wrong)}/{len(cases)}", flush=True)
        for case, answered in wrong[: args.show]:
            print(f"    wanted {case.wanted[:70]!r}, got {answered[:70]!r}")


if __name__ == "__main__":
    main()
