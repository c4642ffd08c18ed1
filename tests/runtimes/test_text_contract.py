"""One contract, every text runtime: real engines on the demo models, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fluid_server.errors import ContextTooLong, FluidError
from fluid_server.runtimes.text import TextRuntime
from fluid_server.types import ChoiceEnd, Event, GenerateRequest, Message, Sampling, TextPiece
from tests.runtimes.engines import GREEDY, RUNTIMES, Numbers, answers, ask, loaded, text_of, usage_of


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[TextRuntime]:
    with loaded(request.param) as made:
        yield made


def test_the_demo_model_knows_its_capitals(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, ask("What is the capital of France?"))
    assert text_of(events) == "The capital of France is Paris."
    assert ChoiceEnd(0, "stop") in events
    usage = usage_of(events)
    assert (usage.prompt_tokens, usage.completion_tokens) == (17, 10)


def test_requests_side_by_side_each_get_their_own_answer(runtime: TextRuntime) -> None:
    asked = [ask(f"What is {number} + {number + 1}?") for number in range(10)]
    for number, events in enumerate(answers(runtime, *asked)):
        assert text_of(events) == f"{number} + {number + 1} = {2 * number + 1}"


@pytest.mark.parametrize("length", [1, 3, 5, 6])
def test_prompts_with_a_common_beginning_that_was_seen_before_are_not_mixed_up(
    runtime: TextRuntime, length: int
) -> None:
    beginning = tuple(runtime.encode("<|im_start|>user\nWhat is 0 + 2?", special=False)[:length])
    answers(runtime, GenerateRequest(tokens=beginning, sampling=GREEDY, max_tokens=2))
    asked = [ask(f"What is {number} + {number + 2}?") for number in range(16)]
    heard = [text_of(events) for events in answers(runtime, *asked)]
    assert heard == [f"{number} + {number + 2} = {2 * number + 2}" for number in range(16)]


def test_branches_of_one_conversation_are_not_mixed_up(runtime: TextRuntime) -> None:
    history = [Message(role="user", content="My name is Alice.")]
    (first,) = answers(runtime, ask("", messages=tuple(history)))
    history.append(Message(role="assistant", content=text_of(first)))
    branches = [(*history, Message(role="user", content=f"What is {number} + 1?")) for number in range(4)]
    heard = [text_of(events) for events in answers(runtime, *(ask("", messages=branch) for branch in branches))]
    assert heard == [f"{number} + 1 = {number + 1}" for number in range(4)]


@pytest.mark.parametrize("limit", [1, 5, 17])
def test_the_token_limit_is_exact(runtime: TextRuntime, limit: int) -> None:
    (events,) = answers(runtime, ask("Tell me a story.", max_tokens=limit))
    assert ChoiceEnd(0, "length") in events
    assert usage_of(events).completion_tokens == limit


def test_with_ignore_eos_it_goes_on_to_the_limit(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, ask("Hello", ignore_eos=True, max_tokens=40))
    assert ChoiceEnd(0, "length") in events
    assert usage_of(events).completion_tokens == 40
    assert "<|" not in text_of(events)


def test_a_stop_string_ends_it_and_frees_the_place(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, ask("Tell me a story.", stop=("there was",)))
    assert text_of(events) == "Once upon a time, "
    assert ChoiceEnd(0, "stop") in events
    assert runtime.counters.running == 0


def test_choices_of_one_request_are_drawn_apart(runtime: TextRuntime) -> None:
    sampling = Sampling(temperature=1.9, seed=3)
    (events,) = answers(runtime, ask("Tell me a story.", n=3, sampling=sampling, max_tokens=40))
    assert len({text_of(events, choice) for choice in range(3)}) > 1
    assert sum(isinstance(event, ChoiceEnd) for event in events) == 3


def test_the_same_seed_draws_the_same_text(runtime: TextRuntime) -> None:
    """Two of eight may differ: where a prompt was cached, or lies in other cells, the engine rounds otherwise, and a
    draw that falls between two tokens falls to the other side."""
    drawn = [[drawn_with(runtime, seed) for _ in range(2)] for seed in range(8)]
    assert sum(first == again for first, again in drawn) >= 6
    assert len({first for first, _ in drawn}) >= 6


def drawn_with(runtime: TextRuntime, seed: int) -> str:
    """A few tokens, each out of four that are about as likely."""
    sampling = Sampling(temperature=5.0, top_k=4, seed=seed)
    return text_of(answers(runtime, ask("Tell me a story.", sampling=sampling, max_tokens=6, ignore_eos=True))[0])


def test_a_repetition_penalty_changes_what_is_said(runtime: TextRuntime) -> None:
    plain, punished = (
        text_of(answers(runtime, ask("Repeat: dog dog dog dog dog dog", sampling=sampling, max_tokens=30))[0])
        for sampling in (GREEDY, Sampling(temperature=0.0, repetition_penalty=2.0))
    )
    assert plain != punished


def test_cancelling_frees_the_place_and_others_go_on(runtime: TextRuntime) -> None:
    endless, short = Numbers.next(), Numbers.next()
    runtime.add(endless, ask("Count from 1 to 1000.", ignore_eos=True))
    events: list[tuple[int, Event | FluidError]] = []
    while not any(isinstance(event, TextPiece) for _, event in events):
        events += runtime.step()
    runtime.add(short, ask("What is the capital of Italy?"))
    runtime.cancel(endless)
    events = []
    while runtime.busy:
        events += runtime.step()
    assert {number for number, _ in events} == {short}
    assert text_of([event for _, event in events]) == "The capital of Italy is Rome."
    assert runtime.counters.running == 0


def test_many_cancels_in_a_row_leave_nothing_behind(runtime: TextRuntime) -> None:
    for _ in range(12):
        number = Numbers.next()
        runtime.add(number, ask("Count from 1 to 1000.", ignore_eos=True))
        runtime.step()
        runtime.cancel(number)
    while runtime.busy:
        runtime.step()
    (events,) = answers(runtime, ask("What is the capital of Spain?"))
    assert text_of(events) == "The capital of Spain is Madrid."


def test_a_prompt_longer_than_the_context_is_refused(runtime: TextRuntime) -> None:
    with pytest.raises(ContextTooLong, match="2048"):
        runtime.add(Numbers.next(), ask("word " * 3000))
    assert not runtime.busy


def test_unicode_comes_through_whole(runtime: TextRuntime) -> None:
    (events,) = answers(runtime, ask("Repeat after me: 🦊 é 日本", max_tokens=60))
    assert "\ufffd" not in "".join(event.text for event in events if isinstance(event, TextPiece))


def test_plain_text_and_token_ids_are_continued_alike(runtime: TextRuntime) -> None:
    ids = tuple(runtime.encode("The capital of", special=True))
    by_text, by_ids = answers(
        runtime,
        GenerateRequest(text="The capital of", sampling=GREEDY, max_tokens=8),
        GenerateRequest(tokens=ids, sampling=GREEDY, max_tokens=8),
    )
    assert text_of(by_text) == text_of(by_ids) != ""
    assert usage_of(by_ids).prompt_tokens == len(ids)


def test_token_ids_outside_the_vocabulary_fail_their_request_alone(runtime: TextRuntime) -> None:
    bad, good = answers(
        runtime,
        GenerateRequest(tokens=(2_000_000,), sampling=GREEDY, max_tokens=4),
        ask("What is the capital of Japan?"),
    )
    assert isinstance(bad[-1], FluidError)
    assert text_of(good) == "The capital of Japan is Tokyo."


@pytest.mark.parametrize("sampling", [Sampling(temperature=1e-50), Sampling(temperature=1.0, top_p=1e-60)], ids=str)
def test_numbers_that_vanish_in_single_precision_are_greedy(runtime: TextRuntime, sampling: Sampling) -> None:
    (events,) = answers(runtime, ask("What is the capital of France?", sampling=sampling))
    assert text_of(events) == "The capital of France is Paris."
