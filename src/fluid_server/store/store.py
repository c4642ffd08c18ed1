"""The store as the server knows it: asynchronous, and never in the way of the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from fluid_server.errors import StoreFailed
from fluid_server.store import completions, conversations, responses, sweep
from fluid_server.store.address import is_sqlite, sqlite_file
from fluid_server.store.records import Completion, Conversation, Json, Page, Paging, StoredResponse

if TYPE_CHECKING:
    from fluid_server.store.db import Database, Transaction

logger = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")
SWEEP_EVERY = 600.0  # seconds
SWEEPS_PER_LIMIT = 16  # so often is looked while as much is written as may be kept
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Away:
    """A database that cannot be reached: until then nobody else waits for it."""

    until: float
    message: str
    code: str | None

    @classmethod
    def after(cls, error: StoreFailed) -> Away | None:
        """What follows from a failure; nothing where the next request may fare better."""
        if error.code != "store_unreachable" or error.retry_after is None:
            return None
        return cls(time.monotonic() + error.retry_after, error.message, error.code)

    def failure(self) -> StoreFailed:
        """The failure of those who ask meanwhile."""
        return StoreFailed(self.message, code=self.code, retry_after=max(0.0, self.until - time.monotonic()))


class Store:
    """Everything that is kept, behind one database. All methods raise StoreFailed where the database fails.

    A method that is given an id raises NotStored (404) where there is no such thing, or no longer. ``after`` of a
    Paging that names nothing in the list is an InvalidRequest.

    The database is opened at first use, and used by one thread: SQLite writes one at a time anyway, and a local
    server's requests wait for a model and not for this.
    """

    def __init__(self, url: str, *, ttl: float, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        """``url``: ``sqlite:///path`` or ``postgresql://…``; ``ttl``: seconds, 0 for ever. Nothing is opened yet."""
        self._url = url
        self._ttl = round(ttl)
        self._max_bytes = max_bytes
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._database: Database | None = None
        self._away: Away | None = None
        self._unswept = max_bytes  # bytes written since the last sweep: the first is due at first use
        self._due = asyncio.Event()
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep in the background: what has expired goes, then the longest unused while too much is kept."""
        self._sweeper = asyncio.create_task(self._keep_sweeping(), name="store-sweeper")

    async def ready(self) -> None:
        """Open the database, so that a failure is told before anything is done for what is to be kept."""
        await self._read(lambda _: None)

    async def close(self) -> None:
        """End the sweeping and close the database. What was begun is finished."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
        await self._in_thread(self._shut)
        self._thread.shutdown(wait=False)  # its last work has been awaited

    async def sweep(self) -> int:
        """Remove what has expired, then the longest unused until the rest fits; how many things have gone."""
        gone = 0
        while removed := await self._write(sweep.step, self._max_bytes):
            gone += removed
        if gone:
            await self._in_thread(self._shrink)
            logger.info("%d stored objects have gone: expired, or the oldest of too many", gone)
        return gone

    # --- chat completions -------------------------------------------------------------------------------------

    async def add_completion(
        self, body: Json, messages: Sequence[Json], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Keep an answer (with its ``id``, ``created`` and ``model``) and the messages that it answers."""
        await self._write(completions.add, body, messages, metadata or NOTHING)

    async def get_completion(self, id_: str) -> Completion:
        """A stored answer."""
        return await self._read(completions.get, id_)

    async def list_completions(
        self, paging: Paging, *, model: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Page[Completion]:
        """Stored answers by age: of one model, and with all of these pairs in their metadata."""
        return await self._read(completions.page, paging, model, metadata or NOTHING)

    async def update_completion(self, id_: str, metadata: Mapping[str, str]) -> Completion:
        """Replace the metadata."""
        return await self._write(completions.update, id_, metadata)

    async def delete_completion(self, id_: str) -> None:
        """Forget an answer and its messages."""
        await self._write(completions.delete, id_)

    async def completion_messages(self, id_: str, paging: Paging) -> Page[Json]:
        """The messages that an answer answers, each with an ``id``."""
        return await self._read(completions.messages, id_, paging)

    # --- conversations ----------------------------------------------------------------------------------------

    async def create_conversation(
        self, metadata: Mapping[str, str] | None = None, items: Sequence[Json] = ()
    ) -> Conversation:
        """A new conversation with its first items, each of which has its ``id`` already."""
        return await self._write(conversations.create, metadata or NOTHING, items)

    async def get_conversation(self, id_: str) -> Conversation:
        """A conversation without its items."""
        return await self._read(conversations.get, id_)

    async def update_conversation(self, id_: str, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata."""
        return await self._write(conversations.update, id_, metadata)

    async def delete_conversation(self, id_: str) -> None:
        """Forget a conversation and its items."""
        await self._write(conversations.delete, id_)

    async def add_items(self, conversation: str, items: Sequence[Json]) -> None:
        """Append items. Errors: InvalidRequest for an id that the conversation has already."""
        await self._write(conversations.add_items, conversation, items)

    async def list_items(self, conversation: str, paging: Paging) -> Page[Json]:
        """A part of a conversation's items."""
        return await self._read(conversations.page_of_items, conversation, paging)

    async def all_items(self, conversation: str) -> tuple[Json, ...]:
        """All items of a conversation, the oldest first."""
        return await self._read(conversations.all_items, conversation)

    async def get_item(self, conversation: str, id_: str) -> Json:
        """One item of a conversation."""
        return await self._read(conversations.get_item, conversation, id_)

    async def delete_item(self, conversation: str, id_: str) -> Conversation:
        """Take one item out of a conversation."""
        return await self._write(conversations.delete_item, conversation, id_)

    # --- responses --------------------------------------------------------------------------------------------

    async def put_response(self, response: StoredResponse) -> None:
        """Keep a response, or replace what is kept under its id. Those that it continues live on with it."""
        await self._write(responses.put, response)

    async def get_response(self, id_: str) -> StoredResponse:
        """A response with the items that it was given."""
        return await self._read(responses.get, id_)

    async def delete_response(self, id_: str) -> None:
        """Forget a response. One that continues it can be read still, but no longer be continued."""
        await self._write(responses.delete, id_)

    async def input_items(self, id_: str, paging: Paging) -> Page[Json]:
        """A part of the items that a response was given itself."""
        return await self._read(responses.input_items, id_, paging)

    async def history(self, previous: str) -> tuple[Json, ...]:
        """The items of a response and all that it continues, in order: each one's input, then its output.

        Errors: InvalidRequest with ``previous_response_not_found`` where one of them is no longer there.
        """
        return await self._read(responses.history, previous)

    async def find_items(self, ids: Sequence[str]) -> Mapping[str, Json]:
        """Items of conversations and responses by their ids (for ``item_reference``); unknown ones are left out."""
        return await self._read(responses.find_items, ids)

    # --- the thread -------------------------------------------------------------------------------------------

    async def _read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(lambda tx: work(tx, *args, **kwargs), writes=False)

    async def _write(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(lambda tx: work(tx, *args, **kwargs), writes=True)

    async def _run(self, work: Callable[[Transaction], T], *, writes: bool) -> T:
        result, grown = await self._in_thread(partial(self._transact, work, writes))
        self._unswept += max(0, grown)
        if self._unswept * SWEEPS_PER_LIMIT >= self._max_bytes:
            self._due.set()
        return result

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transact(self, work: Callable[[Transaction], T], writes: bool) -> tuple[T, int]:
        if self._away is not None and time.monotonic() < self._away.until:
            raise self._away.failure()
        try:
            with self._open().transaction(int(self._clock()), self._ttl, writes=writes) as tx:
                return work(tx), tx.grown
        except StoreFailed as error:
            self._away = Away.after(error)
            if error.retry_after is None:
                self._shut()  # opened anew by the next request: somebody may have put it right
            raise

    def _open(self) -> Database:
        if self._database is None:
            from fluid_server.store.db import Database  # here, since it takes half a second and 20 MB

            self._database = Database(self._url)
        return self._database

    def _shrink(self) -> None:
        if self._database is not None:
            self._database.shrink()

    def _shut(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    # --- the sweeper ------------------------------------------------------------------------------------------

    async def _keep_sweeping(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_EVERY):
                    await self._due.wait()
            self._due.clear()
            self._unswept = 0
            if self._holds_something():
                await self._try_to_sweep()

    def _holds_something(self) -> bool:
        """Whether there is a database: a server that was never asked to keep anything makes none."""
        file = sqlite_file(self._url)
        return self._database is not None or not is_sqlite(self._url) or (file is not None and file.exists())

    async def _try_to_sweep(self) -> None:
        try:
            await self.sweep()
        except StoreFailed as error:
            logger.warning("What has expired could not be removed: %s", error.message)
