"""The server's side of a worker: start it, give it requests, hear what it says, notice when it dies."""

from __future__ import annotations

import asyncio
import io
import logging
import queue
import subprocess
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from itertools import count
from typing import cast

from fluid_server.errors import EngineFailed, FluidError, ModelFailed, WorkerDied
from fluid_server.types import Counters, Event, Fed, ModelInfo, Request
from fluid_server.workers import pipe
from fluid_server.workers.process import close, describe_exit, spawned
from fluid_server.workers.protocol import (
    Cancel,
    Events,
    Failed,
    Feed,
    Frames,
    Garbled,
    Load,
    Loaded,
    Progress,
    Stop,
    Submit,
    ToWorker,
    encode,
)
from fluid_server.workers.ticket import LAST, Ticket

logger = logging.getLogger(__name__)
REMEMBERED_LINES = 20
WAIT_AFTER_KILL = 2.0
WAIT_FOR_LAST_WORDS = 0.5  # its stderr ends with it, unless a process of its own still holds it
CANCEL_PATIENCE = 60.0  # seconds in which a worker must have confirmed a cancel; it takes milliseconds if it lives


class WorkerHandle:
    """One worker process. Everything public is called on the event loop; threads do the blocking parts."""

    def __init__(
        self,
        model: str,
        on_end: Callable[[WorkerHandle], None],
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.model = model
        self.info: ModelInfo | None = None
        self.progress = Progress("starting the worker")
        self.counters = Counters()
        self.exit_code: int | None = None
        self.tickets: dict[int, Ticket] = {}
        self.ended = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_end = on_end
        self._on_progress = on_progress
        self._numbers = count(1)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._loop = asyncio.get_running_loop()
        self._loaded: asyncio.Future[ModelInfo] = self._loop.create_future()
        self._failure: FluidError | None = None
        self._closed: FluidError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_thread = self._thread("log", self._log)

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=target, name=f"{name}-{self.model}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process's id, once it runs."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs and has not said that it is broken."""
        return self._process is not None and not self.ended.is_set() and self._failure is None

    async def start(self, load: Load, timeout: float) -> ModelInfo:
        """Start the process and load the model. Errors: why it did not load; a timeout is ModelFailed."""
        try:
            self._process = await spawned()
        except OSError as error:
            raise EngineFailed(f"A worker process could not be started: {error.strerror}.") from error
        self._log_thread.start()
        self._thread("write", self._write).start()
        self._listen()
        self._send(load)
        try:
            async with asyncio.timeout(timeout):
                self.info = await asyncio.shield(self._loaded)
        except TimeoutError:
            raise ModelFailed(
                f"Model '{self.model}' did not load within {timeout:.0f} s. Raise --load-timeout if it needs longer."
            ) from None
        finally:
            if self.info is None:
                await self.stop(0)
        return self.info

    def submit(self, request: Request) -> Ticket:
        """Send a request. Errors: WorkerDied if the process has just ended; what ``end_all`` was told."""
        if self._closed is not None:
            raise self._closed
        if not self.alive:
            raise self._death()
        ticket = Ticket(next(self._numbers))
        self._send(Submit(ticket.number, request))
        self.tickets[ticket.number] = ticket
        self._idle.clear()
        return ticket

    def feed(self, ticket: Ticket, fed: Fed) -> None:
        """Give a live request more; nothing happens where it has ended, which its events say."""
        if not ticket.over and self.alive:
            self._send(Feed(ticket.number, fed))

    def cancel(self, ticket: Ticket) -> None:
        """Tell the worker that nobody waits for this request; it answers with Cancelled when the place is free."""
        if not ticket.over and self.alive:
            self._send(Cancel(ticket.number))
            self._loop.call_later(CANCEL_PATIENCE, self._check_cancelled, ticket.number)

    def _check_cancelled(self, number: int) -> None:
        if number in self.tickets and self.alive and self._process is not None:
            logger.error("worker hangs and is killed", extra={"model": self.model, "pid": self.pid})
            self._process.kill()

    def end_all(self, error: FluidError) -> None:
        """End every open request with this failure, here and in the worker, and whatever is still to come."""
        self._closed = error
        for ticket in list(self.tickets.values()):
            self._end(ticket, error)

    def _end(self, ticket: Ticket, error: FluidError) -> None:
        self.cancel(ticket)
        ticket.put(error)

    async def idle(self) -> None:
        """Wait until the worker has finished every request."""
        await self._idle.wait()

    async def run(
        self, request: Request, *, timeout: float | None = None, too_late: Callable[[], FluidError] | None = None
    ) -> AsyncGenerator[list[Event], None]:
        """The request's events as they come, in batches. Leaving early cancels it in the worker.

        After ``timeout`` seconds it is cancelled and ends with the failure that ``too_late`` gives.
        """
        ticket = self.submit(request)
        timer = None
        if timeout is not None and too_late is not None:
            timer = self._loop.call_later(timeout, lambda: self._end(ticket, too_late()))
        try:
            async for events in ticket.batches():
                yield events
        finally:
            if timer is not None:
                timer.cancel()
            self.cancel(ticket)

    async def stop(self, timeout: float) -> None:
        """Ask the process to end; after ``timeout`` seconds, kill it. Returns when it is gone."""
        if self._process is None or self.ended.is_set():
            return
        self._send(Stop())
        try:
            async with asyncio.timeout(timeout):
                await self.ended.wait()
        except TimeoutError:
            self._process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_AFTER_KILL):
                    await self.ended.wait()
            if not self.ended.is_set():
                logger.error("worker does not end although it was killed", extra={"model": self.model, "pid": self.pid})

    def _send(self, message: ToWorker) -> None:
        self._outbox.put(encode(message))

    # --- threads -----------------------------------------------------------------------------------------

    def _write(self) -> None:
        stream = self._running.stdin
        assert stream is not None
        while (frame := self._outbox.get()) is not None:
            try:
                stream.write(frame)
                stream.flush()
            except (OSError, ValueError):
                return  # it has gone; the listener says so

    def _log(self) -> None:
        stderr = self._running.stderr
        assert stderr is not None
        with stderr as stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    self._last_lines.append(line)
                    logger.info("%s", line, extra={"model": self.model})

    def _see_off(self) -> None:
        """It closed its end: it has gone, or is about to. A process that lives on without a pipe is of no use."""
        process = self._running
        try:
            code = process.wait(WAIT_AFTER_KILL)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._outbox.put(None)
        self._log_thread.join(WAIT_FOR_LAST_WORDS)  # why it ended is told with its end
        self._tell(self._gone, code)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _tell(self, callback: Callable[..., None], value: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, value)
        except RuntimeError:
            return  # the event loop has closed: the server is ending and nobody listens

    # --- on the event loop -------------------------------------------------------------------------------

    def _listen(self) -> None:
        stdout = cast("io.BufferedReader", self._running.stdout)
        frames = Frames()

        def heard(data: bytes) -> None:
            try:
                for message in frames.feed(data):
                    self._heard(message)
            except Garbled:
                logger.exception("a worker's words are garbled", extra={"model": self.model, "pid": self.pid})
                listener.stop()
                ended()

        def ended() -> None:
            self._thread("end", self._see_off).start()

        listener = pipe.HERE(self._loop, stdout, heard, ended)
        listener.start()

    def _heard(self, message: object) -> None:
        match message:
            case Events(items=items, counters=counters):
                self.counters = counters
                self._deliver(items)
            case Progress():
                self.progress = message
                self._on_progress(message)
            case Loaded(info=info):
                self._resolve(info)
            case Failed(error=error):
                self._failure = error
                self._resolve(error)
                self._fail_tickets(error)
            case _:
                raise TypeError(f"unexpected message {type(message).__name__}")

    def _deliver(self, items: tuple[tuple[int, Event | FluidError], ...]) -> None:
        for number, event in items:
            ticket = self.tickets.get(number)
            if ticket is None:
                continue
            ticket.put(event)
            if isinstance(event, LAST):
                del self.tickets[number]
        if not self.tickets:
            self._idle.set()

    def _resolve(self, result: ModelInfo | FluidError) -> None:
        if self._loaded.done():
            return
        if isinstance(result, FluidError):
            self._loaded.set_exception(result)
            self._loaded.exception()  # marks it as seen: nobody may be waiting any more
        else:
            self._loaded.set_result(result)

    def _gone(self, code: int) -> None:
        self.exit_code = code
        self.ended.set()
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                close(stream)
        death = self._death()
        self._resolve(death)
        self._fail_tickets(death)
        self._on_end(self)

    def _fail_tickets(self, error: FluidError) -> None:
        for ticket in self.tickets.values():
            ticket.put(error)
        self.tickets.clear()
        self._idle.set()

    def _death(self) -> FluidError:
        if self._failure is not None:
            return self._failure
        if self.info is None:
            last = f" Its last words: {self._last_lines[-1]}" if self._last_lines else ""
            return EngineFailed(f"The worker ended while loading ({describe_exit(self.exit_code)}).{last}")
        return WorkerDied(
            f"The process of model '{self.model}' ended in the middle of the request "
            f"({describe_exit(self.exit_code)}). Send it again: the model is started anew."
        )
