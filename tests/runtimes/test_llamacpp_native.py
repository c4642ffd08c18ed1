"""NativeDriver on the demo model: what the prebuilt one cannot do, and what is hard for both."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fluid_server.errors import EngineFailed, FluidError
from fluid_server.runtimes import llamacpp
from fluid_server.runtimes.llamacpp import WAYS, LlamaCppRuntime
from fluid_server.runtimes.llamacpp_native import STOPPED, devices
from fluid_server.runtimes.llamacpp_native_library import the_library
from fluid_server.runtimes.table import load_target
from fluid_server.runtimes.text_plan import Piece, Plan, complete
from fluid_server.types import ChoiceEnd, RuntimeOptions, Sampling
from tests.runtimes.engines import SPECS, answers, ask, loaded, text_of, usage_of
from tests.runtimes.llamacpp import NATIVE, Desk

pytest.importorskip("llama_cpp", reason="the extra 'native' is not installed")

SPEC = SPECS["fluid-tiny-gguf:F16"]
COUNT = "Count from one to fifty."
STORY = "Tell me a story. " + "The box holds seven stones. " * 60
SMALL = RuntimeOptions(parallel=4, context_length=512, kv_budget_bytes=600 * (SPEC.kv_bytes_per_token or 0))


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    made = Desk(parallel=4, way=NATIVE)
    yield made
    made.driver.close()


def started(desk: Desk, *prompts: list[int], max_tokens: int = 5) -> dict[int, list[Piece]]:
    """All pieces of these prompts, run together."""
    plan = Plan(max_tokens=max_tokens, sampling=complete(Sampling(temperature=0.0), Sampling()))
    pieces: dict[int, list[Piece]] = {1000 + number: [] for number in range(len(prompts))}
    for number, prompt in zip(pieces, prompts, strict=True):
        desk.driver.start(number, prompt, plan)
    while open_ones := {number for number, own in pieces.items() if not own or own[-1].finish is None}:
        for piece in desk.driver.advance():
            pieces[piece.sequence].append(piece)
            if piece.finish:
                desk.driver.release(piece.sequence)
        assert open_ones
    return pieces


def test_what_begins_alike_at_the_same_moment_is_computed_once(desk: Desk) -> None:
    common = desk.ids(STORY + "And then the first of all things happened.")
    prompts = [[*common, *desk.ids(f"Count from {number}.")] for number in ("one", "two", "three")]
    found = started(desk, *prompts)
    assert [own[-1].cached_tokens >= len(common) for own in found.values()] == [False, True, True]


def test_choices_share_the_prompt_and_do_not_call_it_cached() -> None:
    with loaded("llamacpp-native") as runtime:
        (events,) = answers(runtime, ask(STORY + "What happened in the end?", n=3))
        assert usage_of(events).cached_tokens < 20
        assert text_of(events, 0) == text_of(events, 1) == text_of(events, 2) != ""


def test_a_full_cache_makes_the_youngest_wait_and_changes_no_answer() -> None:
    alone, together = (LlamaCppRuntime() for _ in range(2))
    for runtime, options in ((alone, RuntimeOptions(parallel=1)), (together, SMALL)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(llamacpp, "WAYS", WAYS[:1])
            runtime.load(SPEC, options, lambda text, done: None)
    requests = [ask(f"{COUNT} {'Again. ' * number}", max_tokens=250) for number in range(4)]
    expected = [answers(alone, request)[0] for request in requests]
    found = answers(together, *requests)
    assert [text_of(events) for events in found] == [text_of(events) for events in expected]
    assert all(ChoiceEnd(0, "length") in events or ChoiceEnd(0, "stop") in events for events in found)
    for runtime in (alone, together):
        runtime.close()


def test_a_released_prompt_leaves_at_once_though_it_is_being_read(desk: Desk) -> None:
    plan = Plan(max_tokens=5, sampling=complete(Sampling(), Sampling()))
    desk.driver.start(1, desk.ids(STORY * 4)[:1900], plan)
    assert desk.driver.advance() == []
    desk.driver.release(1)
    assert desk.driver.leaving == 0
    assert desk.driver.advance() == []


def test_a_short_prompt_is_not_kept_waiting_by_a_long_one(desk: Desk) -> None:
    plan = Plan(max_tokens=1, sampling=complete(Sampling(temperature=0.0), Sampling()))
    desk.driver.start(1, desk.ids("Something else entirely. " * 300)[:1900], plan)
    desk.driver.start(2, desk.ids("Hello"), plan)
    first = next(piece for _ in range(100) for piece in desk.driver.advance())
    assert first.sequence == 2
    for sequence in (1, 2):
        desk.driver.release(sequence)


def test_a_step_ends_in_the_middle_when_its_prompt_is_abandoned(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    library = the_library()
    compute = library.decode
    said: list[int] = []

    def abandoned(*arguments: Any) -> int:
        if not said:
            desk.driver.abandon(2)
        said.append(compute(*arguments))
        return int(said[-1])

    plan = Plan(max_tokens=12, sampling=complete(Sampling(temperature=0.0), Sampling()))
    expected = desk.ask(COUNT, max_tokens=12).text
    desk.driver.start(1, desk.ids(COUNT), plan)
    told = desk.driver.advance()
    desk.driver.start(2, desk.ids("Nobody waits for this. " * 60), plan)
    monkeypatch.setattr(library, "decode", abandoned)
    told += desk.driver.advance()
    assert said == [STOPPED]
    desk.driver.release(2)
    while told[-1].finish is None:
        told += desk.driver.advance()
    assert "".join(piece.text for piece in told) == expected
    desk.driver.release(1)


def test_a_step_that_reads_little_of_a_prompt_is_not_stopped(desk: Desk) -> None:
    plan = Plan(max_tokens=2, sampling=complete(Sampling(temperature=0.0), Sampling()))
    desk.driver.start(1, desk.ids("Hi")[:10], plan)
    desk.driver.abandon(1)
    assert [piece.sequence for piece in desk.driver.advance()] == [1]
    desk.driver.release(1)


def test_a_model_that_does_not_load_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(SPEC.path.read_bytes()[:200_000])
    with pytest.raises(EngineFailed, match=r"corrupted or incomplete|failed to"):
        load_target(NATIVE.driver)(replace(SPEC, path=broken), RuntimeOptions())


def test_a_way_that_does_not_import_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(NATIVE, modules=("no_such_module",))
    monkeypatch.setattr(llamacpp, "WAYS", (absent, NATIVE))
    assert llamacpp.devices()[0] == "CPU"
    monkeypatch.setattr(llamacpp, "WAYS", (absent,))
    with pytest.raises(FluidError, match="no_such_module"):
        llamacpp.devices()


def test_what_the_library_complains_of_is_heard_after_its_devices_were_asked_for() -> None:
    assert "CPU" in devices()
    gc.collect()
    library = the_library()
    library.complaints()
    library.c.llama_model_load_from_file(b"no-such-file.gguf", library.c.llama_model_default_params())
    assert "no-such-file" in library.complaints()
