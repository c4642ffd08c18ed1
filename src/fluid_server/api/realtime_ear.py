"""A realtime session's way to its model: the model's place is held while sound comes, and given back when none does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import cast, get_args

from fluid_server.api.tasks import end
from fluid_server.errors import EngineFailed, FluidError, ShuttingDown, Unavailable
from fluid_server.managers.lease import Live
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.visitor import Visitor
from fluid_server.types import (
    Ability,
    EndOfSound,
    EndTurn,
    Event,
    Fed,
    ForgetSound,
    Listened,
    ListenRequest,
    NothingToTake,
    SoundBytes,
    SoundForgotten,
    Turned,
)

MOST_UNHEARD = 120.0  # seconds of sound that the model has not listened to; then the client is not read any further
PATIENCE = 30.0  # seconds for which it is not; not being read, it cannot answer pings either
NEARLY = 1.0  # seconds that may be unheard when all has been listened to: what is judged together
REST = 1.0  # seconds without a try where a failure does not say how long
TURNED = get_args(Turned)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told: of turns, of the failure of the live request that ran, and that it has ended well."""

    tell: Callable[[list[Turned]], Awaitable[None]]
    broken: Callable[[FluidError], Awaitable[None]]
    over: Callable[[], None]


class Ear:
    """Feeds a model what a session orders, in order. ``idle``: seconds without sound after which it lets go of it."""

    def __init__(self, manager: RuntimeManager, client: str, idle: float, listener: Listener) -> None:
        self.model = ""
        self._manager = manager
        self._client = client
        self._idle = idle
        self._listener = listener
        self._asked = ListenRequest()
        self._orders: asyncio.Queue[Fed] = asyncio.Queue()
        self._ordered = self._passed = self._heard = 0.0  # seconds of sound: come, taken from the queue, listened to
        self._news = asyncio.Event()
        self._rests_until = 0.0
        self._uncommitted = False  # sound of which only the client can make a turn
        self._ending = False

    async def order(self, fed: Fed, asked: ListenRequest) -> None:
        """Pass it on; waits while the model is far behind. ``asked`` is how the session stands. Errors: Unavailable."""
        if isinstance(fed, SoundBytes):
            await self._room()
            self._ordered += len(fed.data) / asked.bytes_a_second
        self._orders.put_nowait(fed)

    async def _room(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while self._ordered - self._heard > MOST_UNHEARD:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Unavailable(
                f"'audio' came while {MOST_UNHEARD:.0f} s of sound before it were not listened to yet, and is lost: "
                "the model does not keep up, or is not ready. Send sound more slowly, or use a smaller model.",
                param="audio",
                code="input_audio_buffer_full",
            ) from None

    def end(self) -> None:
        """Take no more sound; ``run`` returns once the turns that were taken are written down."""
        self._ending = True
        self._orders.put_nowait(EndOfSound())

    async def run(self) -> None:
        """Until ``end``. Errors: ShuttingDown, when the server does not wait any longer."""
        while not self._ending or not self._orders.empty():
            fed = await self._orders.get()
            if isinstance(fed, SoundBytes) and not self._resting():
                await self._listen(fed)
            elif not isinstance(fed, EndOfSound):
                await self._without_model(fed)

    def _resting(self) -> bool:
        return self._ending or time.monotonic() < self._rests_until

    async def _without_model(self, fed: Fed) -> None:
        """There is no sound that an order could mean. Sound that comes while a failure rests is lost, as was said."""
        match fed:
            case EndTurn(mark=mark):
                await self._listener.tell([NothingToTake(mark, 0.0)])
            case ForgetSound():
                await self._listener.tell([SoundForgotten()])
            case _:
                self._take(fed)
                self._hear(self._passed)

    async def _listen(self, first: SoundBytes) -> None:
        """Hold the model as long as sound comes."""
        visitor = Visitor(client=self._client, waits=False)
        try:
            async with self._manager.lease(self.model, Ability.TRANSCRIPTION, visitor=visitor) as lease:
                with lease.listen(replace(self._asked, start=self._passed)) as live:
                    await self._converse(live, first)
            self._listener.over()
        except FluidError as error:
            await self._failed(error)
        finally:
            self._hear(self._passed)

    async def _failed(self, error: FluidError) -> None:
        """Say so, and leave the model alone for a moment; one whose process has died is started anew at once."""
        rest = 0.0 if isinstance(error, EngineFailed) else error.retry_after or REST
        self._rests_until = time.monotonic() + rest
        await self._listener.broken(error)
        if isinstance(error, ShuttingDown):
            raise error

    async def _converse(self, live: Live, first: SoundBytes) -> None:
        pump = asyncio.create_task(self._pump(live, first), name="realtime pump")
        try:
            async for events in live.events():
                await self._pass_on(events)
        finally:
            await end([pump])

    async def _pass_on(self, events: list[Event]) -> None:
        turned = [cast("Turned", event) for event in events if isinstance(event, TURNED)]
        for event in events:
            if isinstance(event, Listened):
                self._hear(event.seconds)
        if turned:
            await self._listener.tell(turned)

    async def _pump(self, live: Live, first: SoundBytes) -> None:
        """Feed what is ordered until nothing comes any more."""
        fed: Fed = first
        while not isinstance(fed, EndOfSound):
            self._take(fed)
            live.feed(fed)
            fed = await self._next()
        live.feed(fed)

    async def _next(self) -> Fed:
        """The next order; the end of sound when none has come for long, and none is waited for."""
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    return await self._orders.get()
            except TimeoutError:
                if not self._uncommitted and self._passed - self._heard < NEARLY:
                    return EndOfSound()

    def _take(self, fed: Fed) -> None:
        if isinstance(fed, ListenRequest):
            self._asked = fed
        elif isinstance(fed, SoundBytes):
            self._passed += len(fed.data) / self._asked.bytes_a_second
        self._uncommitted = self._asked.turns is None and (self._uncommitted or isinstance(fed, SoundBytes))
        if isinstance(fed, EndTurn | ForgetSound):
            self._uncommitted = False

    def _hear(self, seconds: float) -> None:
        self._heard = max(self._heard, seconds)
        self._news.set()
