"""Plain generators under the three verbs."""

from __future__ import annotations

import pytest

from fluid_server.errors import EngineFailed, InvalidRequest
from fluid_server.runtimes.base import ReportProgress
from fluid_server.runtimes.one_at_a_time import Answer, OneAtATimeRuntime
from fluid_server.types import (
    Cancelled,
    Done,
    GenerateRequest,
    ModelInfo,
    ModelSpec,
    Request,
    RuntimeOptions,
    TextPiece,
    Usage,
)


class Counting(OneAtATimeRuntime):
    """Answers with two pieces and a pause between them."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        raise NotImplementedError

    def check(self, request: Request) -> None:
        if request == GenerateRequest(text="bad"):
            raise InvalidRequest("bad")

    def answer(self, request: Request) -> Answer:
        try:
            yield TextPiece(0, "a")
            if request == GenerateRequest(text="breaks"):
                raise EngineFailed("broke")
            yield None
            yield TextPiece(0, "b")
            yield Done(Usage())
        finally:
            self.closed += 1


@pytest.fixture
def runtime() -> Counting:
    return Counting()


def test_requests_run_one_after_the_other(runtime: Counting) -> None:
    runtime.add(1, GenerateRequest(text="x"))
    runtime.add(2, GenerateRequest(text="x"))
    seen = []
    while runtime.busy:
        seen += [number for number, _ in runtime.step()]
    assert seen == [1, 1, 1, 2, 2, 2]
    assert (runtime.closed, runtime.counters.completed) == (2, 2)


def test_a_pause_brings_nothing_and_lets_the_loop_look_at_its_inbox(runtime: Counting) -> None:
    runtime.add(1, GenerateRequest(text="x"))
    runtime.step()
    assert runtime.step() == []
    assert runtime.busy


def test_cancelling_the_running_request_closes_its_generator(runtime: Counting) -> None:
    runtime.add(1, GenerateRequest(text="x"))
    runtime.step()
    assert runtime.cancel(1) == [(1, Cancelled())]
    assert (runtime.closed, runtime.busy) == (1, False)


def test_cancelling_a_waiting_request_leaves_the_running_one(runtime: Counting) -> None:
    runtime.add(1, GenerateRequest(text="x"))
    runtime.add(2, GenerateRequest(text="x"))
    runtime.step()
    runtime.cancel(2)
    assert (runtime.counters.running, runtime.counters.waiting, runtime.closed) == (1, 0, 0)


def test_a_failure_ends_its_request_and_the_next_one_runs(runtime: Counting) -> None:
    runtime.add(1, GenerateRequest(text="breaks"))
    runtime.add(2, GenerateRequest(text="x"))
    runtime.step()
    ((number, error),) = runtime.step()
    assert number == 1
    assert isinstance(error, EngineFailed)
    assert runtime.step() == [(2, TextPiece(0, "a"))]


def test_a_request_that_cannot_be_served_never_queues(runtime: Counting) -> None:
    with pytest.raises(InvalidRequest):
        runtime.add(1, GenerateRequest(text="bad"))
    assert not runtime.busy
