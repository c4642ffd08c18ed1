"""Prefixes are shared, and nobody reads what another one wrote: the guard alone, then on the real engine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from fluid_server.errors import FluidError
from fluid_server.runtimes.openvino_prefixes import PrefixGuard
from fluid_server.runtimes.table import create
from fluid_server.runtimes.text import TextRuntime
from fluid_server.types import Event, GenerateRequest, RuntimeOptions, TextPiece
from tests.runtimes.engines import GREEDY, SPECS, Numbers, answers, usage_of

BLOCK, CHUNK = 32, 256
LONG = list(range(100, 400))
# Computed alike whatever else is in the batch, so that answers can be compared to the digit.
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


def guard_with(prompt: list[int], generated: int, blocks: int | None = 1000) -> PrefixGuard:
    guard = PrefixGuard(BLOCK, blocks, CHUNK)
    guard.start(1, prompt)
    guard.grow(1, range(generated))
    return guard


def test_a_shared_beginning_waits_until_it_is_computed() -> None:
    assert not guard_with(LONG, 0).may_start([*LONG[:40], 1])
    assert not guard_with(LONG, 1).may_start([*LONG[:40], 1])
    assert guard_with(LONG, 2).may_start([*LONG[:40], 1])


def test_a_beginning_shorter_than_a_block_is_no_reason_to_wait() -> None:
    assert guard_with(LONG, 0).may_start([*LONG[:31], 1])


def test_it_is_where_a_short_prompt_was_just_that() -> None:
    guard = PrefixGuard(BLOCK, 1000, CHUNK)
    guard.start(1, LONG[:5])
    guard.grow(1, [1])
    guard.end(1)
    guard.start(2, LONG)
    assert not guard.may_start([*LONG[:31], 1])
    assert guard.may_start([*LONG[:4], 1])


def test_what_continues_a_running_answer_waits_until_they_part() -> None:
    guard = guard_with([1, 2, 3], 3)
    assert not guard.may_start([1, 2, 3, 0, 1, 2, 9, 9])
    guard.grow(1, [50, 51, 52])
    assert guard.may_start([1, 2, 3, 0, 1, 2, 9, 9])


def cached(guard: PrefixGuard, sequence: int, prompt: list[int], steps: int = 9) -> int:
    guard.start(sequence, prompt)
    for _ in range(steps):
        guard.step()
    return guard.cached(sequence)


def test_whole_blocks_that_were_computed_are_certain_to_be_there() -> None:
    guard = guard_with(LONG, 2)
    guard.end(1)
    assert cached(guard, 2, [*LONG[:100], 1]) == 96
    assert cached(guard, 3, [1, *LONG]) == 0
    assert cached(guard, 4, LONG[:96]) == 95


def test_nothing_is_certain_once_blocks_had_to_be_given_away() -> None:
    guard = guard_with(LONG, 2, blocks=8)
    guard.end(1)
    assert cached(guard, 2, LONG) == 0


def test_what_took_fewer_steps_than_it_must_was_there() -> None:
    assert cached(guard_with([1], 2), 2, LONG, steps=1) == 300 - CHUNK
    assert cached(guard_with([1], 2), 2, LONG, steps=2) == 0


@pytest.fixture(scope="module", params=[1, 8])
def runtime(request: pytest.FixtureRequest) -> Iterator[TextRuntime]:
    made = opened(RuntimeOptions(parallel=request.param, properties=EXACT))
    yield made
    made.close()


@pytest.fixture(scope="module")
def alone() -> Iterator[TextRuntime]:
    """Without a prefix cache: it could not hold two whole contexts."""
    made = opened(RuntimeOptions(parallel=2, properties=EXACT, kv_budget_bytes=3072 * 2048))
    yield made
    made.close()


def opened(options: RuntimeOptions) -> TextRuntime:
    pytest.importorskip("openvino_genai", reason="openvino-genai has no wheel for this platform")
    made = create("openvino")
    assert isinstance(made, TextRuntime)
    made.load(SPECS["fluid-tiny-ov"], options, lambda text, done: None)
    return made


def asked(tokens: list[int], limit: int) -> GenerateRequest:
    return GenerateRequest(tokens=tuple(tokens), sampling=GREEDY, max_tokens=limit, ignore_eos=True, logprobs=0)


def told(events: list[Event | FluidError]) -> list[tuple[int, float]]:
    pieces = [event for event in events if isinstance(event, TextPiece)]
    return [(one.token, round(one.logprob, 2)) for piece in pieces for one in piece.logprobs]


def drawn(rng: random.Random, count: int) -> list[int]:
    return [rng.randint(3, 2000) for _ in range(count)]


@pytest.mark.parametrize("seed", range(6))
def test_a_prompt_that_was_cancelled_half_way_poisons_nothing(
    runtime: TextRuntime, alone: TextRuntime, seed: int
) -> None:
    rng = random.Random(seed)
    prompt = drawn(rng, 900)
    answers(runtime, asked(prompt[: rng.randint(1, 31)], 1))
    number = Numbers.next()
    runtime.add(number, asked(prompt, 4))
    for _ in range(rng.choice([1, 2])):
        runtime.step()
    runtime.cancel(number)
    assert runtime.counters.running + runtime.counters.waiting <= 1
    while runtime.busy:
        runtime.step()
    assert told(answers(runtime, asked(prompt, 4))[0]) == told(answers(alone, asked(prompt, 4))[0])


@pytest.mark.parametrize("seed", range(4))
def test_answers_side_by_side_are_those_given_alone(runtime: TextRuntime, alone: TextRuntime, seed: int) -> None:
    """Bursts of prompts with beginnings of every length, some of them whole earlier conversations, some cancelled."""
    rng = random.Random(seed)
    trunks = [drawn(rng, 500) for _ in range(3)]
    requests: dict[int, GenerateRequest] = {}
    heard: dict[int, list[Event | FluidError]] = {}
    while len(heard) < 60 or runtime.busy:
        if len(heard) < 60 and rng.random() < 0.4:
            for request in _burst(rng, trunks):
                number = Numbers.next()
                requests[number], heard[number] = request, []
                runtime.add(number, request)
        for number, event in runtime.step():
            heard[number].append(event)
        if requests and rng.random() < 0.15:
            leaver = rng.choice(sorted(requests))
            if runtime.cancel(leaver):
                del requests[leaver]
    for number, request in requests.items():
        assert told(heard[number]) == told(answers(alone, request)[0]), number


def _burst(rng: random.Random, trunks: list[list[int]]) -> list[GenerateRequest]:
    trunk = rng.choice(trunks)
    beginning = trunk[: rng.choice([rng.randint(1, 40), rng.randint(1, 500), BLOCK * rng.randint(1, 8)])]
    trunks.append([*beginning, *drawn(rng, rng.randint(0, 3))])
    tails: list[Any] = [drawn(rng, rng.choice([0, 1, 5, 31, 32, 33])) for _ in range(rng.randint(1, 6))]
    return [asked([*beginning, *tail], rng.choice([1, 2, 3, 20])) for tail in tails]


def test_a_conversation_goes_on_from_what_is_cached(runtime: TextRuntime) -> None:
    rng = random.Random(99)
    history = drawn(rng, 700)
    (first,) = answers(runtime, asked(history, 3))
    (second,) = answers(runtime, asked([*history, *drawn(rng, 20)], 3))
    assert usage_of(first).cached_tokens == 0
    assert 720 - CHUNK <= usage_of(second).cached_tokens <= 700 // BLOCK * BLOCK


def test_choices_of_one_prompt_share_it(runtime: TextRuntime) -> None:
    tokens = tuple(drawn(random.Random(7), 620))
    (events,) = answers(runtime, GenerateRequest(tokens=tokens, n=3, max_tokens=4, ignore_eos=True))
    assert usage_of(events).cached_tokens >= 620 - CHUNK
