"""The server's end of a worker's pipe: what comes is handed to the event loop, as much at once as there is."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

ROOM = 16 * 1024  # bytes that are taken at once: some hundred tokens, after which others have their turn


class Listener:
    """Hears a pipe to its end. ``heard`` and ``ended`` are called on the event loop; ``stop`` too, before the end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipe: io.BufferedReader,
        heard: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._pipe = pipe
        self._heard = heard
        self._ended = ended

    def start(self) -> None:
        """Begin to listen."""
        raise NotImplementedError

    def stop(self) -> None:
        """Listen no more; neither function is called again."""
        raise NotImplementedError


class WatchedPipe(Listener):
    """The event loop watches the pipe itself, where it can: no thread has to be woken, nor to wake it."""

    def start(self) -> None:
        """Begin to listen."""
        if sys.platform != "win32":  # whose event loops can watch no pipe
            os.set_blocking(self._pipe.fileno(), False)
        self._loop.add_reader(self._pipe.fileno(), self._readable)

    def stop(self) -> None:
        """Listen no more."""
        self._loop.remove_reader(self._pipe.fileno())

    def _readable(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), ROOM)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard(data)
        else:
            self.stop()
            self._ended()


class ThreadedPipe(Listener):
    """A thread reads it: on Windows, where event loops know no pipes of this kind."""

    def start(self) -> None:
        """Begin to listen."""
        self._pieces: deque[bytes] = deque()
        self._called = False  # the event loop is about to take what there is: it need not be woken again
        self._stopped = False
        threading.Thread(target=self._read, name="pipe", daemon=True).start()

    def stop(self) -> None:
        """Listen no more. The thread ends with the pipe."""
        self._stopped = True

    def _read(self) -> None:
        while data := self._some():
            self._pieces.append(data)
            if not self._called:
                self._called = True
                self._call(self._take)
        self._call(self._end)

    def _some(self) -> bytes:
        try:
            return self._pipe.read1(ROOM)
        except (OSError, ValueError):
            return b""

    def _take(self) -> None:
        self._called = False  # first: what comes from now on calls again
        while self._pieces and not self._stopped:
            self._heard(self._pieces.popleft())

    def _end(self) -> None:
        self._take()
        if not self._stopped:
            self._ended()

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            return  # the event loop has closed: the server is ending and nobody listens


HERE: type[Listener] = ThreadedPipe if sys.platform == "win32" else WatchedPipe
"""What listens on this platform."""
