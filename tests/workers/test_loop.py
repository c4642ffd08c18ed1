"""The child's loop, on a runtime that is told what to do."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import pytest

from fluid_server.catalog.builtin import echo_spec
from fluid_server.errors import EngineFailed, FluidError, InvalidRequest
from fluid_server.runtimes.base import BaseRuntime, Outcome, ReportProgress, plain_reason
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
from fluid_server.workers import loop, post
from fluid_server.workers.protocol import Cancel, Events, Failed, Garbled, Load, Progress, Stop, Submit

REQUEST = GenerateRequest(text="x")


class Puppet(BaseRuntime):
    """Ends a request after three steps; a dropped one leaves some steps later, without an event."""

    name = "puppet"

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[int, int] = {}
        self.lingering = 0
        self.closed = False

    def load(self, spec: ModelSpec, options: RuntimeOptions, progress: ReportProgress) -> ModelInfo:
        progress("tuning the strings", None)
        if options.device == "GPU":
            raise RuntimeError("no such string")
        return ModelInfo(runtime="puppet", device="CPU", parallel=1)

    def add(self, request_id: int, request: Request) -> None:
        if request == GenerateRequest(text="odd"):
            raise TypeError("TextInputSequence must be str")
        if request != REQUEST:
            raise InvalidRequest("no")
        self.left[request_id] = 3

    def step(self) -> list[Outcome]:
        self.lingering = max(0, self.lingering - 1)
        if 13 in self.left:
            raise RuntimeError("Exception from /build/engine.cpp:12:\nIt broke.")
        self.left = {number: left - 1 for number, left in self.left.items()}
        ended = [number for number, left in self.left.items() if left == 0]
        outcomes: list[Outcome] = [(number, TextPiece(0, "x")) for number in self.left]
        for number in ended:
            del self.left[number]
            outcomes.append((number, Done(Usage())))
        return outcomes

    def drop(self, request_id: int) -> bool:
        was_here = self.left.pop(request_id, None) is not None
        self.lingering = 3 if was_here else self.lingering
        return was_here

    @property
    def busy(self) -> bool:
        return bool(self.left) or self.lingering > 0

    @property
    def load_now(self) -> tuple[int, int]:
        return len(self.left) + (self.lingering > 0), 0

    def close(self) -> None:
        self.closed = True


class Wire:
    """Both ends of the pipe: what the server says, and what it hears."""

    def __init__(self, *messages: object) -> None:
        self.messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.heard: list[object] = []
        for message in messages:
            self.messages.put(message)

    def take(self, *, wait: bool) -> list[object]:
        """One message at a time, so that steps come between; Stop when there is no more and the loop waits."""
        if self.messages.empty():
            return [Stop()] if wait else []
        return [self.messages.get()]

    def send(self, message: object) -> None:
        self.heard.append(message)

    def outcomes(self) -> list[tuple[int, object]]:
        return [item for message in self.heard if isinstance(message, Events) for item in message.items]


def run(*messages: object, device: str = "CPU") -> tuple[int, Wire, Puppet]:
    wire, runtime = Wire(*messages), Puppet()
    pipe: Any = wire
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create", lambda name: runtime)
        code = loop.work(pipe, pipe, Load("puppet", echo_spec(), RuntimeOptions(device=device)))
    return code, wire, runtime


def test_requests_are_stepped_to_their_end_and_the_runtime_is_closed() -> None:
    code, wire, runtime = run(Submit(1, REQUEST), Submit(2, REQUEST))
    assert code == 0
    assert runtime.closed
    assert [number for number, event in wire.outcomes() if isinstance(event, Done)] == [1, 2]


def test_one_message_a_step_however_many_requests_run() -> None:
    _, wire, _ = run(*(Submit(number, REQUEST) for number in range(1, 9)))
    assert sum(isinstance(message, Events) for message in wire.heard) <= 11  # three steps each, joined one apart


def test_a_request_that_is_not_taken_fails_alone() -> None:
    _, wire, runtime = run(Submit(1, GenerateRequest(text="bad")), Submit(2, REQUEST))
    failures = [number for number, event in wire.outcomes() if isinstance(event, FluidError)]
    assert failures == [1]
    assert runtime.counters.failed == 1


def test_a_request_that_makes_something_raise_fails_alone() -> None:
    _, wire, _ = run(Submit(1, GenerateRequest(text="odd")), Submit(2, REQUEST))
    ends = [(number, type(event)) for number, event in wire.outcomes() if isinstance(event, Done | FluidError)]
    assert ends == [(1, EngineFailed), (2, Done)]


def test_a_model_that_does_not_load_says_at_what_it_failed() -> None:
    code, wire, _ = run(device="GPU")
    assert code == loop.ENGINE_FAILED
    assert wire.heard[0] == Progress("tuning the strings")
    failure = wire.heard[-1]
    assert isinstance(failure, Failed)
    assert failure.error.message == "tuning the strings failed: no such string"


def test_a_cancelled_request_says_so_once() -> None:
    _, wire, _ = run(Submit(1, REQUEST), Cancel(1), Cancel(1))
    assert [event for _, event in wire.outcomes() if isinstance(event, Cancelled)] == [Cancelled()]


def test_a_runtime_hears_of_a_cancel_while_it_computes() -> None:
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    wire: queue.SimpleQueue[object] = queue.SimpleQueue()
    channel: Any = type("Pipe", (), {"receive": staticmethod(wire.get)})

    class Told(Puppet):
        def abandon(self, request_id: int) -> None:
            heard.put(request_id)

    inbox = loop.Inbox(channel)
    inbox.runtime = Told()
    sent = [Submit(7, REQUEST), Cancel(7)]
    for message in sent:
        wire.put(message)
    assert heard.get(timeout=10) == 7
    assert inbox.take(wait=False) == sent  # what it was told of is there to be taken


@pytest.mark.parametrize(("failure", "code"), [(EOFError(), 0), (Garbled("out of memory"), loop.ENGINE_FAILED)])
def test_a_worker_that_hears_nothing_any_more_ends(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, code: int
) -> None:
    ends: queue.SimpleQueue[int] = queue.SimpleQueue()

    def end(code: int) -> None:
        ends.put(code)
        threading.Event().wait()  # it does not come back

    def receive() -> object:
        raise failure

    monkeypatch.setattr("os._exit", end)
    channel: Any = type("Pipe", (), {"receive": staticmethod(receive)})
    loop.Inbox(channel)
    assert ends.get(timeout=10) == code


def test_the_server_hears_when_the_last_one_has_left_although_nothing_else_happens() -> None:
    _, wire, _ = run(Submit(1, REQUEST), Cancel(1))
    last = wire.heard[-1]
    assert isinstance(last, Events)
    assert (last.items, last.counters.running) == ((), 0)


def test_a_step_that_raises_ends_the_worker_with_a_plain_reason() -> None:
    code, wire, _ = run(Submit(13, REQUEST))
    assert code == loop.ENGINE_FAILED
    failure = wire.heard[-1]
    assert isinstance(failure, Failed)
    assert isinstance(failure.error, EngineFailed)
    assert "It broke." in failure.error.message
    assert "/build" not in failure.error.message


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("Exception from src/core/x.cpp:10:\nNo such model", "No such model"),
        ("Check 'a == b' failed at src/a.cpp:12:\nBad weights", "Bad weights"),
        ("Cannot open /home/me/models/llm/m/openvino_model.xml now", "Cannot open openvino_model.xml now"),
        (r"Cannot open C:\Users\me\models\m.gguf now", "Cannot open m.gguf now"),
        ("", "RuntimeError"),
    ],
)
def test_engine_errors_lose_their_paths(raw: str, plain: str) -> None:
    assert plain_reason(RuntimeError(raw)) == plain


def sizes(monkeypatch: pytest.MonkeyPatch, *messages: object, together: float, steady: bool = True) -> list[int]:
    """How many events each message has that a worker sends; each request brings four, in three steps."""
    monkeypatch.setattr(post, "TOGETHER", together)
    monkeypatch.setattr(Puppet, "steady", steady)
    _, wire, _ = run(*messages)
    assert len(wire.outcomes()) == 4 * sum(isinstance(message, Submit) for message in messages)
    return [len(message.items) for message in wire.heard if isinstance(message, Events)]


FOREVER = 3600.0


def test_pieces_that_come_faster_than_anybody_sees_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes(monkeypatch, Submit(1, REQUEST), together=FOREVER) == [1, 3]  # its first one at once, and its end


def test_pieces_of_longer_steps_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes(monkeypatch, Submit(1, REQUEST), together=0.0) == [1, 1, 2]


def test_nothing_waits_for_a_step_that_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes(monkeypatch, Submit(1, REQUEST), together=FOREVER, steady=False) == [1, 1, 2]


def test_nothing_waits_for_a_step_that_does_something_new(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Submit(1, REQUEST), Cancel(99), Cancel(99)  # one is heard before each of the three steps
    assert sizes(monkeypatch, *asked, together=FOREVER) == [1, 1, 2]


def test_what_waits_is_told_before_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "TOGETHER", FOREVER)
    monkeypatch.setattr(Puppet, "steady", True)
    wire, runtime = Wire(), Puppet()
    runtime.left[1] = 3
    channel: Any = wire
    with pytest.raises(RuntimeError), post.Post(channel, runtime) as sent:
        for said in "abc":
            sent.take([(1, TextPiece(0, said))], time.monotonic())
        assert wire.outcomes() == [(1, TextPiece(0, "a"))]
        raise RuntimeError
    assert [event for _, event in wire.outcomes()] == [TextPiece(0, said) for said in "abc"]
