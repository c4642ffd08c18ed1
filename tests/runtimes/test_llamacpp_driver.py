"""Both drivers of llama.cpp on the demo model: biases, penalties, tokens, marks, the prompt cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fluid_server.errors import InvalidRequest
from fluid_server.shapes import Const
from fluid_server.types import Sampling
from tests.runtimes.llamacpp import NATIVE, PREBUILT, Desk

FRANCE = "What is the capital of France?"


@pytest.fixture(scope="module", params=[NATIVE, PREBUILT], ids=["native", "prebuilt"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    for module in request.param.modules:
        pytest.importorskip(module, reason=f"{module} is not installed, or has no wheel for this platform")
    made = Desk(way=request.param)
    yield made
    made.driver.close()


def token(desk: Desk, text: str) -> int:
    (found,) = desk.driver.encode(text, special=False)
    return found


def test_a_bias_bans_and_forces(desk: Desk) -> None:
    paris, rome = token(desk, " Paris"), token(desk, " Rome")
    assert "Paris" not in desk.ask(FRANCE, logit_bias={paris: -100}).text
    assert desk.ask(FRANCE, logit_bias={rome: 100}, max_tokens=2).text == " Rome Rome"


@pytest.mark.parametrize("bad", [-1, 2048, 10**12])
def test_ids_outside_of_the_vocabulary_are_refused_by_field(desk: Desk, bad: int) -> None:
    with pytest.raises(InvalidRequest, match="0 to 2047") as caught:
        desk.ask(FRANCE, logit_bias={bad: 1})
    assert caught.value.param == "logit_bias"
    for refused in (lambda: desk.driver.decode([bad]), lambda: desk.ask([bad])):
        with pytest.raises(InvalidRequest, match="0 to 2047") as caught:
            refused()
        assert caught.value.param == "prompt"


def test_decoding_gives_special_tokens_texts(desk: Desk) -> None:
    text = "<|im_start|>user\né🦊<|im_end|>\n<tool_call>"
    assert desk.driver.decode(desk.driver.encode(text, special=False)) == text


def test_special_tokens_are_left_out_unless_they_are_marked(desk: Desk) -> None:
    shout = {token(desk, "<|im_start|>"): 100}
    assert desk.ask(FRANCE, logit_bias=shout, max_tokens=3).text == ""
    kept = desk.ask(FRANCE, logit_bias=shout, max_tokens=3, marks=frozenset({"<|im_start|>", "no token"}))
    assert kept.text == "<|im_start|>" * 3


def test_penalties_count_the_answer_and_not_the_prompt(desk: Desk) -> None:
    prompt = "The\n" * 12 + FRANCE
    plain, punished = (
        desk.ask(prompt, sampling=Sampling(temperature=0.0, frequency_penalty=penalty, presence_penalty=penalty))
        for penalty in (0.0, 2.0)
    )
    assert plain.text.startswith("The ")
    assert desk.ids(prompt).count(token(desk, "The")) > 10
    assert punished.text[:4] == plain.text[:4]


def test_a_frequency_penalty_grows_with_every_repetition(desk: Desk) -> None:
    always = {token(desk, " Rome"): 30.0}
    said = [
        desk.ask(
            FRANCE, logit_bias=always, max_tokens=30, sampling=Sampling(temperature=0.0, frequency_penalty=penalty)
        )
        for penalty in (0.0, 2.0)
    ]
    assert said[0].text.count(" Rome") == 30
    assert 0 < said[1].text.count(" Rome") < 30


def test_the_next_turn_reuses_the_last_one_s_cells_whatever_came_between(desk: Desk) -> None:
    history = desk.ids("Tell me a story. " + "The box holds seven stones. " * 60)
    first = desk.ask(history, max_tokens=5)
    desk.ask("Hello", max_tokens=2)
    desk.ask("Hello, how are you?", max_tokens=2)
    second = desk.ask([*history, *desk.ids("And now?")], max_tokens=2)
    assert first.cached < 10
    assert second.cached >= len(history)


def test_a_grammar_that_is_tried_first_does_not_make_a_prompt_look_cached(desk: Desk) -> None:
    prompt = desk.driver.encode("A prompt that nobody has sent. " * 9, special=False)
    fresh, again = (desk.ask(prompt, shape=Const("seen for the first time")) for _ in range(2))
    assert fresh.cached == 0
    assert again.cached == len(prompt) - 1
