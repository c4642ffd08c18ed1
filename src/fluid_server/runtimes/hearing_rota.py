"""Who works at what, and when: threads that take up the tasks of a speech runtime in rotation."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TypeVar

Job = Callable[[], None]
T = TypeVar("T")
PATIENCE = 5.0  # seconds to wait for the threads at the end; an engine notices between two tokens


class Task(ABC):
    """One recording: fed with its sound bit by bit by one thread, its windows recognised by others.

    Neither ``feed`` nor a job may raise: what goes wrong is the task's own to tell.
    """

    @property
    @abstractmethod
    def hungry(self) -> bool:
        """Whether ``feed`` has something to do now; asked under a lock, so it is quick."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nothing is left to be done for it. Quick, as ``hungry``."""

    @abstractmethod
    def feed(self) -> None:
        """Take in about a second of sound. Called by one thread only."""

    @abstractmethod
    def take(self) -> Job | None:
        """The next window, taken out, as what is to be called for it; None if there is none. Quick, as ``hungry``."""


class Rota:
    """One thread that feeds and ``lanes`` threads that recognise, each serving the tasks in turn."""

    def __init__(self, lanes: int) -> None:
        self._changed = threading.Condition()
        self._feeding: deque[Task] = deque()
        self._hearing: deque[Task] = deque()
        self._ended = False
        self.broken = False
        self._threads = [threading.Thread(target=self._loop, args=(self._next_meal,), name="feeder", daemon=True)]
        for number in range(lanes):
            lane = threading.Thread(target=self._loop, args=(self._next_job,), name=f"lane-{number}", daemon=True)
            self._threads.append(lane)
        for thread in self._threads:
            thread.start()

    def add(self, task: Task) -> None:
        """Take up a task."""
        with self._changed:
            self._feeding.append(task)
            self._hearing.append(task)
            self._changed.notify_all()

    def stir(self) -> None:
        """Look at the tasks again: one has become hungry, or has a window to be recognised."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End the threads and wait for them; the tasks must have been stopped."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _loop(self, find: Callable[[], Job | None]) -> None:
        """``broken`` stands while a thread works, so it stays where one has died of what nobody foresaw."""
        died = True
        try:
            while (job := self._wait_for(find)) is not None:
                job()
                self.stir()
            died = False
        finally:
            self.broken = self.broken or died

    def _wait_for(self, find: Callable[[], Job | None]) -> Job | None:
        with self._changed:
            while True:
                self._forget()
                if (job := find()) is not None:
                    return job
                if self._ended:  # after the last job: a task that was stopped has its source closed
                    return None
                self._changed.wait()

    def _forget(self) -> None:
        for row in (self._feeding, self._hearing):
            for task in [task for task in row if task.over]:
                row.remove(task)

    def _next_meal(self) -> Job | None:
        task = _in_turn(self._feeding, lambda task: task if task.hungry else None)
        return task.feed if task is not None else None

    def _next_job(self) -> Job | None:
        return _in_turn(self._hearing, lambda task: task.take())


def _in_turn(tasks: deque[Task], offer: Callable[[Task], T | None]) -> T | None:
    """The first offer; who made it goes to the end of the row."""
    for position, task in enumerate(tasks):
        if (offered := offer(task)) is not None:
            del tasks[position]
            tasks.append(task)
            return offered
    return None
