"""Who works at what, and when: threads that take up the tasks of a speech runtime in rotation."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from itertools import product

Job = Callable[[], None]
Offers = tuple[Callable[["Task"], Job | None], ...]
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

    def spare(self) -> Job | None:
        """What nobody waits for, done when no task has a window; None if there is nothing. Quick, as ``hungry``."""
        return None


class Rota:
    """One thread that feeds and ``lanes`` threads that recognise, each serving the tasks in turn."""

    def __init__(self, lanes: int) -> None:
        self._changed = threading.Condition()
        self._feeding: deque[Task] = deque()
        self._hearing: deque[Task] = deque()
        self._ended = False
        self.broken = False
        self._threads = [self._thread("feeder", self._feeding, (_meal,))]
        self._threads += [self._thread(f"lane-{number}", self._hearing, (_window, _spare)) for number in range(lanes)]

    def _thread(self, name: str, row: deque[Task], offers: Offers) -> threading.Thread:
        thread = threading.Thread(target=self._loop, args=(row, offers), name=name, daemon=True)
        thread.start()
        return thread

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

    def _loop(self, row: deque[Task], offers: Offers) -> None:
        """``broken`` is set where a thread dies of what nobody foresaw."""
        died = True
        try:
            while (found := self._wait_for(row, offers)) is not None:
                task, job = found
                job()
                self._served(row, task)
            died = False
        finally:
            self.broken = self.broken or died

    def _wait_for(self, row: deque[Task], offers: Offers) -> tuple[Task, Job] | None:
        """Of all tasks the first offer, in their turn; a second kind of offer only when none makes the first."""
        with self._changed:
            while True:
                self._forget()
                for offer, task in product(offers, row):
                    if (job := offer(task)) is not None:
                        _to_the_end(row, task)
                        return task, job
                if self._ended:  # after the last job: a task that was stopped has its source closed
                    return None
                self._changed.wait()

    def _served(self, row: deque[Task], task: Task) -> None:
        """Who came while a task was served is served before it."""
        with self._changed:
            if task in row:
                _to_the_end(row, task)
            self._changed.notify_all()

    def _forget(self) -> None:
        for row in (self._feeding, self._hearing):
            for task in [task for task in row if task.over]:
                row.remove(task)


def _meal(task: Task) -> Job | None:
    return task.feed if task.hungry else None


def _window(task: Task) -> Job | None:
    return task.take()


def _spare(task: Task) -> Job | None:
    return task.spare()


def _to_the_end(row: deque[Task], task: Task) -> None:
    row.remove(task)
    row.append(task)
