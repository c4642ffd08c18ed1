"""Stored chat completions. Runs in the store's thread."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fluid_server.store import objects
from fluid_server.store.objects import Kind, writable
from fluid_server.store.records import Completion, Json, Page, Paging

if TYPE_CHECKING:
    from fluid_server.store.db import Found, Transaction

MESSAGES = "message"


def add(tx: Transaction, body: Json, messages: Sequence[Json], metadata: Mapping[str, str]) -> None:
    """Keep an answer and the messages that it answers; these get ids as OpenAI makes them."""
    id_ = str(body["id"])
    texts = {"body": objects.text_of(body), "metadata": objects.text_of(metadata)}
    seq = objects.add(tx, Kind.COMPLETION, id_, int(body["created"]), **texts)
    numbered = [{**message, "id": f"{id_}-{number}"} for number, message in enumerate(messages)]
    objects.renew(tx, seq, grown=objects.add_items(tx, seq, MESSAGES, numbered))
    _label(tx, seq, str(body["model"]), metadata)


def get(tx: Transaction, id_: str) -> Completion:
    """An answer. Errors: NotStored."""
    return _record(tx, objects.find(tx, Kind.COMPLETION, id_))


def page(tx: Transaction, paging: Paging, model: str | None, metadata: Mapping[str, str]) -> Page[Completion]:
    """Answers by age. Errors: InvalidRequest for an ``after`` that is none."""
    table, labels = tx.objects, tx.labels
    query = table.select().where(table.c.kind == Kind.COMPLETION, tx.alive)
    for wanted in _digests(model, metadata):
        labelled = labels.select().with_only_columns(labels.c.owner).where(labels.c.digest == wanted)
        query = query.where(table.c.seq.in_(labelled))
    if paging.after is not None:
        mark = tx.row(_by_id(tx, paging.after)) if writable(paging.after) else None
        if mark is None:
            raise objects.unknown_mark(paging.after)
        same_second = table.c.created_at == mark.created_at
        if paging.order == "asc":
            behind = (table.c.created_at > mark.created_at) | (same_second & (table.c.seq > mark.seq))
        else:
            behind = (table.c.created_at < mark.created_at) | (same_second & (table.c.seq < mark.seq))
        query = query.where(behind)
    rows, more = objects.part(tx, query, paging, table.c.created_at, table.c.seq)
    return Page(tuple(_record(tx, row) for row in rows), more)


def update(tx: Transaction, id_: str, metadata: Mapping[str, str]) -> Completion:
    """Replace the metadata. Errors: NotStored."""
    row = objects.find(tx, Kind.COMPLETION, id_, to_change=True)
    objects.change_metadata(tx, row, metadata)
    tx.change(tx.labels.delete().where(tx.labels.c.owner == row.seq))
    _label(tx, row.seq, str(json.loads(row.body)["model"]), metadata)
    return get(tx, id_)


def delete(tx: Transaction, id_: str) -> None:
    """Forget an answer. Errors: NotStored."""
    objects.forget(tx, Kind.COMPLETION, id_)


def messages(tx: Transaction, id_: str, paging: Paging) -> Page[Json]:
    """The messages that an answer answers. Errors: NotStored; InvalidRequest for an ``after`` that is none."""
    row = objects.find(tx, Kind.COMPLETION, id_)
    return objects.page_of_items(tx, row.seq, MESSAGES, paging)


def _by_id(tx: Transaction, id_: str) -> Any:
    table = tx.objects
    return table.select().where(table.c.id == id_, table.c.kind == Kind.COMPLETION)


def _record(tx: Transaction, row: Found) -> Completion:
    return Completion(
        row.id, row.created_at, json.loads(row.body), objects.metadata_of(row), tx.expires(row.used_at)
    )  # fmt: skip


def _label(tx: Transaction, seq: int, model: str, metadata: Mapping[str, str]) -> None:
    tx.insert_all(tx.labels, [{"owner": seq, "digest": digest} for digest in _digests(model, metadata)])


def _digests(model: str | None, metadata: Mapping[str, str]) -> list[str]:
    """What an answer is found by, hashed: of one length, whatever a client writes into its metadata."""
    words = [] if model is None else [["model", model]]
    words += [["metadata", key, value] for key, value in metadata.items()]
    return [hashlib.sha256(json.dumps(word).encode()).hexdigest() for word in words]
