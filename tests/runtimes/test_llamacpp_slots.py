"""Which slot a prompt goes to."""

from __future__ import annotations

from fluid_server.runtimes.llamacpp_slots import Slots, common

LONG = list(range(1000))
OTHER = [0, 1, *range(5000, 6000)]


def used(slots: Slots, prompt: list[int]) -> int:
    number = slots.take(prompt)
    slots.free(number)
    return number


def test_prompts_are_compared_from_their_beginning() -> None:
    assert common([1, 2, 3], [1, 2, 4, 3]) == 2
    assert common([], [1]) == 0


def test_the_next_turn_of_a_conversation_goes_where_the_last_one_was() -> None:
    slots = Slots(4)
    first, second = used(slots, LONG), used(slots, OTHER)
    assert first != second
    assert used(slots, [*LONG, 7, 8]) == first
    assert used(slots, [*OTHER, 7]) == second


def test_a_short_prompt_that_begins_alike_takes_no_conversation_s_place() -> None:
    slots = Slots(3)
    kept = {used(slots, LONG), used(slots, OTHER)}
    assert used(slots, [0, 1, 99]) not in kept


def test_without_an_empty_slot_the_one_that_was_used_longest_ago_goes() -> None:
    slots = Slots(2)
    oldest = used(slots, LONG)
    used(slots, OTHER)
    assert used(slots, [77, 78]) == oldest


def test_a_branch_of_a_conversation_takes_its_slot_only_where_that_saves_most_of_the_work() -> None:
    slots = Slots(2)
    first, second = used(slots, OTHER), used(slots, LONG)
    assert used(slots, [*LONG[:400], 7]) == second
    assert used(slots, [3, *range(300)]) == first


def test_small_talk_takes_the_place_of_small_talk() -> None:
    slots = Slots(2)
    kept, other = used(slots, LONG), used(slots, [1, 2, 3])
    assert [used(slots, [number, 2, 3]) for number in range(5)] == [other] * 5
    assert used(slots, [*LONG, 7]) == kept


def test_a_conversation_that_lies_still_gives_way_in_the_end() -> None:
    slots = Slots(2)
    still = used(slots, LONG)
    turns = [used(slots, list(range(number, number + 500))) for number in range(2000, 9000, 1000)]
    assert still in turns


def test_a_busy_slot_is_not_taken() -> None:
    slots = Slots(2)
    first = slots.take(LONG)
    assert slots.take(LONG) != first
