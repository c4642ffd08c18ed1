"""What is written once for every text runtime, driven by an engine that says what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.text import TextRuntime
from fluid_server.runtimes.text_plan import Piece, Plan, complete, kv_tokens
from fluid_server.types import (
    Cancelled,
    ChoiceEnd,
    Done,
    Event,
    Format,
    GenerateRequest,
    Kind,
    Message,
    ModelInfo,
    ModelSpec,
    RuntimeOptions,
    Sampling,
    TextPiece,
    TranscribeRequest,
    Usage,
)

SPEC = ModelSpec(
    id="scripted",
    format=Format.BUILTIN,
    kind=Kind.TEXT,
    path=Path(),
    context_length=10,
    chat_template="{% for m in messages %}{{ m.content }}{% endfor %}",
    sampling=Sampling(temperature=0.0, top_k=7),
)


class Scripted(TextRuntime):
    """One token a character; says ``script`` one piece a step."""

    name = "scripted"
    script = ("one ", "two ", "three")
    parallel = 2

    def open(self, spec: ModelSpec, options: RuntimeOptions, progress: object) -> ModelInfo:
        self.said: dict[int, int] = {}
        self.plans: list[Plan] = []
        return ModelInfo(runtime="scripted", device="CPU", parallel=self.parallel, context_length=spec.context_length)

    def encode(self, text: str, *, special: bool) -> list[int]:
        return [1] * special + [ord(letter) for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(one) for one in ids)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        if prompt == [ord("!")]:
            raise EngineFailed("cannot start")
        self.said[sequence] = 0
        self.plans.append(plan)

    def advance(self) -> list[Piece]:
        return [self.say(sequence) for sequence in self.said]

    def say(self, sequence: int) -> Piece:
        number = self.said[sequence]
        self.said[sequence] += 1
        last = number + 1 == len(self.script)
        return Piece(sequence, self.script[number], 2, "stop" if last else None, cached_tokens=1)

    def release(self, sequence: int) -> None:
        del self.said[sequence]


@pytest.fixture
def runtime() -> Scripted:
    made = Scripted()
    made.load(SPEC, RuntimeOptions(), lambda text, done: None)
    return made


def ask(text: str = "hi", **fields: Any) -> GenerateRequest:
    return GenerateRequest(messages=(Message(role="user", content=text),), **fields)


def finish(runtime: Scripted, limit: int = 20) -> list[tuple[int, Event | FluidError]]:
    events: list[tuple[int, Event | FluidError]] = []
    for _ in range(limit):
        if not runtime.busy:
            return events
        events += runtime.step()
    raise AssertionError("the runtime does not end")


def text_of(events: list[tuple[int, Event | FluidError]], request: int, choice: int = 0) -> str:
    return "".join(
        event.text
        for number, event in events
        if number == request and isinstance(event, TextPiece) and event.choice == choice
    )


def test_pieces_then_the_end_then_exact_usage(runtime: Scripted) -> None:
    runtime.add(1, ask())
    assert finish(runtime) == [
        (1, TextPiece(0, "one ")),
        (1, TextPiece(0, "two ")),
        (1, TextPiece(0, "three")),
        (1, ChoiceEnd(0, "stop")),
        (1, Done(Usage(prompt_tokens=2, completion_tokens=6, cached_tokens=1))),
    ]


def test_a_stop_string_across_pieces_ends_the_choice_and_is_not_shown(runtime: Scripted) -> None:
    runtime.add(1, ask(stop=("e tw",)))
    events = finish(runtime)
    assert text_of(events, 1) == "on"
    assert (1, ChoiceEnd(0, "stop")) in events
    assert runtime.said == {}


def test_text_that_was_held_back_for_a_stop_comes_out_at_the_end(runtime: Scripted) -> None:
    runtime.add(1, ask(stop=("three four",)))
    assert text_of(finish(runtime), 1) == "one two three"


def test_choices_beyond_the_places_wait_and_all_finish(runtime: Scripted) -> None:
    runtime.add(1, ask(n=3))
    runtime.step()
    assert len(runtime.said) == 2
    events = finish(runtime)
    assert [text_of(events, 1, choice) for choice in (1, 2)] == ["two three", "one two three"]
    assert isinstance(events[-1][1], Done)


def test_counters_tell_running_from_waiting(runtime: Scripted) -> None:
    for number in range(3):
        runtime.add(number, ask())
    runtime.step()
    assert (runtime.counters.running, runtime.counters.waiting) == (2, 1)


def test_a_cancelled_request_frees_its_places_at_once(runtime: Scripted) -> None:
    runtime.add(1, ask(n=2))
    runtime.step()
    assert runtime.cancel(1) == [(1, Cancelled())]
    assert (runtime.said, runtime.busy, runtime.counters.cancelled) == ({}, False, 1)


def test_a_waiting_request_can_be_cancelled(runtime: Scripted) -> None:
    runtime.add(1, ask(n=2))
    runtime.add(2, ask())
    runtime.step()
    runtime.cancel(2)
    assert {number for number, _ in finish(runtime)} == {1}


def test_cancelling_what_has_ended_says_nothing(runtime: Scripted) -> None:
    runtime.add(1, ask())
    finish(runtime)
    assert runtime.cancel(1) == []


def test_a_choice_that_cannot_start_fails_its_request_and_no_other(runtime: Scripted) -> None:
    runtime.add(1, ask("!"))
    runtime.add(2, ask())
    events = finish(runtime)
    (failure,) = [event for number, event in events if number == 1]
    assert isinstance(failure, EngineFailed)
    assert text_of(events, 2) == "one two three"


def test_an_error_in_a_step_ends_all_choices_of_its_request(runtime: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.add(1, ask(n=2))
    monkeypatch.setattr(runtime, "say", lambda sequence: Piece(sequence, error=EngineFailed("broken")))
    events = finish(runtime)
    assert [type(event) for _, event in events] == [EngineFailed]
    assert runtime.counters.failed == 1


def test_a_prompt_that_fills_the_context_is_refused_with_the_figures(runtime: Scripted) -> None:
    with pytest.raises(ContextTooLong, match=r"10 tokens.*take 10"):
        runtime.add(1, ask("x" * 10))
    assert not runtime.busy


def test_max_tokens_is_cut_to_what_the_context_leaves(runtime: Scripted) -> None:
    runtime.add(1, ask("x" * 4, max_tokens=100))
    runtime.step()
    assert runtime.plans[0].max_tokens == 6


def test_an_empty_prompt_is_refused(runtime: Scripted) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        runtime.add(1, ask(""))


def test_plain_text_gets_the_tokenizers_special_tokens_and_a_rendered_prompt_does_not(runtime: Scripted) -> None:
    runtime.add(1, GenerateRequest(text="hi"))
    runtime.add(2, ask("hi"))
    usages = {number: event.usage for number, event in finish(runtime) if isinstance(event, Done)}
    assert {number: usage.prompt_tokens for number, usage in usages.items()} == {1: 3, 2: 2}


def test_a_text_model_refuses_to_transcribe(runtime: Scripted) -> None:
    with pytest.raises(InvalidRequest):
        runtime.add(1, TranscribeRequest(audio=b""))


def test_every_choice_draws_its_own_numbers(runtime: Scripted) -> None:
    runtime.add(1, ask(n=2, sampling=Sampling(seed=5)))
    runtime.step()
    assert [plan.sampling.seed for plan in runtime.plans] == [5, 6]


def test_what_was_asked_wins_over_the_models_defaults_and_those_over_openais() -> None:
    made = complete(Sampling(temperature=0.5), Sampling(temperature=0.0, top_k=7))
    assert (made.temperature, made.top_k, made.top_p) == (0.5, 7, 1.0)


def test_without_a_seed_two_requests_draw_differently() -> None:
    assert len({complete(Sampling(), Sampling()).seed for _ in range(8)}) > 1


def test_negative_and_huge_seeds_become_valid_ones() -> None:
    for seed in (-1, 2**63, 2**64 - 1):
        made = complete(Sampling(seed=seed), Sampling()).seed
        assert made is not None
        assert 0 <= made < 2**31


@pytest.mark.parametrize(
    ("budget", "per_token", "context", "tokens"),
    [
        (None, 100, 1000, 4000),  # no budget: room for every place
        (10**9, None, 1000, 4000),  # nobody knows what a token takes
        (400_000, 100, 1000, 4000),
        (250_000, 100, 1000, 2500),  # fewer full contexts than places
        (50_000, 100, 500, 500),  # not even one: the context shrinks
        (0, 100, 256, 256),  # never below what a short chat needs
    ],
)
def test_the_cache_is_cut_by_the_budget(budget: int | None, per_token: int | None, context: int, tokens: int) -> None:
    spec = ModelSpec(id="m", format=Format.GGUF, kind=Kind.TEXT, path=Path(), context_length=1000)
    found = kv_tokens(RuntimeOptions(parallel=4, kv_budget_bytes=budget), spec, per_token)
    assert found[:2] == (context, tokens)
    assert bool(found[2]) == (context < 1000)
