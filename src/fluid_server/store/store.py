"""The store as the server knows it: asynchronous, and never in the way of the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from fluid_server.store.records import Completion, Conversation, Json, Page, Paging, StoredResponse


class Store:
    """Everything that is kept, behind one database. All methods raise StoreFailed where the database fails.

    A method that is given an id raises NotStored (404) where there is no such thing, or no longer. ``after`` of a
    Paging that names nothing in the list is an InvalidRequest.
    """

    def __init__(self, url: str, *, ttl: float, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        """``url``: ``sqlite:///path`` or ``postgresql://…``; ``ttl``: seconds, 0 for ever. Nothing is opened yet."""

    def start(self) -> None:
        """Begin to sweep in the background: what has expired goes, then the oldest while too much is kept."""

    async def close(self) -> None:
        """End the sweeping and close the database. What was begun is finished."""

    async def sweep(self) -> int:
        """Remove what has expired, then the longest unused until the rest fits; how many things have gone."""
        raise NotImplementedError

    # --- chat completions -------------------------------------------------------------------------------------

    async def add_completion(
        self, body: Json, messages: Sequence[Json], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Keep an answer (with its ``id``, ``created`` and ``model``) and the messages that it answers."""
        raise NotImplementedError

    async def get_completion(self, id_: str) -> Completion:
        """A stored answer."""
        raise NotImplementedError

    async def list_completions(
        self, paging: Paging, *, model: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Page[Completion]:
        """Stored answers by age: of one model, and with all of these pairs in their metadata."""
        raise NotImplementedError

    async def update_completion(self, id_: str, metadata: Mapping[str, str]) -> Completion:
        """Replace the metadata."""
        raise NotImplementedError

    async def delete_completion(self, id_: str) -> None:
        """Forget an answer and its messages."""
        raise NotImplementedError

    async def completion_messages(self, id_: str, paging: Paging) -> Page[Json]:
        """The messages that an answer answers, each with an ``id``."""
        raise NotImplementedError

    # --- conversations ----------------------------------------------------------------------------------------

    async def create_conversation(
        self, metadata: Mapping[str, str] | None = None, items: Sequence[Json] = ()
    ) -> Conversation:
        """A new conversation with its first items, each of which has its ``id`` already."""
        raise NotImplementedError

    async def get_conversation(self, id_: str) -> Conversation:
        """A conversation without its items."""
        raise NotImplementedError

    async def update_conversation(self, id_: str, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata."""
        raise NotImplementedError

    async def delete_conversation(self, id_: str) -> None:
        """Forget a conversation and its items."""
        raise NotImplementedError

    async def add_items(self, conversation: str, items: Sequence[Json]) -> None:
        """Append items. Errors: InvalidRequest for an id that the conversation has already."""
        raise NotImplementedError

    async def list_items(self, conversation: str, paging: Paging) -> Page[Json]:
        """A part of a conversation's items."""
        raise NotImplementedError

    async def all_items(self, conversation: str) -> tuple[Json, ...]:
        """All items of a conversation, the oldest first."""
        raise NotImplementedError

    async def get_item(self, conversation: str, id_: str) -> Json:
        """One item of a conversation."""
        raise NotImplementedError

    async def delete_item(self, conversation: str, id_: str) -> Conversation:
        """Take one item out of a conversation."""
        raise NotImplementedError

    # --- responses --------------------------------------------------------------------------------------------

    async def put_response(self, response: StoredResponse) -> None:
        """Keep a response, or replace what is kept under its id. Those that it continues live on with it."""
        raise NotImplementedError

    async def get_response(self, id_: str) -> StoredResponse:
        """A response with the items that it was given."""
        raise NotImplementedError

    async def delete_response(self, id_: str) -> None:
        """Forget a response. One that continues it can be read still, but no longer be continued."""
        raise NotImplementedError

    async def input_items(self, id_: str, paging: Paging) -> Page[Json]:
        """A part of the items that a response was given itself."""
        raise NotImplementedError

    async def history(self, previous: str) -> tuple[Json, ...]:
        """The items of a response and all that it continues, in order: each one's input, then its output.

        Errors: InvalidRequest with ``previous_response_not_found`` where one of them is no longer there.
        """
        raise NotImplementedError

    async def find_items(self, ids: Sequence[str]) -> Mapping[str, Json]:
        """Items of conversations and responses by their ids (for ``item_reference``); unknown ones are left out."""
        raise NotImplementedError
