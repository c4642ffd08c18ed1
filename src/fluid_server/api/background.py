"""Responses that go on whether anybody waits or not, and what was told of them, to be told again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from fluid_server.api import sse
from fluid_server.api.errors import internal_error
from fluid_server.api.response_run import Run
from fluid_server.api.responses_stream import Wire
from fluid_server.errors import FluidError, InvalidRequest, QueueFull, ShuttingDown

logger = logging.getLogger(__name__)
MOST_RUNNING = 256
KEPT_RUNS = 64  # ended ones whose events can still be told again
KEPT_BYTES = 32 * 1024 * 1024


class Recording:
    """One response in the background: its events as frames, each at the place of its sequence number.

    Of one that tells more than KEPT_BYTES the first half goes: what is told of it stays within a limit.
    """

    def __init__(self, run: Run) -> None:
        self.over = False
        self.size = 0
        self.visitor = run.visitor
        self._response = run.response
        self._run: Run | None = run  # until it is over: it holds all that the model was given
        self._frames: list[bytes] = []
        self._gone = 0  # so many frames were there before the first
        self._news = asyncio.Event()
        self._work: asyncio.Task[None] | None = asyncio.create_task(self._record(run), name=f"response {run.id}")
        self._reason: FluidError | None = None
        self.ended = asyncio.create_task(self._settle(run, self._work), name=f"end of response {run.id}")

    @property
    def response(self) -> dict[str, Any]:
        """The response as it stands."""
        return self._response if self._run is None else self._run.response

    def stop(self, reason: FluidError | None = None) -> None:
        """End it before its time: cancelled, or failed for this reason."""
        if self._work is not None and not self._work.done():
            self._reason = reason
            self._work.cancel()

    def replay(self, after: int | None) -> AsyncGenerator[bytes, None]:
        """All events behind this sequence number, those to come included. Errors: InvalidRequest where they are not."""
        first, told = 0 if after is None else after + 1, self._gone + len(self._frames)
        if self.over and first >= told:
            raise InvalidRequest(
                f"The last event of this response has the sequence number {told - 1}: none follows.",
                param="starting_after",
            )
        if first > told:  # a stream of what never comes would end without an event
            raise InvalidRequest(
                f"This response has told {told} events so far: 'starting_after' is the number of one of them.",
                param="starting_after",
            )
        if first < self._gone:
            raise self._too_late()
        return self._replay(first)

    async def _replay(self, first: int) -> AsyncGenerator[bytes, None]:
        while True:
            news = self._news
            if first < self._gone:
                raise self._too_late()
            if frames := self._frames[first - self._gone :]:
                first += len(frames)
                yield b"".join(frames)
            elif self.over:
                return
            else:
                await news.wait()

    def _too_late(self) -> InvalidRequest:
        return InvalidRequest(
            f"The events of this response up to the sequence number {self._gone - 1} are not here any more: it has "
            "told too much. Fetch it without 'stream', or go on from there.",
            param="starting_after",
        )

    async def _record(self, run: Run) -> None:
        async for events in run.events():
            self._add(events)

    async def _settle(self, run: Run, work: asyncio.Task[None]) -> None:
        """Wait for the end; where it was no good one, tell of it. Whatever happens, those who watch are let go."""
        await asyncio.wait({work})
        try:
            self._add(await self._last_words(run, work))
        finally:
            self._response, self._run, self._work = run.response, None, None
            self.over = True
            self._wake()

    async def _last_words(self, run: Run, work: asyncio.Task[None]) -> list[Wire]:
        if work.cancelled():
            return await (run.failed(self._reason) if self._reason else run.cancelled())
        error = work.exception()
        if error is None:
            return []
        if not isinstance(error, FluidError):
            logger.error("defect in response %s", run.id, exc_info=error)
            error = internal_error()
        return await run.failed(error)

    def _add(self, events: list[Wire]) -> None:
        frames = [sse.frame(event, event["type"]) for event in events]
        self._frames += frames
        self.size += sum(map(len, frames))
        if self.size > KEPT_BYTES:
            half = len(self._frames) // 2
            self.size -= sum(map(len, self._frames[:half]))
            self._gone += half
            del self._frames[:half]
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Background:
    """All responses in the background, the running ones and some that have ended."""

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}
        self._beginning = 0  # are being kept for the first time
        self._closing = False

    async def begin(self, run: Run) -> Recording:
        """Keep the response as queued, then work on it. Errors: QueueFull, ShuttingDown, StoreFailed."""
        running = self._beginning + sum(not one.over for one in self._recordings.values())
        if running >= MOST_RUNNING:
            raise QueueFull(f"{running} responses are worked on in the background already. Wait for one to end.")
        self._beginning += 1
        try:
            await run.keep()
        finally:
            self._beginning -= 1
        if self._closing:  # nobody would end it any more
            raise ShuttingDown("The server is shutting down. Send the request again when it is back.")
        recording = self._recordings[run.id] = Recording(run)
        recording.ended.add_done_callback(lambda _: self._forget_the_oldest())
        return recording

    def find(self, id_: str) -> Recording | None:
        """A response in the background whose events are still here."""
        return self._recordings.get(id_)

    async def cancel(self, id_: str) -> dict[str, Any] | None:
        """End a response before its time; None where it is not worked on here (any more)."""
        recording = self._recordings.get(id_)
        if recording is None or recording.over:
            return None
        recording.stop()
        await asyncio.shield(recording.ended)
        return recording.response

    async def forget(self, id_: str) -> None:
        """End it if it is running, and tell no more of it."""
        await self.cancel(id_)
        self._recordings.pop(id_, None)

    async def close(self) -> None:
        """End all of them, and keep what became of them."""
        self._closing = True
        running = [one for one in self._recordings.values() if not one.over]
        for one in running:
            one.stop(ShuttingDown("The server was shut down before the response was complete. Send it again."))
        await asyncio.gather(*(one.ended for one in running), return_exceptions=True)

    def _forget_the_oldest(self) -> None:
        ended = [id_ for id_, one in self._recordings.items() if one.over]
        size = sum(self._recordings[id_].size for id_ in ended)
        while ended and (len(ended) > KEPT_RUNS or size > KEPT_BYTES):
            size -= self._recordings.pop(ended.pop(0)).size


async def _background(request: Request) -> Background:
    return cast("Background", request.app.state.background)


Backgrounds = Annotated[Background, Depends(_background)]
