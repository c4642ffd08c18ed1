"""States of a slot."""

from __future__ import annotations

import pytest

from fluid_server.catalog.builtin import echo_spec
from fluid_server.errors import ModelFailed
from fluid_server.managers.slot import ALLOWED, Slot, State, cool_down

PATHS = {
    State.ABSENT: [],
    State.LOADING: [State.LOADING],
    State.WARMING: [State.LOADING, State.WARMING],
    State.READY: [State.LOADING, State.WARMING, State.READY],
    State.DRAINING: [State.LOADING, State.WARMING, State.READY, State.DRAINING],
    State.FAILED: [State.LOADING, State.FAILED],
}


def slot_in(state: State) -> Slot:
    slot = Slot(echo_spec())
    for step in PATHS[state]:
        slot.move(step, failure=ModelFailed("broken"))
    return slot


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("end", State)
def test_only_the_allowed_steps_are_taken(start: State, end: State) -> None:
    slot = slot_in(start)
    if end in ALLOWED[start]:
        slot.move(end)
        assert slot.state is end
    else:
        with pytest.raises(RuntimeError, match=f"from {start} to {end}"):
            slot.move(end)


def test_the_cool_down_doubles_from_ten_seconds_to_five_minutes() -> None:
    assert [cool_down(number) for number in range(1, 8)] == [10, 20, 40, 80, 160, 300, 300]


def test_a_failed_slot_rests_and_keeps_its_reason() -> None:
    slot = slot_in(State.FAILED)
    assert 9 < slot.resting <= 10
    assert slot.failure is not None
    slot.move(State.LOADING)
    slot.move(State.FAILED, failure=ModelFailed("again"))
    assert 19 < slot.resting <= 20


def test_success_forgets_the_failures() -> None:
    slot = slot_in(State.FAILED)
    for step in PATHS[State.READY]:
        slot.move(step)
    assert (slot.failures, slot.failure, slot.resting) == (0, None, 0)
    assert slot.idle_since is not None


@pytest.mark.parametrize(
    ("state", "words"), [(State.ABSENT, "absent"), (State.LOADING, "loading"), (State.FAILED, "failed")]
)
def test_a_waiting_client_is_told_what_goes_on(state: State, words: str) -> None:
    assert slot_in(state).activity().startswith(words)
