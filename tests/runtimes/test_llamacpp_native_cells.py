"""Which sequence of the cache a prompt goes to: nothing that is of use is lost, nothing is computed twice."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from fluid_server.runtimes.llamacpp_native_cells import AT_REST, MOVABLE, WORTH_A_MOVE, Cells, Pool, longest
from fluid_server.runtimes.llamacpp_native_shelf import PART, Saved, Shelf

SYSTEM = list(range(100))
TOKEN_BYTES = 4


@dataclass
class Recorded:
    """A memory of ``room`` tokens that writes down what is done to it, and lets ``saves`` parts be copied out."""

    copies: list[tuple[int, int, int]] = field(default_factory=list)
    whole_only: bool = False
    held: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    saved: int = 0
    moved: list[int] = field(default_factory=list)
    room: int = 10**6
    saves: int = 10**6

    def cut(self, sequence: int, length: int) -> bool:
        if whole := length == 0 or not self.whole_only:
            del self.held[sequence][length:]
        return whole

    def copy(self, source: int, target: int, length: int) -> None:
        self.copies.append((source, target, length))
        self.held[target] = self.held[source][:length]

    def save(self, sequence: int, start: int, end: int) -> Saved | None:
        if self.saved >= self.saves:
            return None
        self.saved += 1
        return np.array([start, *self.held[sequence][start:end]], np.int32).view(np.uint8)

    def restore(self, sequence: int, saved: Saved, start: int, end: int) -> bool:
        first, *tokens = saved.view(np.int32).tolist()
        assert len(self.held[sequence]) == start
        if sum(map(len, self.held.values())) + end - start > self.room:
            return False
        self.held[sequence] += tokens[start - first : end - first]
        return True

    def move(self, sequence: int, length: int) -> None:
        assert len(self.held[sequence]) == length
        self.moved.append(sequence)


def computed(memory: Recorded, cells: Cells, tokens: list[int]) -> None:
    """What a step does."""
    cells.tokens += tokens
    memory.held[cells.number] += tokens


def filled(pool: Pool, tokens: list[int], *, idle: bool = True) -> Cells:
    """A sequence that has computed these tokens."""
    cells = pool.take([*tokens, -1])
    memory = pool._memory
    assert isinstance(memory, Recorded)
    computed(memory, cells, tokens[len(cells.tokens) :])
    if idle:
        pool.release(cells)
    return cells


def test_the_next_turn_lies_down_where_the_last_one_lay() -> None:
    memory = Recorded()
    pool = Pool(memory, 4, divisible=True)
    first = filled(pool, [*SYSTEM, 1, 2, 3])
    filled(pool, [7, 8, 9])
    second = pool.take([*SYSTEM, 1, 2, 3, 4, 5])
    assert second is first
    assert second.tokens == [*SYSTEM, 1, 2, 3]
    assert not memory.copies


def test_a_prompt_with_the_same_beginning_copies_it_and_leaves_the_other_whole() -> None:
    memory = Recorded()
    pool = Pool(memory, 4, divisible=True)
    long = filled(pool, [*SYSTEM, *range(1000, 2000)])
    other = pool.take([*SYSTEM, 5])
    assert other is not long
    assert other.tokens == SYSTEM
    assert len(long.tokens) == 1100
    assert memory.copies == [(long.number, other.number, 100)]


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    pool = Pool(Recorded(), 2, divisible=True)
    filled(pool, [1, 2, 3])
    assert pool.take([1, 2, 3]).tokens == [1, 2]


def test_a_running_sequence_lends_and_is_not_taken() -> None:
    memory = Recorded()
    pool = Pool(memory, 2, divisible=True)
    running = filled(pool, SYSTEM, idle=False)
    other = pool.take([*SYSTEM, 1])
    assert other is not running
    assert other.tokens == SYSTEM


def test_what_was_used_longest_ago_goes_first() -> None:
    pool = Pool(Recorded(), 3, divisible=True)
    old, new = filled(pool, [1, 1, 1]), filled(pool, [2, 2, 2])
    assert pool.evict()
    assert (old.tokens, new.tokens) == ([], [2, 2, 2])
    assert pool.evict()
    assert not pool.evict()


def test_a_recurrent_memory_is_taken_over_whole_or_not_at_all() -> None:
    memory = Recorded(whole_only=True)
    pool = Pool(memory, 3, divisible=False)
    first = filled(pool, [1, 2, 3])
    assert pool.take([1, 2, 9]).tokens == []
    again = pool.take([1, 2, 3, 4])
    assert again is first
    assert again.tokens == [1, 2, 3]
    assert not memory.copies


def test_the_longest_common_beginning_is_found() -> None:
    prompts = [(1, [*SYSTEM, 1]), (2, [*SYSTEM, 2, 3]), (3, [5])]
    assert longest(prompts, [*SYSTEM, 2, 4]) == (2, 101)
    assert longest(prompts, [*SYSTEM, 2])[1] == 100
    assert longest([], [1, 2]) == (None, 0)


def test_what_idle_sequences_keep_is_bounded_and_the_latest_two_stay_whatever_they_hold() -> None:
    pool = Pool(Recorded(), 8, divisible=True, idle_room=250)
    long = [filled(pool, list(range(1000 * number, 1000 * number + 200))) for number in range(1, 5)]
    pool.take([1])
    assert [len(cells.tokens) for cells in long] == [0, 0, 200, 200]


def test_short_idle_sequences_are_all_kept_while_there_is_room() -> None:
    pool = Pool(Recorded(), 8, divisible=True, idle_room=250)
    short = [filled(pool, [number, number + 1]) for number in range(1000, 1700, 100)]
    pool.take([1])
    assert all(len(cells.tokens) == 2 for cells in short)


def shelved(memory: Recorded, *, tokens: int = 10**5, places: int = 8) -> Pool:
    """A pool whose idle sequences may leave."""
    return Pool(memory, places, divisible=True, shelf=Shelf(tokens * TOKEN_BYTES, TOKEN_BYTES))


def talk(number: int, length: int) -> list[int]:
    """A conversation that begins like no other."""
    return [1000 * number] * length


def test_what_idles_beside_others_leaves_part_by_part_and_comes_back() -> None:
    memory = Recorded()
    pool = shelved(memory)
    old = filled(pool, talk(1, 2 * PART + 10))
    running = filled(pool, talk(2, 5), idle=False)
    for parts in (1, 2, 3):
        assert old.tokens
        pool.leave(1)
        assert memory.saved == parts
    assert old.tokens == memory.held[old.number] == []
    again = pool.take([*talk(1, 2 * PART + 10), 7])
    assert again is not running
    assert again.tokens == memory.held[again.number] == talk(1, 2 * PART + 10)


def test_a_large_step_lets_more_leave_than_a_small_one() -> None:
    memory = Recorded()
    pool = shelved(memory)
    filled(pool, talk(1, 10 * PART))
    filled(pool, talk(2, 5), idle=False)
    pool.leave(16)
    assert memory.saved == 4


def test_little_that_idles_stays_where_it_is() -> None:
    memory = Recorded()
    pool = shelved(memory)
    old = filled(pool, talk(1, AT_REST))
    pool.leave(100)
    assert (memory.saved, len(old.tokens)) == (0, AT_REST)


def test_where_too_much_idles_all_of_it_leaves() -> None:
    pool = shelved(Recorded())
    idle = [filled(pool, talk(number, AT_REST - 1)) for number in (1, 2)]
    pool.leave(1000)
    assert [one.tokens for one in idle] == [[], []]


def test_a_conversation_that_goes_on_while_it_leaves_has_lost_nothing() -> None:
    memory = Recorded()
    pool = shelved(memory)
    old = filled(pool, talk(1, 3 * PART))
    pool.leave(1)
    assert pool.take([*talk(1, 3 * PART), 7]) is old
    assert old.tokens == talk(1, 3 * PART)


def test_a_prompt_takes_from_the_cache_what_is_there_and_the_rest_from_the_shelf() -> None:
    memory = Recorded()
    pool = shelved(memory)
    filled(pool, talk(1, 2 * PART))
    pool.leave(1000)
    filled(pool, talk(1, 100), idle=False)
    memory.copies.clear()
    again = pool.take([*talk(1, 2 * PART), 7])
    assert again.tokens == memory.held[again.number] == talk(1, 2 * PART)


def test_who_needs_a_place_or_cells_moves_what_idles_out_and_forgets_nothing() -> None:
    memory = Recorded()
    pool = shelved(memory, places=2)
    filled(pool, talk(1, 200))
    filled(pool, talk(2, 200))
    filled(pool, talk(3, 5))
    assert len(pool.take([*talk(1, 200), 7]).tokens) == 200
    assert pool.evict()
    assert len(pool.take([*talk(3, 5), 7]).tokens) == 0  # so few are computed as quickly
    pool = shelved(memory, places=2)
    filled(pool, talk(2, 200))
    assert pool.evict()
    assert len(pool.take([*talk(2, 200), 7]).tokens) == 200


def test_what_does_not_fit_on_the_shelf_is_kept_as_if_there_were_none() -> None:
    memory = Recorded()
    pool = shelved(memory, tokens=PART)
    old = filled(pool, talk(1, 2 * PART))
    pool.leave(100)
    assert (memory.saved, len(old.tokens)) == (0, 2 * PART)


def test_where_no_memory_is_left_for_a_part_what_idles_is_forgotten_from_there_on_and_nothing_fails() -> None:
    memory = Recorded(saves=1)
    pool = shelved(memory)
    old = filled(pool, talk(1, 3 * PART))
    pool.leave(1000)
    assert old.tokens == memory.held[old.number] == []
    assert len(pool.take([*talk(1, 3 * PART), 7]).tokens) == PART
    filled(pool, talk(2, 200))
    assert pool.evict()


def test_where_the_cache_is_full_others_leave_for_what_comes_back_and_else_it_is_computed() -> None:
    memory = Recorded(room=3 * PART)
    pool = shelved(memory)
    filled(pool, talk(1, 2 * PART))
    pool.leave(1000)
    filled(pool, talk(2, 2 * PART))
    assert len(pool.take([*talk(1, 2 * PART), 7]).tokens) == 2 * PART
    assert len(pool.take([*talk(2, 2 * PART), 7]).tokens) == PART


def test_a_sequence_that_began_above_many_idle_ones_moves_down_when_they_have_left() -> None:
    memory = Recorded()
    pool = shelved(memory)
    filled(pool, talk(1, WORTH_A_MOVE))
    short, long = (filled(pool, talk(number, size), idle=False) for number, size in ((2, 5), (3, MOVABLE + 1)))
    pool.leave(1000)
    assert memory.moved == [short.number]
    pool.leave(1000)
    assert len(memory.moved) == 1
    assert len(long.tokens) == MOVABLE + 1


def test_what_shares_cells_with_another_does_not_move_and_take_them_twice() -> None:
    memory = Recorded()
    pool = shelved(memory)
    filled(pool, talk(1, WORTH_A_MOVE))
    filled(pool, SYSTEM, idle=False)
    filled(pool, [*SYSTEM, 7], idle=False)
    pool.leave(1000)
    assert memory.moved == []


def test_whatever_comes_and_goes_the_pool_knows_what_the_memory_holds() -> None:
    draw = random.Random(3)
    memory = Recorded(room=6000)
    pool = shelved(memory, tokens=3000)
    talks, running = [[1]], list[Cells]()
    for _ in range(500):
        if len(running) == 4 or (running and draw.random() < 0.4):
            done = running.pop(draw.randrange(len(running)))
            talks = [*talks[-10:], list(done.tokens)]
            pool.release(done)
        else:
            prompt = [*draw.choice(talks)[: draw.randrange(1500)], *[draw.randrange(3)] * draw.randrange(1, 400)]
            running.append(cells := pool.take(prompt))
            assert cells.tokens == prompt[: len(cells.tokens)]
            assert len(cells.tokens) < len(prompt)
            computed(memory, cells, prompt[len(cells.tokens) :])
        pool.leave(draw.randrange(1, 30))
        assert all(memory.held[cells.number] == cells.tokens for cells in pool._cells)
