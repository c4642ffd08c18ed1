"""Prompts of a wished length, with and without a common beginning, and how they are asked."""

from __future__ import annotations

from itertools import takewhile

import pytest

from fluid_server.cli.bench_prompts import COMPLETION, Ask, Prompts, words_for


def test_prompts_differ_from_the_first_word_on() -> None:
    prompts = Prompts(words=50, seed=1)
    drawn = [prompts.prompt(str(index)) for index in range(100)]
    assert len({prompt.split()[0] for prompt in drawn}) == 100
    assert {len(prompt.split()) for prompt in drawn} == {len(drawn[0].split())}


def test_the_same_seed_gives_the_same_prompts_and_another_one_others() -> None:
    assert Prompts(50, seed=1).prompt("7") == Prompts(50, seed=1).prompt("7")
    assert Prompts(50, seed=1).prompt("7") != Prompts(50, seed=2).prompt("7")


def test_a_shared_prefix_is_most_of_a_prompt_and_the_end_is_its_own() -> None:
    prompts = Prompts(words=50, seed=1, shared=True)
    first, other = prompts.prompt("1").split(), prompts.prompt("2").split()
    common = list(takewhile(lambda pair: pair[0] == pair[1], zip(first, other, strict=True)))
    assert len(first) - 10 <= len(common) < len(first)
    assert first[-3:] != other[-3:]


@pytest.mark.parametrize("each", [0.8, 1.0, 1.7])
def test_the_length_of_a_word_in_tokens_follows_from_two_prompts(each: float) -> None:
    def tokens(words: int) -> int:
        return round(20 + each * words)

    counted = {few: tokens(few) for few in (16, 144)}
    assert tokens(words_for(1000, counted)) == pytest.approx(1000, abs=8)


def test_a_prompt_has_a_word_however_short_it_is_wished() -> None:
    assert words_for(1, {16: 40, 144: 200}) == 1
    assert words_for(1, {16: 40, 144: 40}) == 1
    assert words_for(1, {}) == 1


def test_a_server_that_does_not_count_is_given_about_as_many_words() -> None:
    assert 80 < words_for(100, {}) < 120


def test_a_request_says_what_was_asked_for_and_no_more() -> None:
    plain = Ask("m", 5, usage=False).body("hello")
    assert plain == {
        "model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5, "stream": True,
    }  # fmt: skip
    full = Ask("m", 5, COMPLETION, limit="max_completion_tokens", ignore_eos=True, extra={"top_k": 1})
    assert full.body("hello", 1) == {
        "model": "m", "prompt": "hello", "max_completion_tokens": 1, "stream": True, "ignore_eos": True, "top_k": 1,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
