"""One realtime session over its socket: events come and go until the client, or the server, leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, WebSocket, WebSocketDisconnect
from starlette.requests import HTTPConnection

from fluid_server.api.errors import internal_error
from fluid_server.api.realtime_ear import Ear, Listener
from fluid_server.api.realtime_session import Session
from fluid_server.api.schemas.realtime_events import Event, Received, Update, error_event, receive
from fluid_server.api.schemas.realtime_session import MODEL_FIELD, Settings, addressed
from fluid_server.api.tasks import end
from fluid_server.config import ServerConfig
from fluid_server.errors import FluidError, InvalidRequest, ModelNotFound, ShuttingDown
from fluid_server.managers.grace import Grace
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import Ability, Turned

logger = logging.getLogger(__name__)
GOING_AWAY, POLICY, DEFECT = 1001, 1008, 1011  # codes of RFC 6455
FAREWELL = 1  # seconds for a close frame and its answer
LONGEST_REASON = 120  # bytes of a close frame, of 123


class Sessions:
    """All realtime sessions of the server, so that it can end them in good order."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    async def close(self, grace: Grace) -> None:
        """Tell all of them to end, and wait until they have; those that write down what was said may be a little late,
        since it is their model's end that tells them."""
        self.closing.set()
        if self._running:
            await grace.give(asyncio.wait(self._running), more=FAREWELL)

    async def run(self, talk: Talk) -> None:
        """One session to its end."""
        task = asyncio.create_task(talk.run(), name=f"realtime {talk.session.id}")
        self._running.add(task)
        try:
            await task
        finally:
            self._running.discard(task)
            task.cancel()


async def _sessions(connection: HTTPConnection) -> Sessions:
    return cast("Sessions", connection.app.state.sessions)


AllSessions = Annotated[Sessions, Depends(_sessions)]


@dataclass(frozen=True, slots=True)
class Seat:
    """What a session has around it, and how it begins."""

    manager: RuntimeManager
    config: ServerConfig
    sessions: Sessions
    client: str
    settings: Settings


class Talk:
    """A session and its socket, which has been accepted."""

    def __init__(self, socket: WebSocket, seat: Seat) -> None:
        self.session = Session(seat.settings, seat.config.max_audio_seconds)
        self._socket = socket
        self._seat = seat
        self._sending = asyncio.Lock()  # what belongs together is sent together
        self._warming: asyncio.Task[None] | None = None
        listener = Listener(tell=self._tell, broken=self._broken, over=self.session.over)
        self._ear = Ear(seat.manager, seat.client, seat.config.realtime_idle, listener)

    async def run(self) -> None:
        """Until one side leaves."""
        with suppress(WebSocketDisconnect):  # the client may leave at any time
            if (failure := await self._opened()) is not None:
                await self._close(POLICY, failure)
                return
            await self._converse()

    async def _opened(self) -> FluidError | None:
        """Say hello; what does not fit in the address is told before the session ends."""
        try:
            self.session.settings = addressed(self.session.settings, self._socket.query_params)
            await check_model(self._seat.manager, self._seat.client, self.session.settings, "model")
        except FluidError as error:
            await self._send([error_event(error)])
            return error
        await self._send([self.session.created()])
        await self._retune()
        return None

    async def _converse(self) -> None:
        """Read and listen side by side. When the server ends, the turns that were taken are written down first."""
        reading = asyncio.create_task(self._read(), name="realtime reader")
        listening = asyncio.create_task(self._ear.run(), name="realtime ear")
        closing = asyncio.create_task(self._seat.sessions.closing.wait())
        tasks = (reading, listening, closing)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if closing.done() and not reading.done():
                self._ear.end()
                await asyncio.wait({listening, reading}, return_when=asyncio.FIRST_COMPLETED)
            await self._part(reading, listening)
        finally:
            await end(task for task in (*tasks, self._warming) if task is not None)

    async def _part(self, reading: asyncio.Task[None], listening: asyncio.Task[None]) -> None:
        """Close, unless the client has left."""
        ended = reading if reading.done() else listening
        error = ended.exception()
        if (error is None and ended is reading) or isinstance(error, WebSocketDisconnect):
            return
        if error is None or isinstance(error, ShuttingDown):
            await self._close(GOING_AWAY, ShuttingDown("The server is shutting down."))
            return
        logger.error("defect in realtime session %s", self.session.id, exc_info=error)
        await self._send([error_event(internal_error())])
        await self._close(DEFECT, internal_error())

    # --- the client's side -------------------------------------------------------------------------------

    async def _read(self) -> None:
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            received: Received | None = None
            try:
                received = receive(message.get("text"))
                await self._take(received)
            except FluidError as error:
                await self._send([error_event(error, received.event_id if received else None)])

    async def _take(self, received: Received) -> None:
        sent = received.read()
        if isinstance(sent, Update):
            wanted = self.session.updates(sent)
            await check_model(self._seat.manager, self._seat.client, wanted)
            await self._send([self.session.take_settings(wanted, sent.type)])
            await self._retune()
        else:
            await self._ear.order(self.session.order(sent), self.session.settings.request)

    async def _retune(self) -> None:
        asked = self.session.settings.request
        self._ear.model = self.session.settings.model or ""
        await self._ear.order(asked, asked)

        if self._ear.model and self._warming is None:
            self._warming = asyncio.create_task(self._warm(self._ear.model), name="realtime warm-up")

    async def _warm(self, model: str) -> None:
        """Whoever opens a session speaks soon. What goes wrong is told when they do."""
        with suppress(FluidError):
            await self._seat.manager.load(model, Visitor(client=self._seat.client))

    # --- the model's side --------------------------------------------------------------------------------

    async def _tell(self, turned: list[Turned]) -> None:
        await self._send([event for one in turned for event in self.session.tell(one)])

    async def _broken(self, error: FluidError) -> None:
        await self._send(self.session.broken(error))

    async def _send(self, events: Sequence[Event]) -> None:
        async with self._sending:
            for event in events:
                await self._socket.send_text(json.dumps(event))

    async def _close(self, code: int, error: FluidError) -> None:
        reason = (error.code or error.type).encode()[:LONGEST_REASON].decode(errors="ignore")
        await self._socket.close(code, reason)


async def check_model(manager: RuntimeManager, client: str, settings: Settings, where: str = MODEL_FIELD) -> None:
    """Whether the model that the settings name is here and can hear. Errors: why not, naming the field ``where``."""
    if settings.model is None:
        return
    try:
        await manager.capable(settings.model, Ability.TRANSCRIPTION, Visitor(client=client))
    except (InvalidRequest, ModelNotFound) as error:
        raise type(error)(error.message, param=where, code=error.code) from error
