"""Whose turn it is, tried with tasks of numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue

import pytest

from fluid_server.runtimes.hearing_rota import Job, Rota, Task

PATIENCE = 10.0


class Numbers(Task):
    """Fed ``size`` times, and each time it has a job more; each job puts the task's name down."""

    def __init__(self, name: str, size: int, done: SimpleQueue[str], gate: threading.Event | None = None) -> None:
        self.name = name
        self.left = size
        self.jobs = 0
        self.done = done
        self.gate = gate
        self.closed = threading.Event()

    @property
    def hungry(self) -> bool:
        return self.left > 0

    @property
    def over(self) -> bool:
        return self.left == 0 and self.jobs == 0

    def feed(self) -> None:
        self.jobs += 1
        self.left -= 1
        if self.left == 0:
            self.closed.set()

    def take(self) -> Job | None:
        if not self.jobs:
            return None
        self.jobs -= 1
        return partial(self._work, self.gate)

    def _work(self, gate: threading.Event | None) -> None:
        if gate is not None:
            assert gate.wait(PATIENCE)
        self.done.put(self.name)


@pytest.fixture
def rota() -> Iterator[Rota]:
    made = Rota(1)
    yield made
    made.close()


def test_tasks_take_turns_whatever_their_length(rota: Rota) -> None:
    done: SimpleQueue[str] = SimpleQueue()
    gate = threading.Event()
    long, short = Numbers("long", 4, done, gate), Numbers("short", 2, done)
    rota.add(long)
    assert long.closed.wait(PATIENCE)  # all of it is there, and the first job runs
    rota.add(short)
    assert short.closed.wait(PATIENCE)
    gate.set()
    assert [done.get(timeout=PATIENCE) for _ in range(6)] == ["long", "short", "long", "short", "long", "long"]


def test_a_task_that_becomes_hungry_is_fed_when_the_rota_is_stirred(rota: Rota) -> None:
    done: SimpleQueue[str] = SimpleQueue()
    task = Numbers("late", 0, done)
    task.jobs = 1
    rota.add(task)
    assert done.get(timeout=PATIENCE) == "late"
    later = Numbers("later", 1, done)
    rota.add(later)
    assert done.get(timeout=PATIENCE) == "later"


def test_two_lanes_work_at_once() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    done: SimpleQueue[str] = SimpleQueue()

    class Meeting(Numbers):
        def _work(self, gate: threading.Event | None) -> None:
            both.wait()
            self.done.put(self.name)

    rota = Rota(2)
    rota.add(Meeting("one", 2, done))
    assert [done.get(timeout=PATIENCE) for _ in range(2)] == ["one", "one"]
    rota.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_leaves_word_of_it() -> None:
    class Bad(Numbers):
        def feed(self) -> None:
            raise KeyError

    rota = Rota(1)
    feeder = next(thread for thread in rota._threads if thread.name == "feeder")  # before it can have ended
    rota.add(Bad("bad", 1, SimpleQueue()))
    feeder.join(PATIENCE)
    assert rota.broken
    rota.close()
