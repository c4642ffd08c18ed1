"""What all that is kept has in common: found by id, listed in pages, renewed, forgotten. Runs in the store's thread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fluid_server.errors import InvalidRequest, NotStored
from fluid_server.store.records import Json, Page, Paging

if TYPE_CHECKING:
    from fluid_server.store.db import Found, Query, Term, Transaction

OVERHEAD = 200  # bytes that a row takes besides its text, about, with its places in the indexes
SHOWN = 80  # characters of an id that a client made up


class Kind(StrEnum):
    """What an object is; the value is what the database calls it."""

    COMPLETION = "completion"
    CONVERSATION = "conversation"
    RESPONSE = "response"

    @property
    def spoken(self) -> str:
        """As OpenAI's errors begin."""
        return "Chat completion" if self is Kind.COMPLETION else self.value.capitalize()


def text_of(value: Any) -> str:
    """JSON as it is kept. Half characters, which no database takes, stay escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if writable(text) else json.dumps(value, separators=(",", ":"))


def writable(text: str) -> bool:
    """Whether every database can hold it: PostgreSQL has no NUL in text, and nobody half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def size_of(text: str | None) -> int:
    """Bytes that a row with this text takes, about."""
    return OVERHEAD + (len(text.encode()) if text else 0)


def missing(kind: Kind, id_: str) -> NotStored:
    """The failure for an id that is not there, in OpenAI's words."""
    return NotStored(f"{kind.spoken} with id '{id_[:SHOWN]}' not found.")


def look_up(tx: Transaction, kind: Kind, id_: str, *, to_change: bool = False) -> Found | None:
    """The object of an id, if there is one. ``to_change``: no other server changes it meanwhile."""
    objects = tx.objects
    query = objects.select().where(objects.c.id == id_, objects.c.kind == kind, tx.alive)
    return tx.row(query.with_for_update() if to_change else query) if writable(id_) else None


def find(tx: Transaction, kind: Kind, id_: str, *, to_change: bool = False) -> Found:
    """The object of an id. Errors: NotStored."""
    row = look_up(tx, kind, id_, to_change=to_change)
    if row is None:
        raise missing(kind, id_)
    return row


def add(tx: Transaction, kind: Kind, id_: str, created_at: int, **columns: Any) -> int:
    """A new object; ``metadata``, ``body`` and ``previous`` are its columns. Returns its ``seq``."""
    size = size_of(columns.get("metadata")) + size_of(columns.get("body")) - OVERHEAD
    tx.grown += size
    row = {"kind": kind, "id": id_, "created_at": created_at, "used_at": tx.now, "size": size, **columns}
    return tx.insert(tx.objects, row)


def forget(tx: Transaction, kind: Kind, id_: str) -> None:
    """Delete an object with its items and labels. Errors: NotStored."""
    row = find(tx, kind, id_)
    tx.change(tx.objects.delete().where(tx.objects.c.seq == row.seq))


def renew(tx: Transaction, seq: int, *, grown: int = 0, **columns: Any) -> None:
    """Note that an object was changed now, by how many bytes, and in which columns."""
    tx.grown += grown
    objects = tx.objects
    changed = objects.update().where(objects.c.seq == seq)
    tx.change(changed.values(used_at=tx.now, size=objects.c.size + grown, **columns))


def change_metadata(tx: Transaction, row: Found, metadata: Mapping[str, str]) -> None:
    """Replace an object's metadata."""
    text = text_of(metadata)
    renew(tx, row.seq, grown=size_of(text) - size_of(row.metadata), metadata=text)


def metadata_of(row: Found) -> dict[str, str]:
    """An object's metadata."""
    found: dict[str, str] = json.loads(row.metadata) if row.metadata else {}
    return found


# --- items ---------------------------------------------------------------------------------------------------


def add_items(tx: Transaction, owner: int, side: str, items: Sequence[Json]) -> int:
    """Append items to a side of an object, each with its ``id``. Returns the bytes that they take."""
    texts = [text_of(item) for item in items]
    sizes = [size_of(text) for text in texts]
    rows = [
        {"owner": owner, "side": side, "id": item["id"], "size": size, "body": text}
        for item, size, text in zip(items, sizes, texts, strict=True)
    ]
    tx.insert_all(tx.items, rows)
    return sum(sizes)


def items_of(tx: Transaction, owner: int, side: str) -> tuple[Json, ...]:
    """All items of an object's side, the oldest first."""
    items = tx.items
    query = items.select().where(items.c.owner == owner, items.c.side == side).order_by(items.c.seq)
    return tuple(json.loads(row.body) for row in tx.rows(query))


def page_of_items(tx: Transaction, owner: int, side: str, paging: Paging) -> Page[Json]:
    """A part of an object's items. Errors: InvalidRequest for an ``after`` that is none of them."""
    items = tx.items
    query = items.select().where(items.c.owner == owner, items.c.side == side)
    if paging.after is not None:
        mark = tx.row(query.where(items.c.id == paging.after)) if writable(paging.after) else None
        if mark is None:
            raise unknown_mark(paging.after)
        query = query.where(items.c.seq > mark.seq if paging.order == "asc" else items.c.seq < mark.seq)
    rows, more = part(tx, query, paging, items.c.seq)
    return Page(tuple(json.loads(row.body) for row in rows), more)


def part(tx: Transaction, query: Query, paging: Paging, *order: Term) -> tuple[Sequence[Found], bool]:
    """The first rows of a query in the wanted order, and whether there are more."""
    ordered = [column.asc() if paging.order == "asc" else column.desc() for column in order]
    rows = tx.rows(query.order_by(*ordered).limit(paging.limit + 1))
    return rows[: paging.limit], len(rows) > paging.limit


def unknown_mark(after: str) -> InvalidRequest:
    """The failure for an ``after`` that names nothing of the list."""
    return InvalidRequest(
        f"Invalid 'after': the list has nothing with id '{after[:SHOWN]}'. Begin again without 'after'.", param="after"
    )
