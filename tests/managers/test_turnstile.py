"""Who goes next: clients take turns."""

from __future__ import annotations

import pytest

from fluid_server.managers.turnstile import Pass, Turnstile


def lined_up(turnstile: Turnstile, *clients: str) -> list[Pass]:
    """One request for each name, in this order; ``ann*3`` wants three places."""
    wishes = [client.partition("*") for client in clients]
    return [turnstile.line_up(client, int(places or 1)) for client, _, places in wishes]


def order(turnstile: Turnstile, waiting: list[Pass]) -> list[str]:
    """Who gets in one after the other, when each leaves before the next."""
    names = []
    while inside := [one for one in waiting if one.has_places]:
        names += [one.client for one in inside]
        waiting = [one for one in waiting if one not in inside]
        for one in inside:
            one.leave()
    assert not waiting
    assert (turnstile.taken, turnstile.inside, turnstile.waiting) == (0, 0, 0)
    return names


@pytest.mark.parametrize(
    ("arriving", "expected"),
    [
        (["ann"], "ann"),
        (["ann", "ann", "bob"], "ann bob ann"),
        (["ann", "ann", "ann", "bob", "bob", "cy"], "ann bob cy ann bob ann"),
        (["bob", "ann", "bob", "ann"], "bob ann bob ann"),
        (["ann"] * 20 + ["bob"], "ann " * 2 + "bob " + "ann " * 18),
    ],
)
def test_clients_take_turns(arriving: list[str], expected: str) -> None:
    turnstile = Turnstile()
    found = order(turnstile, lined_up(turnstile, *arriving))
    # The first is let in as it arrives, before anyone else is there to take turns with.
    assert sorted(found) == sorted(expected.split())
    if "bob" in arriving:
        assert found.index("bob") <= 2


def test_with_one_place_the_position_says_how_many_turns_are_before() -> None:
    turnstile = Turnstile()
    first, *waiting = lined_up(turnstile, "ann", "ann", "ann", "ann", "bob", "bob", "cy")
    assert first.position == 0
    assert [one.position for one in waiting] == [1, 4, 6, 2, 5, 3]
    first.leave()
    assert [one.position for one in waiting] == [0, 3, 5, 1, 4, 2]


def test_the_position_is_the_order_in_which_they_get_in() -> None:
    turnstile = Turnstile()
    waiting = lined_up(turnstile, "ann", "cy", "ann", "bob", "ann", "bob", "cy", "dee", "cy")
    expected = [one.client for one in sorted(waiting, key=lambda one: one.position)]
    assert order(turnstile, waiting) == expected


def test_as_many_get_in_as_there_are_places() -> None:
    turnstile = Turnstile()
    turnstile.open(3)
    waiting = lined_up(turnstile, "ann", "ann*2", "ann", "bob")
    assert [one.has_places for one in waiting] == [True, True, False, False]
    waiting[1].leave()
    assert [one.has_places for one in waiting[2:]] == [True, True]


def test_a_large_request_is_not_overtaken_for_ever() -> None:
    turnstile = Turnstile()
    turnstile.open(2)
    first, second, large, small = lined_up(turnstile, "ann", "bob", "cy*2", "dee")
    first.leave()
    assert not large.has_places
    assert not small.has_places  # its turn comes after the large one's
    second.leave()
    assert large.has_places


def test_a_request_for_more_than_there_is_gets_all_there_is() -> None:
    turnstile = Turnstile()
    turnstile.open(4)
    (large,) = lined_up(turnstile, "ann*100")
    assert large.has_places
    assert turnstile.taken == 4


def test_who_leaves_the_line_is_not_counted_any_more() -> None:
    turnstile = Turnstile()
    first, second, third = lined_up(turnstile, "ann", "ann", "bob")
    second.leave()
    second.leave()
    assert (turnstile.waiting, third.position) == (1, 1)
    first.leave()
    assert third.has_places


def test_more_places_let_more_in() -> None:
    turnstile = Turnstile()
    waiting = lined_up(turnstile, "ann", "bob", "cy")
    turnstile.open(2)
    assert [one.has_places for one in waiting] == [True, True, False]
