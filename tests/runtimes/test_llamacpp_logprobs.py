"""Log probabilities: those that llama.cpp tells, and those of tokens that it leaves out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.llamacpp_logprobs import Chunk, Recovery, cut, parsed, told
from fluid_server.shapes import Const
from fluid_server.types import Sampling
from tests.runtimes.llamacpp import Desk

pytest.importorskip("xllamacpp", reason="xllamacpp has no wheel for this platform")

FRANCE = "What is the capital of France?"
TOKENS = {b"\xf0": 1, b"\x9f": 2, b"\xf0\x9f": 3, b"\xa6": 4, b"\x9f\xa6": 5}


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.driver.close()


def chunk(text: str, total: int, token: int) -> Chunk:
    entry = {"id": token, "token": text, "bytes": list(text.encode()), "logprob": -1.0, "top_logprobs": []}
    choice = {"text": text, "logprobs": {"content": [entry]}, "finish_reason": None}
    return parsed(json.dumps({"choices": [choice], "timings": {"predicted_n": total}}).encode())


# --- purely ------------------------------------------------------------------------------------------------


def test_bytes_are_cut_into_so_many_tokens() -> None:
    assert list(cut(b"\xf0", 1, TOKENS)) == [[1]]
    assert list(cut(b"\xf0\x9f\xa6", 2, TOKENS)) == [[3, 4], [1, 5]]
    assert list(cut(b"\xf0\x9f\xa6", 3, TOKENS)) == [[1, 2, 4]]
    assert list(cut(b"\xff", 1, TOKENS)) == []


def test_an_entry_keeps_as_many_alternatives_as_are_wanted() -> None:
    entry: dict[str, Any] = {"id": 1, "token": "a", "bytes": [97], "logprob": -0.5}
    read = told({**entry, "top_logprobs": [entry, {**entry, "id": 2}]}, 1)
    assert (read.token, read.text, read.data, read.logprob) == (1, "a", b"a", -0.5)
    assert [one.token for one in read.top] == [1]


def test_chunks_go_on_at_once_until_a_token_is_missing() -> None:
    asked: list[tuple[list[int], int]] = []
    vocabulary = [
        {"id": token, "bytes": list(data), "token": "", "logprob": -float(token)} for data, token in TOKENS.items()
    ]
    vocabulary.append({"id": 9, "bytes": [0x8A], "token": "", "logprob": -9.0})

    def ask(ids: list[int], likeliest: int) -> dict[str, Any]:
        asked.append((ids, likeliest))
        return {"top_logprobs": vocabulary}

    recovery = Recovery([50], 2, ask, 2048)
    assert recovery.watch(chunk("a", 1, 7)) is not None
    assert recovery.watch(chunk("🦊", 4, 9)) is None
    assert recovery.watch(chunk("b", 5, 8)) is None
    first, second = recovery.settle()
    assert [(one.token, one.data, one.text, one.logprob) for one in first.missing] == [
        (3, b"\xf0\x9f", "", -3.0),
        (4, b"\xa6", "", -4.0),
    ]
    assert all(len(one.top) == 2 for one in first.missing)
    assert first.entry is not None
    assert first.entry["bytes"] == [0x8A]
    assert second.missing == []
    assert asked == [([50], 2048), ([50, 7], 100), ([50, 7, 3], 100)]


def test_a_token_without_any_probability_is_a_failure() -> None:
    recovery = Recovery([50], 0, lambda ids, likeliest: {"top_logprobs": []}, 2048)
    with pytest.raises(EngineFailed, match="token 3"):
        recovery._score(3)


# --- on the demo model ---------------------------------------------------------------------------------------


def test_the_texts_of_the_tokens_are_the_text_and_each_is_among_its_likeliest(desk: Desk) -> None:
    heard = desk.ask(FRANCE, logprobs=3)
    assert "".join(one.text for one in heard.logprobs) == heard.text == "The capital of France is Paris."
    for one in heard.logprobs:
        assert (one.top[0].token, one.top[0].logprob) == (one.token, one.logprob)
        assert [other.logprob for other in one.top] == sorted((other.logprob for other in one.top), reverse=True)
        assert len(one.top) == 3


def test_all_probabilities_at_one_place_sum_to_one(desk: Desk) -> None:
    (one,) = desk.ask(FRANCE, logprobs=2048, max_tokens=1).logprobs
    assert math.isclose(sum(math.exp(other.logprob) for other in one.top), 1.0, abs_tol=1e-4)


def test_they_are_the_model_s_own_whatever_the_sampling(desk: Desk) -> None:
    plain = desk.ask(FRANCE, logprobs=5, max_tokens=1)
    bent = desk.ask(
        FRANCE,
        logprobs=5,
        max_tokens=1,
        sampling=Sampling(temperature=1.9, top_k=1, top_p=0.5, frequency_penalty=2.0),
        logit_bias={5: 50},
    )
    for one, other in zip(plain.logprobs[0].top, bent.logprobs[0].top, strict=True):
        assert one.token == other.token
        assert math.isclose(one.logprob, other.logprob, abs_tol=1e-3)


def test_with_none_wanted_there_are_none_and_with_no_alternatives_only_the_token_s_own(desk: Desk) -> None:
    assert desk.ask(FRANCE).logprobs == ()
    assert all(one.top == () for one in desk.ask(FRANCE, logprobs=0).logprobs)


def test_a_character_spread_over_tokens_has_all_of_them(desk: Desk) -> None:
    heard = desk.ask(shape=Const("a🦊é日b"), logprobs=1)
    assert "".join(one.text for one in heard.logprobs) == heard.text == "a🦊é日b"
    assert b"".join(one.data for one in heard.logprobs) == "a🦊é日b".encode()
    assert len(heard.logprobs) == heard.tokens - 1  # but for the end token
    assert all(one.logprob < 0 for one in heard.logprobs)


def test_those_found_again_are_what_they_would_be_as_an_alternative(desk: Desk) -> None:
    heard = desk.ask(shape=Const("🦊"), logprobs=0)
    everything = desk.ask(logprobs=2048, max_tokens=1).logprobs[0].top
    (alternative,) = (one for one in everything if one.data == b"\xf0")
    assert heard.logprobs[0].token == alternative.token
    assert math.isclose(heard.logprobs[0].logprob, alternative.logprob, abs_tol=1e-3)


def test_special_tokens_are_named_among_the_alternatives(desk: Desk) -> None:
    shape = Const("The capital of France is Paris. I")
    behind_the_sentence = desk.ask(FRANCE, logprobs=20, shape=shape).logprobs[9]
    assert "<|im_end|>" in {other.text for other in behind_the_sentence.top}
