"""NativeDriver: a conversation that has left the cache for ordinary memory goes on as if it had stayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fluid_server.runtimes.llamacpp_native import NativeDriver
from fluid_server.runtimes.llamacpp_native_cells import WORTH_A_COPY, Cells
from fluid_server.runtimes.llamacpp_native_context import ContextMemory
from fluid_server.runtimes.llamacpp_native_shelf import PART, Shelf
from fluid_server.runtimes.llamacpp_room import room_for_a_shelf
from fluid_server.runtimes.text_plan import Piece, Plan, complete
from fluid_server.types import ModelSpec, RuntimeOptions, Sampling
from tests.runtimes.engines import SPECS
from tests.runtimes.llamacpp import NATIVE, Desk, Heard
from tests.runtimes.test_llamacpp_adapters import adapted

pytest.importorskip("llama_cpp", reason="the extra 'native' is not installed")

TALE = "Tell me a story. " + "The box holds seven stones. " * 40
OTHER = "Something else entirely. " * 20
TIE = 0.05  # of a log probability: sums of half precision depend on the order of the cells, 0.008 were measured
PLAN = Plan(max_tokens=24, sampling=complete(Sampling(temperature=0.0), Sampling()), ignore_eos=True)


@pytest.fixture(scope="module", params=["plain", "with a LoRA"])
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    plain = SPECS["fluid-tiny-gguf:F16"]
    return plain if request.param == "plain" else adapted(Path(tmp_path_factory.mktemp("lora")), 0.3)


@pytest.fixture
def desk(spec: ModelSpec) -> Iterator[Desk]:
    made = Desk(spec, parallel=4, way=NATIVE)
    yield made
    made.driver.close()


def native(desk: Desk) -> NativeDriver:
    assert isinstance(desk.driver, NativeDriver)
    return desk.driver


def shelf(desk: Desk) -> Shelf:
    found = native(desk)._pool._shelf
    assert found is not None
    return found


def holds(desk: Desk, prompt: list[int]) -> bool:
    """Whether a sequence of the cache begins as this prompt."""
    return any(len(cells.tokens) > 100 and cells.tokens[:100] == prompt[:100] for cells in native(desk)._pool._cells)


def alike(found: Heard, expected: Heard) -> bool:
    """Whether the tokens are the same, each as likely, up to one that might as well have been another."""
    for one, other in zip(found.logprobs, expected.logprobs, strict=True):
        if abs(one.logprob - other.logprob) > TIE:
            return False
        if one.token != other.token:
            return True
    return found.text == expected.text


def two_turns(desk: Desk, between: tuple[str, ...] = ()) -> tuple[Heard, Heard]:
    """A conversation, and what others ask between its turns."""
    first = desk.ask(TALE, max_tokens=20, logprobs=0, ignore_eos=True)
    for question in between:
        desk.ask(question, max_tokens=8, ignore_eos=True)
    second = [*desk.ids(TALE), *(one.token for one in first.logprobs), *desk.ids("What happened next?")]
    assert holds(desk, second) is not bool(between)
    return first, desk.ask(second, max_tokens=20, logprobs=0, ignore_eos=True)


def test_a_conversation_that_had_left_goes_on_token_by_token_as_one_that_had_stayed(
    spec: ModelSpec, desk: Desk
) -> None:
    unbroken = Desk(spec, parallel=4, way=NATIVE)
    expected = two_turns(unbroken)
    unbroken.driver.close()
    found = two_turns(desk, (OTHER, "Count to ten."))
    assert all(alike(*turns) for turns in zip(found, expected, strict=True))
    assert found[1].cached == expected[1].cached >= len(desk.ids(TALE))


def test_what_comes_back_and_what_moves_is_byte_for_byte_what_it_was(desk: Desk) -> None:
    prompt = desk.ids(TALE)
    last = len(prompt) - 1
    pool = native(desk)._pool
    memory = pool._memory

    def saved(cells: Cells) -> list[bytes]:
        """A part at a time, in which the cells are in order. What it begins with it may share with others."""
        parts = [memory.save(cells.number, *bounds) for bounds in ((20, PART), (PART, last))]
        return [part.tobytes() for part in parts if part is not None]

    desk.ask(prompt, max_tokens=1)
    (before,) = (saved(cells) for cells in pool._cells if cells.tokens)
    assert len(before) == 2
    desk.ask(OTHER, max_tokens=8, ignore_eos=True)
    assert not holds(desk, prompt)
    back = pool.take(prompt)
    assert len(back.tokens) == last
    assert saved(back) == before
    memory.move(back.number, last)
    assert saved(back) == before
    pool.release(back)


def test_what_runs_while_others_leave_below_it_moves_down_and_says_what_it_says_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = desk.ids("Count from one to fifty.")
    alone = desk.ask(count, max_tokens=20, logprobs=0, ignore_eos=True)
    moved: list[int] = []
    memory = native(desk)._pool._memory
    move = memory.move

    def watched(sequence: int, length: int) -> None:
        moved.append(length)
        move(sequence, length)

    monkeypatch.setattr(memory, "move", watched)
    desk.ask("Another tale. " + "The box holds seven stones. " * 110, max_tokens=1)
    assert alike(desk.ask(count, max_tokens=20, logprobs=0, ignore_eos=True), alone)
    assert len(moved) == 1


@pytest.mark.parametrize("size", [2**60, 8], ids=["no memory", "llama.cpp refuses"])
def test_where_a_conversation_cannot_be_copied_out_it_is_computed_again_and_nothing_fails(
    desk: Desk, size: int
) -> None:
    first = desk.ask(TALE, max_tokens=20, logprobs=0, ignore_eos=True)
    memory = native(desk)._pool._memory
    assert isinstance(memory, ContextMemory)
    memory._sizes[PART] = size
    desk.ask(OTHER, max_tokens=8, ignore_eos=True)
    assert not holds(desk, desk.ids(TALE))
    assert shelf(desk).used == 0
    again = desk.ask(TALE, max_tokens=20, logprobs=0, ignore_eos=True)
    assert again.cached < WORTH_A_COPY
    assert alike(again, first)


def test_choices_share_what_has_come_back(desk: Desk) -> None:
    prompt = desk.ids(TALE)
    desk.ask(prompt, max_tokens=1)
    desk.ask(OTHER, max_tokens=8, ignore_eos=True)
    assert not holds(desk, prompt)
    heard = together(desk, prompt, choices=3)
    assert len({text for text, _ in heard}) == 1
    assert all(cached == len(prompt) - 1 for _, cached in heard)


def test_a_prompt_that_was_abandoned_half_read_leaves_and_comes_back_as_far_as_it_was_read(desk: Desk) -> None:
    prompt = desk.ids(TALE)
    desk.driver.start(1000, desk.ids("Count to ten."), PLAN)
    desk.driver.advance()
    desk.driver.start(1001, prompt, PLAN)
    desk.driver.advance()
    read = len(native(desk)._lines[1001].cells.tokens)
    assert 100 < read < len(prompt)
    desk.driver.release(1001)
    desk.driver.release(1000)
    desk.ask(OTHER + OTHER, max_tokens=8, ignore_eos=True)
    desk.ask("Count to twenty.", max_tokens=8, ignore_eos=True)
    assert not holds(desk, prompt)
    assert desk.ask(prompt, max_tokens=1).cached == read


def test_what_has_left_takes_no_more_memory_than_was_reserved(desk: Desk) -> None:
    driver = native(desk)
    assert driver.reserve_bytes == driver.context_length * 4 // 4 * (
        SPECS["fluid-tiny-gguf:F16"].kv_bytes_per_token or 0
    )
    for number in range(12):
        desk.ask(f"Tale {number}. {TALE}", max_tokens=2)
    assert driver.reserve_bytes // 2 < shelf(desk).used <= driver.reserve_bytes


@pytest.mark.parametrize(
    ("budget", "cells", "room"),
    [
        (None, 4000, 1000),  # nobody has set a bound
        (9000, 4000, 1000),
        (4500, 3600, 900),  # both share what there is
        (1100, 1000, 100),  # one whole context is always left
        (1000, 1000, 0),
    ],
)
def test_cache_and_shelf_keep_to_the_budget_and_no_context_is_shortened(
    budget: int | None, cells: int, room: int
) -> None:
    options = RuntimeOptions(parallel=4, kv_budget_bytes=None if budget is None else budget * 8)
    before = 4000 if budget is None else min(4000, budget)
    assert room_for_a_shelf(options, 8, 1000, before) == (cells, room * 8)


def test_where_nobody_knows_what_a_token_takes_there_is_no_shelf() -> None:
    assert room_for_a_shelf(RuntimeOptions(), None, 1000, 4000) == (4000, 0)


def together(desk: Desk, prompt: list[int], *, choices: int) -> list[tuple[str, int]]:
    """The text of each of several sequences with one prompt, and how much of it was cached."""
    told: dict[int, list[Piece]] = {2000 + number: [] for number in range(choices)}
    for number in told:
        desk.driver.start(number, list(prompt), PLAN)
    while any(not own or own[-1].finish is None for own in told.values()):
        for piece in desk.driver.advance():
            told[piece.sequence].append(piece)
    for number in told:
        desk.driver.release(number)
    return [("".join(one.text for one in own), own[-1].cached_tokens) for own in told.values()]
