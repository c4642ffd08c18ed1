"""NativeDriver on models whose memory is not plain attention: windows that slide, states that know no way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fluid_server.runtimes.llamacpp_native import NativeDriver
from fluid_server.runtimes.llamacpp_native_library import the_library
from fluid_server.runtimes.text_plan import Piece, Plan, complete
from fluid_server.types import ModelSpec, RuntimeOptions, Sampling
from tests.runtimes.kinds_of_memory import CONTEXT, KINDS, made

pytest.importorskip("llama_cpp", reason="the extra 'native' is not installed")

PLAN = Plan(max_tokens=24, sampling=complete(Sampling(temperature=0.0), Sampling()), ignore_eos=True)
MANY = 64  # sequences: the log tells hundredths of MiB
SIZE = re.compile(r"^llama_(kv_cache|memory_recurrent): size = +([0-9.]+) MiB", re.MULTILINE)
HISTORY = [100 + number * 7 % 1900 for number in range(200)]
Answers = dict[int, tuple[str, int]]


@pytest.fixture(scope="module", params=KINDS)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return made(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def driver(spec: ModelSpec) -> Iterator[NativeDriver]:
    driver = NativeDriver(spec, RuntimeOptions(parallel=3))
    yield driver
    driver.close()


def heard(driver: NativeDriver, prompts: dict[int, list[int]]) -> Answers:
    """Each sequence's text, and how much of its prompt was cached; run together."""
    told: dict[int, list[Any]] = {number: [] for number in prompts}
    for number, prompt in prompts.items():
        driver.start(number, prompt, PLAN)
    while any(not own or own[-1].finish is None for own in told.values()):
        for piece in driver.advance():
            assert piece.error is None
            told[piece.sequence].append(piece)
            if piece.finish:
                driver.release(piece.sequence)
    return {number: ("".join(one.text for one in own), own[-1].cached_tokens) for number, own in told.items()}


def alone(spec: ModelSpec, prompt: list[int]) -> str:
    """What a driver says that has seen nothing else."""
    driver = NativeDriver(spec, RuntimeOptions(parallel=1))
    ((text, cached),) = heard(driver, {1: prompt}).values()
    assert cached == 0
    driver.close()
    return text


def test_nothing_leaves_a_memory_that_cannot_be_cut_up(driver: NativeDriver) -> None:
    assert driver.reserve_bytes == 0


def test_several_at_once_say_what_each_says_alone(spec: ModelSpec, driver: NativeDriver) -> None:
    prompts = {number: [*HISTORY[: 40 + 50 * number], 300 + number] for number in range(3)}
    found = heard(driver, prompts)
    assert {number: text for number, (text, _) in found.items()} == {
        number: alone(spec, prompt) for number, prompt in prompts.items()
    }


def test_a_prompt_that_parts_from_the_last_one_is_answered_as_if_it_were_new(
    spec: ModelSpec, driver: NativeDriver
) -> None:
    heard(driver, {1: HISTORY})
    other = [*HISTORY[:150], *range(500, 520)]
    assert heard(driver, {2: other})[2][0] == alone(spec, other)


def test_a_prompt_that_goes_on_where_the_last_one_ended_takes_it_over(driver: NativeDriver) -> None:
    steps: list[Piece] = []
    driver.start(1, HISTORY, PLAN)
    while not steps or steps[-1].finish is None:
        steps += driver.advance()
    computed = list(driver._lines[1].cells.tokens)
    driver.release(1)
    ((_, cached),) = heard(driver, {2: [*computed, 400, 401]}).values()
    assert cached == len(computed) == len(HISTORY) + PLAN.max_tokens - 1


def test_a_stopped_step_leaves_nothing_behind(
    spec: ModelSpec, driver: NativeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = the_library()
    compute = library.decode
    said: list[int] = []

    def abandoned(*arguments: Any) -> int:
        driver.abandon(2) if len(said) == 3 else None
        said.append(int(compute(*arguments)))
        return said[-1]

    monkeypatch.setattr(library, "decode", abandoned)
    driver.start(1, HISTORY[:50], PLAN)
    told = driver.advance() + driver.advance() + driver.advance()
    driver.start(2, HISTORY, PLAN)
    assert driver.advance() == []
    assert said[3] == 2
    driver.release(2)
    while told[-1].finish is None:
        told += driver.advance()
    driver.release(1)
    assert "".join(piece.text for piece in told) == alone(spec, HISTORY[:50])


@pytest.mark.parametrize("kind", ["recurrent", "hybrid"])
def test_the_catalog_counts_cells_and_states_as_llama_cpp_does(tmp_path: Path, kind: str) -> None:
    found = made(kind, tmp_path)
    said: list[str] = []
    library = the_library()
    listener = library.c.llama_log_callback(lambda level, text, data: said.append(text.decode("utf-8", "replace")))
    library.c.llama_log_set(listener, None)
    try:
        NativeDriver(found, RuntimeOptions(parallel=MANY, context_length=CONTEXT)).close()
    finally:
        library.c.llama_log_set(library._listener, None)
    sizes = {name: float(size) for name, size in SIZE.findall("".join(said))}
    cells = MANY * CONTEXT * (found.kv_bytes_per_token or 0)
    assert sizes["memory_recurrent"] == pytest.approx(MANY * found.state_bytes / 2**20, abs=0.005)
    assert sizes.get("kv_cache", 0.0) == pytest.approx(cells / 2**20, abs=0.005)
