"""Conversations and their items. Runs in the store's thread."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fluid_server.errors import InvalidRequest, NotStored
from fluid_server.store import objects
from fluid_server.store.objects import SHOWN, Kind, writable
from fluid_server.store.records import Conversation, Json, Page, Paging, new_id

if TYPE_CHECKING:
    from fluid_server.store.db import Found, Transaction

ITEMS = "item"


def create(tx: Transaction, metadata: Mapping[str, str], items: Sequence[Json]) -> Conversation:
    """A new conversation. Errors: InvalidRequest for two items with one id."""
    id_ = new_id("conv_")
    objects.add(tx, Kind.CONVERSATION, id_, tx.now, metadata=objects.text_of(metadata))
    add_items(tx, id_, items)
    return get(tx, id_)


def get(tx: Transaction, id_: str) -> Conversation:
    """A conversation without its items. Errors: NotStored."""
    return _record(tx, objects.find(tx, Kind.CONVERSATION, id_))


def update(tx: Transaction, id_: str, metadata: Mapping[str, str]) -> Conversation:
    """Replace the metadata. Errors: NotStored."""
    objects.change_metadata(tx, objects.find(tx, Kind.CONVERSATION, id_, to_change=True), metadata)
    return get(tx, id_)


def delete(tx: Transaction, id_: str) -> None:
    """Forget a conversation and its items. Errors: NotStored."""
    objects.forget(tx, Kind.CONVERSATION, id_)


def add_items(tx: Transaction, id_: str, items: Sequence[Json]) -> None:
    """Append items. Errors: NotStored; InvalidRequest for an id that is there already."""
    row = objects.find(tx, Kind.CONVERSATION, id_, to_change=True)
    _refuse_duplicates(tx, row.seq, [str(item["id"]) for item in items])
    objects.renew(tx, row.seq, grown=objects.add_items(tx, row.seq, ITEMS, items))


def page_of_items(tx: Transaction, id_: str, paging: Paging) -> Page[Json]:
    """A part of the items. Errors: NotStored; InvalidRequest for an ``after`` that is none of them."""
    row = objects.find(tx, Kind.CONVERSATION, id_)
    return objects.page_of_items(tx, row.seq, ITEMS, paging)


def all_items(tx: Transaction, id_: str) -> tuple[Json, ...]:
    """All items, the oldest first. Errors: NotStored."""
    return objects.items_of(tx, objects.find(tx, Kind.CONVERSATION, id_).seq, ITEMS)


def get_item(tx: Transaction, id_: str, item: str) -> Json:
    """One item. Errors: NotStored, for the conversation or the item."""
    found: Json = json.loads(_item(tx, objects.find(tx, Kind.CONVERSATION, id_), item).body)
    return found


def delete_item(tx: Transaction, id_: str, item: str) -> Conversation:
    """Take one item out. Errors: NotStored, for the conversation or the item."""
    row = objects.find(tx, Kind.CONVERSATION, id_, to_change=True)
    found = _item(tx, row, item)
    tx.change(tx.items.delete().where(tx.items.c.seq == found.seq))
    objects.renew(tx, row.seq, grown=-found.size)
    return get(tx, id_)


def _item(tx: Transaction, conversation: Found, item: str) -> Found:
    table = tx.items
    query = table.select().where(table.c.owner == conversation.seq, table.c.id == item)
    row = tx.row(query) if writable(item) else None
    if row is None:
        raise NotStored(f"Item with id '{item[:SHOWN]}' not found in conversation '{conversation.id}'.")
    return row


def _refuse_duplicates(tx: Transaction, seq: int, ids: Sequence[str]) -> None:
    table = tx.items
    known = table.select().with_only_columns(table.c.id).where(table.c.owner == seq, table.c.id.in_(ids))
    counts = Counter([*ids, *(row.id for row in tx.rows(known))])
    for id_, count in counts.items():
        if count > 1:
            raise InvalidRequest(
                f"Duplicate item found with id {id_}. Remove duplicate items from your input and try again.",
                param="items",
            )


def _record(tx: Transaction, row: Found) -> Conversation:
    return Conversation(row.id, row.created_at, objects.metadata_of(row), tx.expires(row.used_at))
