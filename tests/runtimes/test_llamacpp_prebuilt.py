"""PrebuiltDriver: conversations that idle leave the KV cache for ordinary memory, and come back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtimes.llamacpp import PREBUILT, Desk

pytest.importorskip("xllamacpp", reason="xllamacpp has no wheel for this platform")

SLOTS = 8
QUESTIONS = [f"{number} bottles stand on the wall. What is the capital of France?" for number in range(3 * SLOTS)]


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    made = Desk(way=PREBUILT, parallel=SLOTS)
    yield made
    made.driver.close()


def test_more_conversations_come_back_than_there_are_slots_and_go_on_as_they_were(desk: Desk) -> None:
    assert desk.driver.reserve_bytes > 0
    first, again = ([desk.ask(question, max_tokens=2, logprobs=0) for question in QUESTIONS] for _ in range(2))
    assert [one.cached for one in again] == [len(desk.ids(question)) - 1 for question in QUESTIONS]
    # The order of the cells is another, and with it the rounding.
    assert [one.logprobs[0].logprob for one in again] == pytest.approx(
        [one.logprobs[0].logprob for one in first], abs=0.1
    )


def test_where_there_is_no_room_beside_the_cache_slots_are_chosen_by_us() -> None:
    small = Desk(way=PREBUILT, parallel=2)
    assert small.driver.reserve_bytes == 0
    first, second = small.ids(QUESTIONS[0]), small.ids(QUESTIONS[1])
    cached = [small.ask(ids, max_tokens=2).cached for ids in (first, second, first, second)]
    assert cached[2:] == [len(first) - 1, len(second) - 1]
    small.driver.close()
