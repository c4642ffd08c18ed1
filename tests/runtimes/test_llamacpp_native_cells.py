"""Which sequence of the cache a prompt goes to: nothing that is of use is lost, nothing is computed twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from fluid_server.runtimes.llamacpp_native_cells import Cells, Pool, longest

SYSTEM = list(range(100))


@dataclass
class Recorded:
    """A memory that writes down what is done to it."""

    copies: list[tuple[int, int, int]] = field(default_factory=list)
    whole_only: bool = False

    def cut(self, sequence: int, length: int) -> bool:
        return length == 0 or not self.whole_only

    def copy(self, source: int, target: int, length: int) -> None:
        self.copies.append((source, target, length))


def filled(pool: Pool, tokens: list[int], *, idle: bool = True) -> Cells:
    """A sequence that has computed these tokens."""
    cells = pool.take([*tokens, -1])
    cells.tokens = list(tokens)
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
