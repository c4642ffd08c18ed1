"""How a budget is parted between llama.cpp's cache and what has left it."""

from __future__ import annotations

import pytest

from fluid_server.runtimes.llamacpp_room import MIB, room_in_the_core
from fluid_server.types import RuntimeOptions

TOKEN = 16 * 1024  # bytes
CONTEXT = 1024


def test_without_a_budget_a_quarter_more_is_taken() -> None:
    cells, size, told = room_in_the_core(RuntimeOptions(), TOKEN, CONTEXT, 16 * CONTEXT)
    assert (cells, size) == (16 * CONTEXT, 4 * CONTEXT * TOKEN)
    assert told * MIB == 3 * CONTEXT * TOKEN  # and the conversation that is one too many


@pytest.mark.parametrize("contexts", [10, 11, 15, 40])
def test_both_together_keep_to_the_budget(contexts: int) -> None:
    budget = contexts * CONTEXT * TOKEN
    cells, size, told = room_in_the_core(RuntimeOptions(kv_budget_bytes=budget), TOKEN, CONTEXT, contexts * CONTEXT)
    assert told > 0
    assert cells * TOKEN + size <= budget
    assert told * MIB + CONTEXT * TOKEN <= size


@pytest.mark.parametrize("contexts", [1, 2, 7])
def test_where_two_contexts_do_not_fit_beside_the_cache_it_keeps_all_cells(contexts: int) -> None:
    options = RuntimeOptions(kv_budget_bytes=contexts * CONTEXT * TOKEN)
    assert room_in_the_core(options, TOKEN, CONTEXT, contexts * CONTEXT) == (contexts * CONTEXT, 0, 0)


@pytest.mark.parametrize(("device", "token"), [("GPU", TOKEN), ("CPU", None), ("CPU", 1)])
def test_none_with_a_gpu_nor_where_the_size_is_not_known_or_next_to_nothing(device: str, token: int | None) -> None:
    assert room_in_the_core(RuntimeOptions(device=device), token, CONTEXT, 16 * CONTEXT) == (16 * CONTEXT, 0, 0)


@pytest.mark.parametrize(("states", "told"), [(0, 3 * CONTEXT * TOKEN), (CONTEXT * TOKEN, 2 * CONTEXT * TOKEN)])
def test_what_recurrent_layers_keep_of_a_conversation_has_room_beside_its_context(states: int, told: int) -> None:
    assert room_in_the_core(RuntimeOptions(), TOKEN, CONTEXT, 16 * CONTEXT, states)[2] * MIB == told


def test_where_a_conversation_would_be_lost_for_its_many_states_all_stay_in_their_slots() -> None:
    states = CONTEXT * TOKEN + 1
    assert room_in_the_core(RuntimeOptions(), TOKEN, CONTEXT, 16 * CONTEXT, states) == (16 * CONTEXT, 0, 0)
