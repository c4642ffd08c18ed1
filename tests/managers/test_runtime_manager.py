"""The manager on the built-in model: real workers, no weights."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from fluid_server.config import load_config
from fluid_server.errors import (
    AbilityMissing,
    DeadlineExceeded,
    ModelFailed,
    ModelNotFound,
    OutOfMemory,
    QueueFull,
    ShuttingDown,
)
from fluid_server.managers.grace import Grace
from fluid_server.managers.lease import Lease
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.slot import Slot, State
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, GenerateRequest, Message, TextPiece
from fluid_server.workers.probe import Report, probe

MODELS = Path(__file__).resolve().parents[2] / "models"
GGUF = MODELS / "llm" / "fluid-tiny-gguf"
TIMEOUT = 60.0
ENDLESS = GenerateRequest(messages=(Message(role="user", content="on"),), ignore_eos=True)
LONG = GenerateRequest(messages=ENDLESS.messages, ignore_eos=True, max_tokens=5000)
HELLO = GenerateRequest(messages=(Message(role="user", content="hello"),))


_seen: list[Report] = []


async def look() -> Report:
    """What the first manager's own look has found: each takes a process that imports every engine."""
    if not _seen:
        _seen.append(await probe())
    return _seen[0]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, TIMEOUT))


@asynccontextmanager
async def manager(folder: Path, **settings: Any) -> AsyncGenerator[RuntimeManager, None]:
    config = load_config({"model_path": folder, "echo": True, "warm_up": False, **settings})
    made = RuntimeManager(config, look=look)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def say(lease: Lease, request: GenerateRequest = HELLO) -> str:
    events = [event async for batch in lease.run(request) for event in batch]
    return "".join(event.text for event in events if isinstance(event, TextPiece))


def echo(of: RuntimeManager) -> Slot:
    slot = of.slot("echo")
    assert slot is not None
    return slot


def open_requests(of: RuntimeManager) -> int:
    """Requests that the worker has not finished."""
    handle = echo(of).handle
    return len(handle.tickets) if handle else 0


def pid_of(of: RuntimeManager) -> int:
    handle = echo(of).handle
    assert handle is not None
    assert handle.pid is not None
    return handle.pid


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_a_lease_loads_the_model_and_answers(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made, made.lease("echo", Ability.CHAT) as lease:
            assert await say(lease) == "hello"
            assert (echo(made).state, echo(made).leases) == (State.READY, 1)

    run(work())


def test_all_who_want_a_model_join_one_load(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:

            async def once() -> int:
                async with made.lease("echo", Ability.CHAT) as lease:
                    await say(lease)
                    return pid_of(made)

            pids = await asyncio.gather(*(once() for _ in range(5)))
            assert len(set(pids)) == 1

    run(work())


def test_an_idle_model_is_unloaded_and_comes_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, idle_timeout=0.01) as made:
            async with made.lease("echo", Ability.CHAT):
                pid = pid_of(made)
            await until(lambda: echo(made).state is State.ABSENT)
            assert not psutil.pid_exists(pid)
            async with made.lease("echo", Ability.CHAT) as lease:
                assert await say(lease) == "hello"

    run(work())


def test_a_model_in_use_is_never_unloaded_however_long_it_takes(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, idle_timeout=0.001) as made, made.lease("echo", Ability.CHAT) as lease:
            async with aclosing(lease.run(ENDLESS)) as batches:
                for _ in range(200):
                    await anext(batches)
            assert echo(made).state is State.READY

    run(work())


def test_a_model_that_died_is_started_anew_by_the_next_request(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            async with made.lease("echo", Ability.CHAT):
                psutil.Process(pid_of(made)).kill()
            await until(lambda: echo(made).state is State.ABSENT)
            async with made.lease("echo", Ability.CHAT) as lease:
                assert await say(lease) == "hello"

    run(work())


def test_more_requests_than_places_and_queue_are_refused(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, parallel=1, max_queue=1) as made:
            async with made.lease("echo", Ability.CHAT) as one, aclosing(one.run(ENDLESS)) as first:
                await anext(first)
                visitor = Visitor()
                waiting = asyncio.ensure_future(say_once(made, visitor))
                await until(lambda: visitor.says() == "queued 1")
                with pytest.raises(QueueFull) as caught:
                    await say_once(made)
                assert caught.value.retry_after
            assert await waiting == "hello"

    run(work())


def test_many_answers_of_one_request_count_as_many_places(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            manager(tmp_path, parallel=2, max_queue=2) as made,
            made.lease("echo", Ability.CHAT, places=100),  # nobody is before it, so it may
        ):
            with pytest.raises(QueueFull):
                async with made.lease("echo", Ability.CHAT):
                    pass

    run(work())


def test_what_waits_for_a_load_is_bounded_too(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, parallel=1, max_queue=2) as made:
            answers = await asyncio.gather(*(say_once(made) for _ in range(6)), return_exceptions=True)
        assert answers[:3] == ["hello"] * 3
        assert [type(answer) for answer in answers[3:]] == [QueueFull] * 3

    run(work())


def test_draining_ends_those_who_wait_for_a_load_readably(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            waiting = asyncio.ensure_future(say_once(made))
            await until(lambda: made.slot("echo") is not None and echo(made).state is State.LOADING)
            await made.drain(Grace(0))
            with pytest.raises(ShuttingDown):
                await waiting
            assert echo(made).state is State.ABSENT

    run(work())


def test_a_worker_that_cannot_be_started_once_does_not_brick_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more() -> None:
        raise OSError(11, "Resource temporarily unavailable")

    async def work() -> None:
        async with manager(tmp_path) as made:
            with monkeypatch.context() as patch, pytest.raises(ModelFailed, match="Resource temporarily"):
                patch.setattr("fluid_server.workers.process._spawn", no_more)
                await say_once(made)
            assert echo(made).state is State.FAILED
            echo(made).retry_at = 0
            assert await say_once(made) == "hello"

    run(work())


def test_a_worker_that_hangs_is_killed_once_a_cancel_stays_unanswered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluid_server.workers.handle.CANCEL_PATIENCE", 0.01)

    async def work() -> None:
        async with manager(tmp_path) as made:
            await say_once(made)
            psutil.Process(pid_of(made)).suspend()
            async with made.lease("echo", Ability.CHAT) as lease:
                hanging = asyncio.ensure_future(say(lease))
                await until(lambda: open_requests(made) == 1)
                hanging.cancel()
                await until(lambda: echo(made).state is State.ABSENT)
            assert await say_once(made) == "hello"

    run(work())


def test_draining_ends_running_requests_readably_and_takes_no_more(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made, made.lease("echo", Ability.CHAT) as lease:
            async with aclosing(lease.run(ENDLESS)) as batches:
                await anext(batches)
                await made.drain(Grace(0))
                with pytest.raises(ShuttingDown):
                    _ = [events async for events in batches]
            with pytest.raises(ShuttingDown):
                async with made.lease("echo", Ability.CHAT):
                    pass

    run(work())


def test_draining_lets_a_short_request_finish(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made, made.lease("echo", Ability.CHAT) as lease:
            answer = asyncio.ensure_future(say(lease, LONG))
            await until(lambda: open_requests(made) == 1)
            await made.drain(Grace(TIMEOUT))
            assert (await answer).count("on") == LONG.max_tokens

    run(work())


def test_closing_leaves_no_process_even_in_the_middle_of_a_load(tmp_path: Path) -> None:
    async def work() -> None:
        before = {child.pid for child in psutil.Process().children()}
        async with manager(tmp_path) as made:
            loading = asyncio.ensure_future(say_once(made))
            await until(lambda: made.slot("echo") is not None and echo(made).state is State.LOADING)
        assert isinstance((await asyncio.gather(loading, return_exceptions=True))[0], BaseException)
        assert {child.pid for child in psutil.Process().children()} <= before

    run(work())


async def say_once(made: RuntimeManager, visitor: Visitor | None = None) -> str:
    async with made.lease("echo", Ability.CHAT, visitor=visitor) as lease:
        return await say(lease)


@pytest.mark.parametrize(
    ("model", "ability", "error"),
    [
        ("nothing", Ability.CHAT, ModelNotFound),
        ("echo", Ability.TRANSCRIPTION, AbilityMissing),
        ("../../etc/passwd", Ability.CHAT, ModelNotFound),
    ],
)
def test_what_cannot_be_leased_says_why(tmp_path: Path, model: str, ability: Ability, error: type[Exception]) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            with pytest.raises(error):
                async with made.lease(model, ability):
                    pass

    run(work())


def test_a_model_that_was_copied_in_is_found_without_a_restart(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            with pytest.raises(ModelNotFound):
                await made.library.find("fluid-tiny-ov")
            shutil.copytree(MODELS / "llm" / "fluid-tiny-ov", tmp_path / "fluid-tiny-ov")
            assert (await made.library.describe("fluid-tiny-ov")).id == "fluid-tiny-ov"
            assert (await made.library.find("fluid-tiny-ov")).id == "fluid-tiny-ov"

    run(work())


def test_a_model_that_cannot_load_rests_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "fluid-tiny-ov"
    shutil.copytree(MODELS / "llm" / "fluid-tiny-ov", folder)
    (folder / "chat_template.jinja").write_text("{% if %}", encoding="utf-8")

    async def work() -> None:
        async with manager(tmp_path) as made:
            for _ in range(2):
                with pytest.raises(ModelFailed) as caught:
                    async with made.lease("fluid-tiny-ov", Ability.CHAT):
                        pass
                assert "template" in caught.value.message
            assert caught.value.retry_after
            slot = made.slot("fluid-tiny-ov")
            assert slot is not None
            assert (slot.state, slot.failures) == (State.FAILED, 1)

    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    run(work())


def test_a_model_that_does_not_fit_is_refused_with_the_figures(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, max_memory="1MB") as made:
            with pytest.raises(OutOfMemory, match="needs about 157 MB, and 1 MB may be used"):
                async with made.lease("echo", Ability.CHAT):
                    pass
            assert echo(made).state is State.ABSENT

    run(work())


def test_warm_up_loads_whisper_then_a_language_model(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(MODELS, warm_up=True) as made:
            assert made.warming
            await until(lambda: not made.warming)
            ready = [slot.spec.id for slot in made.slots() if slot.state is State.READY]
            assert ready == ["fluid-tiny-whisper-ov", "fluid-tiny-ov"]

    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    run(work())


async def kill(made: RuntimeManager) -> None:
    """The worker dies before it answers anything."""
    await made.load("echo", Visitor())
    psutil.Process(pid_of(made)).kill()
    await until(lambda: echo(made).handle is None)


def test_a_model_that_dies_three_times_in_a_row_rests(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            await kill(made)
            await kill(made)
            assert echo(made).state is State.ABSENT
            await kill(made)
            assert echo(made).state is State.FAILED
            with pytest.raises(ModelFailed, match="3 times in a row") as caught:
                await say_once(made)
            assert 0 < (caught.value.retry_after or 0) <= 10
            echo(made).retry_at = 0
            await kill(made)  # it is tried again, and dies again: the rest is longer
            assert 10 < echo(made).resting <= 20

    run(work())


def test_an_answer_in_between_makes_good(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            for _ in range(2):
                await kill(made)
                await kill(made)
                assert await say_once(made) == "hello"
            assert (echo(made).state, echo(made).deaths) == (State.READY, 0)

    run(work())


def test_clients_take_turns_and_are_told_their_position(tmp_path: Path) -> None:
    async def work() -> None:
        order: list[str] = []

        async def ask(visitor: Visitor) -> None:
            async with made.lease("echo", Ability.CHAT, visitor=visitor):
                order.append(visitor.client)

        async with manager(tmp_path, parallel=1) as made:
            visitors = [Visitor(client=name) for name in ("ann", "ann", "ann", "bob")]
            async with made.lease("echo", Ability.CHAT):
                tasks = [asyncio.ensure_future(ask(visitor)) for visitor in visitors]
                await until(lambda: echo(made).turnstile.waiting == len(visitors))
                assert [visitor.says() for visitor in visitors] == ["queued 1", "queued 3", "queued 4", "queued 2"]
            await asyncio.gather(*tasks)
        assert order == ["ann", "bob", "ann", "ann"]

    run(work())


def test_a_deadline_holds_in_the_queue_and_frees_its_place(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, parallel=1) as made:
            async with made.lease("echo", Ability.CHAT):
                with pytest.raises(DeadlineExceeded, match=r"1 s \(queued 1\)"):
                    await say_once(made, Visitor(timeout=1.0))
                assert echo(made).leases == 1
            assert await say_once(made) == "hello"
            assert (echo(made).turnstile.taken, echo(made).turnstile.waiting) == (0, 0)

    run(work())


def test_a_queued_request_survives_the_death_of_the_worker(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, parallel=1) as made:
            async with made.lease("echo", Ability.CHAT):
                waiting = asyncio.ensure_future(say_once(made))
                await until(lambda: echo(made).turnstile.waiting == 1)
                psutil.Process(pid_of(made)).kill()
                await until(lambda: echo(made).handle is None)
            assert await waiting == "hello"

    run(work())


def test_pinned_models_are_loaded_at_the_start(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, pin=["echo", "nope"], idle_timeout=0.01) as made:
            await until(lambda: not made.warming)
            assert (echo(made).state, echo(made).pinned) == (State.READY, True)

    run(work())


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with two models of llama.cpp, ``first`` and ``second``."""
    pytest.importorskip("xllamacpp", reason="llama.cpp has no wheel here")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(GGUF / "fluid-tiny-Q8_0.gguf", tmp_path / name)
    return tmp_path


async def use(made: RuntimeManager, model: str, visitor: Visitor | None = None) -> str:
    async with made.lease(model, Ability.CHAT, visitor=visitor) as lease:
        return await say(lease)


def ready(made: RuntimeManager) -> list[str]:
    return [slot.spec.id for slot in made.slots() if slot.state is State.READY]


def test_of_two_models_that_do_not_fit_together_one_makes_room_for_the_other(two: Path) -> None:
    async def work() -> None:
        async with manager(two, max_loaded=1) as made:
            for name in ("first", "second", "first"):
                assert await use(made, name)
                assert ready(made) == [name]
            await made.pin("first")
            with pytest.raises(OutOfMemory, match="in use or pinned"):
                await made.load("second", Visitor())

    run(work())


def test_who_wants_room_that_others_use_waits_for_it(two: Path) -> None:
    async def work() -> None:
        async with manager(two, max_loaded=1) as made:
            assert all(await asyncio.gather(*(use(made, name) for name in ("first", "second") * 3)))
            async with made.lease("first", Ability.CHAT):
                visitor = Visitor(timeout=1.0)
                with pytest.raises(DeadlineExceeded, match="waiting for memory"):
                    await use(made, "second", visitor)
                assert ready(made) == ["first"]
            await until(lambda: ready(made) == ["second"])  # the load that was begun goes on

    run(work())


def test_a_model_that_is_always_in_use_gives_way_in_the_end(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fluid_server.managers.room.PATIENCE", 0.0)

    async def work() -> None:
        async with manager(two, max_loaded=1) as made:
            async with made.lease("first", Ability.CHAT):
                wanted = asyncio.ensure_future(use(made, "second"))
                slot = made.slot("second")
                await until(lambda: (found := made.slot("second")) is not None and "waiting" in found.activity())
                visitor = Visitor()
                late = asyncio.ensure_future(use(made, "first", visitor))
                await until(lambda: visitor.says() == "waiting: second has its turn first")
                assert slot is None or slot.leases
            assert await wanted
            assert await late

    run(work())


def test_a_model_that_can_never_fit_is_refused_at_once(two: Path) -> None:
    async def work() -> None:
        async with manager(two, max_memory="200MB") as made, made.lease("first", Ability.CHAT):
            await made.pin("first")
            with pytest.raises(OutOfMemory, match="one that is in use or pinned"):
                await made.load("second", Visitor())

    run(work())


def test_a_model_that_the_catalog_renames_stays_the_same(two: Path) -> None:
    async def work() -> None:
        async with manager(two, parallel=1) as made:
            await made.load("first", Visitor(), pin=True)
            shutil.copy(GGUF / "fluid-tiny-F16.gguf", two / "first")  # now it is first:Q8_0
            await made.library.specs(fresh=True)
            assert await use(made, "first:Q8_0")
            (slot,) = made.slots()
            assert (slot.spec.id, slot.pinned, slot.state) == ("first:Q8_0", True, State.READY)
            await made.unload("first:Q8_0")
            assert ready(made) == []

    run(work())


def test_a_model_whose_files_have_gone_can_still_be_let_go(two: Path) -> None:
    async def work() -> None:
        async with manager(two) as made:
            await made.load("first", Visitor(), pin=True)
            shutil.rmtree(two / "first")
            specs = await made.library.specs(fresh=True)
            assert [spec.id for spec in made.vanished(specs)] == ["first"]
            await made.unload("first")
            assert made.vanished(specs) == []

    run(work())


def test_nobody_gets_a_lease_on_a_model_that_is_being_deleted(two: Path) -> None:
    async def work() -> None:
        async with manager(two) as made:
            await made.load("first", Visitor())
            deleting = asyncio.ensure_future(made.delete("first"))
            await until(lambda: (slot := made.slot("first")) is not None and slot.state is State.DRAINING)
            for refused in (use(made, "first"), made.load("first", Visitor())):
                with pytest.raises(ModelNotFound):
                    await refused
            await deleting
            assert made.slot("first") is None
            assert not (two / "first").exists()

    run(work())


def test_a_worker_that_dies_as_it_becomes_ready_leaves_nothing_stuck(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path) as made:
            loading = asyncio.ensure_future(made.load("echo", Visitor()))
            await until(lambda: made.slot("echo") is not None and echo(made).state is State.WARMING)
            handle = echo(made).handle
            assert handle is not None
            psutil.Process(pid_of(made)).kill()
            with suppress(ModelFailed):  # unless it was ready just before
                await loading
            await until(lambda: echo(made).handle is None)
            assert echo(made).state in (State.FAILED, State.ABSENT)
            echo(made).retry_at = 0
            assert await say_once(made) == "hello"

    run(work())


def test_a_pin_that_could_not_be_loaded_is_none(tmp_path: Path) -> None:
    async def work() -> None:
        async with manager(tmp_path, max_memory="1MB") as made:
            with pytest.raises(OutOfMemory, match="1 MB may be used"):
                await made.load("echo", Visitor(), pin=True)
            assert not echo(made).pinned

    run(work())
