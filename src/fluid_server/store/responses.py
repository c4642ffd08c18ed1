"""Stored responses: each keeps what it brought itself, and what came before is found along the chain.

Runs in the store's thread.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fluid_server.errors import InvalidRequest
from fluid_server.store import objects
from fluid_server.store.objects import SHOWN, Kind, size_of, text_of, writable
from fluid_server.store.records import Json, Page, Paging, StoredResponse

if TYPE_CHECKING:
    from fluid_server.store.db import Chain, Transaction

INPUT, OUTPUT = "input", "output"
AT_ONCE = 500  # ids of one query


def put(tx: Transaction, response: StoredResponse) -> None:
    """Keep a response, or replace it. Those that it continues are renewed with it."""
    text = text_of({name: value for name, value in response.body.items() if name != OUTPUT})
    seq = _replaced(tx, response, text)
    if seq is None:
        columns = {"body": text, "previous": response.previous}
        seq = objects.add(tx, Kind.RESPONSE, response.id, response.created_at, **columns)
    grown = objects.add_items(tx, seq, INPUT, response.input)
    grown += objects.add_items(tx, seq, OUTPUT, response.body.get(OUTPUT) or ())
    objects.renew(tx, seq, grown=grown)
    if response.previous is not None:
        chain = _chain(tx, response.previous)
        members = chain.select().with_only_columns(chain.c.seq)
        tx.change(tx.objects.update().where(tx.objects.c.seq.in_(members)).values(used_at=tx.now))


def get(tx: Transaction, id_: str) -> StoredResponse:
    """A response with its input. Errors: NotStored."""
    row = objects.find(tx, Kind.RESPONSE, id_)
    body = {**json.loads(row.body), OUTPUT: list(objects.items_of(tx, row.seq, OUTPUT))}
    items = objects.items_of(tx, row.seq, INPUT)
    return StoredResponse(row.id, row.created_at, body, items, row.previous, tx.expires(row.used_at))


def delete(tx: Transaction, id_: str) -> None:
    """Forget a response. Errors: NotStored."""
    objects.forget(tx, Kind.RESPONSE, id_)


def input_items(tx: Transaction, id_: str, paging: Paging) -> Page[Json]:
    """A part of what a response was given. Errors: NotStored; InvalidRequest for an ``after`` that is none of it."""
    return objects.page_of_items(tx, objects.find(tx, Kind.RESPONSE, id_).seq, INPUT, paging)


def history(tx: Transaction, previous: str) -> tuple[Json, ...]:
    """The items of a chain of responses, in order. Errors: InvalidRequest where a part of it is gone."""
    if not writable(previous):
        raise _gone(previous)
    chain = _chain(tx, previous)
    links = {row.id: row for row in tx.rows(chain.select())}
    wanted: str | None = previous
    while wanted is not None:
        if wanted not in links:
            raise _gone(wanted)
        wanted = links.pop(wanted).previous
    items = tx.items
    members = chain.select().with_only_columns(chain.c.seq)
    query = items.select().where(items.c.owner.in_(members)).order_by(items.c.owner, items.c.seq)
    return tuple(json.loads(row.body) for row in tx.rows(query))


def find_items(tx: Transaction, ids: Sequence[str]) -> Mapping[str, Json]:
    """The newest item of each id, wherever it is kept; ids that nothing has are left out."""
    table, owners = tx.items, tx.objects
    wanted = [id_ for id_ in ids if writable(id_)]
    found: dict[str, Json] = {}
    for start in range(0, len(wanted), AT_ONCE):
        alive = owners.select().with_only_columns(owners.c.seq).where(owners.c.kind != Kind.COMPLETION, tx.alive)
        query = table.select().where(table.c.id.in_(wanted[start : start + AT_ONCE]), table.c.owner.in_(alive))
        found |= {row.id: json.loads(row.body) for row in tx.rows(query.order_by(table.c.seq))}
    return found


def _replaced(tx: Transaction, response: StoredResponse, text: str) -> int | None:
    """Empty what is kept under the id and give it the new body; its ``seq``, or none where nothing is."""
    row = objects.look_up(tx, Kind.RESPONSE, response.id, to_change=True)
    if row is None:
        return None
    tx.change(tx.items.delete().where(tx.items.c.owner == row.seq))
    columns = {"body": text, "previous": response.previous, "size": size_of(text)}
    tx.change(tx.objects.update().where(tx.objects.c.seq == row.seq).values(**columns))
    return int(row.seq)


def _chain(tx: Transaction, last: str) -> Chain:
    """A response and all that it continues, as a query that the database follows by itself."""
    table = tx.objects
    links = table.select().with_only_columns(table.c.seq, table.c.id, table.c.previous)
    links = links.where(table.c.kind == Kind.RESPONSE, tx.alive)
    chain = links.where(table.c.id == last).cte("chain", recursive=True)
    return chain.union(links.where(table.c.id == chain.c.previous))


def _gone(id_: str) -> InvalidRequest:
    return InvalidRequest(
        f"Previous response with id '{id_[:SHOWN]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
