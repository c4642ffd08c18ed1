"""A real worker process, driven through its handle."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from fluid_server.catalog.builtin import echo_spec
from fluid_server.catalog.scan import scan
from fluid_server.errors import EngineFailed, ModelFailed, ShuttingDown, WorkerDied
from fluid_server.types import (
    Cancelled,
    Done,
    Event,
    GenerateRequest,
    Message,
    ModelSpec,
    Request,
    RuntimeOptions,
    TextPiece,
)
from fluid_server.workers import handle as handles
from fluid_server.workers import pipe, process
from fluid_server.workers.handle import WorkerHandle
from fluid_server.workers.protocol import Load, Submit
from tests.awaited import turns

MODELS = Path(__file__).resolve().parents[2] / "models"
TIMEOUT = 30.0
ENDLESS = GenerateRequest(messages=(Message(role="user", content="on and on"),), ignore_eos=True)


def hello(text: str = "hello there") -> GenerateRequest:
    return GenerateRequest(messages=(Message(role="user", content=text),))


@asynccontextmanager
async def worker(spec: ModelSpec | None = None, runtime: str = "echo") -> AsyncGenerator[WorkerHandle, None]:
    made = WorkerHandle("test", lambda handle: None)
    await made.start(Load(runtime, spec or echo_spec(), RuntimeOptions(parallel=4)), TIMEOUT)
    try:
        yield made
    finally:
        await made.stop(TIMEOUT)


async def events_of(handle: WorkerHandle, request: Request) -> list[Event]:
    return [event async for batch in handle.run(request) for event in batch]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def process_of(handle: WorkerHandle) -> psutil.Process:
    assert handle.pid is not None
    return psutil.Process(handle.pid)


def test_a_request_is_answered_and_counted() -> None:
    async def work() -> None:
        async with worker() as handle:
            events = await events_of(handle, hello())
            assert "".join(event.text for event in events if isinstance(event, TextPiece)) == "hello there"
            assert isinstance(events[-1], Done)
            assert (handle.counters.completed, handle.counters.completion_tokens) == (1, 2)
            assert handle.tickets == {}

    run(work())


def test_many_requests_at_once_each_get_their_own_answer() -> None:
    async def work() -> None:
        async with worker() as handle:
            answers = await asyncio.gather(*(events_of(handle, hello(f"number {i} here")) for i in range(20)))
        for number, events in enumerate(answers):
            text = "".join(event.text for event in events if isinstance(event, TextPiece))
            assert text == f"number {number} here"

    run(work())


def test_leaving_early_cancels_in_the_worker() -> None:
    async def work() -> None:
        async with worker() as handle:
            async with aclosing(handle.run(ENDLESS)) as batches:
                await anext(batches)
            await handle.idle()
            assert (handle.counters.cancelled, handle.counters.running) == (1, 0)

    run(work())


def test_cancelling_ends_the_ticket_with_the_workers_word() -> None:
    async def work() -> None:
        async with worker() as handle:
            ticket = handle.submit(ENDLESS)
            await ticket.batch()
            handle.cancel(ticket)
            events = [event async for batch in ticket.batches() for event in batch]
            assert isinstance(events[-1], Cancelled)

    run(work())


def test_a_killed_worker_fails_its_requests_and_says_how_it_died() -> None:
    async def work() -> None:
        async with worker() as handle:
            ticket = handle.submit(ENDLESS)
            await ticket.batch()
            process_of(handle).kill()
            with pytest.raises(WorkerDied, match=r"test.*(SIGKILL|exit code)"):
                _ = [events async for events in ticket.batches()]
            await handle.ended.wait()
            assert not handle.alive
            with pytest.raises(WorkerDied):
                handle.submit(hello())

    run(work())


def test_what_came_before_the_failure_is_still_given() -> None:
    async def work() -> None:
        async with worker() as handle:
            ticket = handle.submit(ENDLESS)
            await until(lambda: ticket.begun)
            process_of(handle).kill()
            await handle.ended.wait()
            assert isinstance((await ticket.batch())[0], TextPiece)
            with pytest.raises(WorkerDied):
                await ticket.batch()

    run(work())


def test_stopping_leaves_no_process() -> None:
    async def work() -> None:
        async with worker() as handle:
            process = process_of(handle)
        assert handle.exit_code == 0
        assert not process.is_running()

    run(work())


def test_stopping_while_it_generates_ends_in_good_order() -> None:
    async def work() -> None:
        async with worker() as handle:
            ticket = handle.submit(ENDLESS)
            await ticket.batch()
            await handle.stop(TIMEOUT)
            assert handle.exit_code == 0

    run(work())


def test_end_all_tells_every_open_request_and_those_that_come_late() -> None:
    async def work() -> None:
        async with worker() as handle:
            tickets = [handle.submit(ENDLESS) for _ in range(3)]
            await tickets[0].batch()
            handle.end_all(ShuttingDown("bye"))
            for ticket in tickets:
                with pytest.raises(ShuttingDown):
                    _ = [events async for events in ticket.batches()]
            with pytest.raises(ShuttingDown):
                handle.submit(hello())
            await handle.idle()
            assert handle.counters.running == 0

    run(work())


def test_a_worker_that_lost_its_server_ends_itself() -> None:
    async def work() -> None:
        async with worker() as handle:
            handle.submit(ENDLESS)
            process = handle._process
            assert process is not None
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(handle.ended.wait(), TIMEOUT)
            assert handle.exit_code == 0

    run(work())


def test_a_model_that_does_not_load_says_why(tmp_path: Path) -> None:
    bad = tmp_path / "openvino_model.xml"
    bad.write_text("<net", encoding="utf-8")
    spec = next(one for one in scan(MODELS) if one.id == "fluid-tiny-ov")
    broken = ModelSpec(id="b", format=spec.format, kind=spec.kind, path=tmp_path, chat_template="x")

    async def work() -> None:
        handle = WorkerHandle("b", lambda ended: None)
        with pytest.raises(EngineFailed) as caught:
            await handle.start(Load("openvino", broken, RuntimeOptions()), TIMEOUT)
        assert str(tmp_path) not in caught.value.message
        assert handle.ended.is_set()

    pytest.importorskip("openvino_genai", reason="OpenVINO GenAI has no wheel here")
    run(work())


def test_loading_that_takes_too_long_is_given_up_and_its_process_killed() -> None:
    async def work() -> None:
        handle = WorkerHandle("slow", lambda ended: None)
        with pytest.raises(ModelFailed, match="--load-timeout"):
            await handle.start(Load("echo", echo_spec(), RuntimeOptions()), timeout=0.0)
        assert handle.ended.is_set()

    run(work())


@pytest.mark.parametrize("times", [1, 2])
def test_who_is_cancelled_while_the_process_starts_leaves_none_behind(times: int) -> None:
    async def work() -> None:
        before = {child.pid for child in psutil.Process().children()}
        starting = asyncio.ensure_future(
            WorkerHandle("test", lambda handle: None).start(Load("echo", echo_spec(), RuntimeOptions()), TIMEOUT)
        )
        for _ in range(times):
            await turns(2)
            starting.cancel()
        assert isinstance((await asyncio.gather(starting, return_exceptions=True))[0], asyncio.CancelledError)
        if times > 1:  # then it is seen off behind our back
            await until(lambda: len(asyncio.all_tasks()) == 1)
        assert {child.pid for child in psutil.Process().children()} <= before

    run(work())


def test_a_worker_that_never_gets_its_first_message_in_order_dies_with_words() -> None:
    out_of_order: Any = Submit(1, hello())

    async def work() -> None:
        handle = WorkerHandle("odd", lambda ended: None)
        with pytest.raises(EngineFailed, match="first message must be Load"):
            await handle.start(out_of_order, TIMEOUT)

    run(work())


def test_a_worker_is_heard_by_a_thread_where_event_loops_know_no_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "HERE", pipe.ThreadedPipe)

    async def work() -> None:
        async with worker() as handle:
            answers = await asyncio.gather(*(events_of(handle, hello(f"number {i} here")) for i in range(8)))
            ticket = handle.submit(ENDLESS)
            await ticket.batch()
            process_of(handle).kill()
            with pytest.raises(WorkerDied):
                _ = [events async for events in ticket.batches()]
        for number, events in enumerate(answers):
            assert "".join(one.text for one in events if isinstance(one, TextPiece)) == f"number {number} here"

    run(work())


def test_a_worker_whose_words_are_garbled_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    babble = "import sys; sys.stdout.write('who put this on stdout?'); sys.stdout.flush(); sys.stdin.read()"
    monkeypatch.setattr(process, "worker_command", lambda: [sys.executable, "-c", babble])
    monkeypatch.setattr(handles, "WAIT_AFTER_KILL", 0.01)

    async def work() -> None:
        handle = WorkerHandle("babbler", lambda ended: None)
        with pytest.raises(EngineFailed, match="ended while loading"):
            await handle.start(Load("echo", echo_spec(), RuntimeOptions()), TIMEOUT)
        assert handle.ended.is_set()

    run(work())
