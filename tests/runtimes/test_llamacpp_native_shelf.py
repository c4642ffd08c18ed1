"""What has left the cache: shared beginnings lie there once, the room is kept to, what was used longest ago goes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from fluid_server.runtimes.llamacpp_native_shelf import PART, Saved, Shelf

SYSTEM = list(range(2 * PART))
TOKEN_BYTES = 4


def laid(shelf: Shelf, tokens: Sequence[int]) -> int:
    """How many parts had to be copied for a conversation."""
    copied = 0
    while (gap := shelf.gap(tokens)) is not None:
        copied += 1
        if not shelf.put(gap, tokens, as_saved(tokens[gap.start : gap.end])):
            break
    return copied


def as_saved(tokens: Sequence[int]) -> Saved:
    return np.array(tokens, np.int32).view(np.uint8)


def held(shelf: Shelf, prompt: Sequence[int]) -> list[int]:
    """The tokens that the parts found for a prompt really hold, as far as they are to be used."""
    tokens: list[int] = []
    for part, start, end in shelf.find(prompt):
        assert start == len(tokens)
        tokens += part.saved.view(np.int32)[: end - start].tolist()
    return tokens


def test_what_conversations_begin_with_lies_there_once() -> None:
    shelf = Shelf(10**6, TOKEN_BYTES)
    assert laid(shelf, [*SYSTEM, 1, 2, 3]) == 3
    assert laid(shelf, [*SYSTEM, 9, 9]) == 1
    assert laid(shelf, [*SYSTEM, 1, 2, 3]) == 0
    assert shelf.used == TOKEN_BYTES * (2 * PART + 3 + 2)


def test_the_next_turn_takes_the_place_of_the_end_of_the_last_one() -> None:
    shelf = Shelf(10**6, TOKEN_BYTES)
    laid(shelf, [*SYSTEM, 1, 2, 3])
    assert laid(shelf, [*SYSTEM, 1, 2, 3, 4, 5]) == 1
    assert len(shelf) == 3
    assert laid(shelf, [*SYSTEM, 1, 2]) == 0


@pytest.mark.parametrize("shared", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 2])
def test_a_prompt_finds_as_much_as_it_shares(shared: int) -> None:
    shelf = Shelf(10**6, TOKEN_BYTES)
    talk = [*SYSTEM, -1, -2, -3]
    laid(shelf, talk)
    assert held(shelf, [*talk[:shared], 7777, 7778]) == talk[:shared]


def test_the_last_token_of_a_prompt_is_left_to_be_computed() -> None:
    shelf = Shelf(10**6, TOKEN_BYTES)
    for talk in (SYSTEM, [*SYSTEM, 1, 2]):
        laid(shelf, talk)
        assert held(shelf, talk) == talk[:-1]
    assert held(shelf, []) == []


def test_what_was_used_longest_ago_goes_first_and_from_its_end() -> None:
    shelf = Shelf(TOKEN_BYTES * 5 * PART, TOKEN_BYTES)
    old, new = SYSTEM, [-token - 1 for token in SYSTEM]
    laid(shelf, old)
    laid(shelf, new)
    held(shelf, [*old, 1])
    laid(shelf, [5] * 2 * PART)
    assert [len(held(shelf, [*talk, 1])) for talk in (old, new)] == [2 * PART, PART]


def test_a_conversation_that_is_larger_than_the_room_ends_where_the_room_does() -> None:
    shelf = Shelf(TOKEN_BYTES * (PART + 10), TOKEN_BYTES)
    assert not shelf.fits(2 * PART)
    assert laid(shelf, SYSTEM) == 2
    assert held(shelf, [*SYSTEM, 1]) == SYSTEM[:PART]


def test_the_room_is_never_exceeded_and_no_part_is_left_without_what_comes_before_it() -> None:
    draw = random.Random(5)
    shelf = Shelf(TOKEN_BYTES * 12 * PART, TOKEN_BYTES)
    talks: list[list[int]] = [[draw.randrange(3)]]
    for _ in range(400):
        talk = list(draw.choice(talks))
        del talk[draw.randrange(len(talk) + 1) :]
        talk += [draw.randrange(3)] * draw.randrange(1, 2 * PART)
        talks = [*talks[-20:], talk]
        laid(shelf, talk)
        prompt = [*draw.choice(talks), 4]
        found = held(shelf, prompt)
        assert found == prompt[: len(found)]
        assert shelf.used <= shelf.room
        assert shelf.used == sum(part.saved.nbytes for part in shelf._order)
        assert all(part.before in shelf._order or part.before is shelf._root for part in shelf._order)
