"""What must go: first what has expired, then the longest unused while too much is kept. Runs in the store's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluid_server.store.db import Transaction

AT_ONCE = 200  # objects of one transaction: requests get their turn in between


def step(tx: Transaction, max_bytes: int) -> int:
    """Remove some of what must go; returns how many objects went, 0 when nothing must."""
    return _remove_expired(tx) or _remove_oldest(tx, tx.total(tx.objects.c.size) - max_bytes)


def _remove_expired(tx: Transaction) -> int:
    table = tx.objects
    query = table.select().with_only_columns(table.c.seq).where(tx.expired).order_by(table.c.used_at)
    return _remove(tx, [row.seq for row in tx.rows(query.limit(AT_ONCE))])


def _remove_oldest(tx: Transaction, excess: int) -> int:
    if excess <= 0:
        return 0
    table = tx.objects
    query = table.select().with_only_columns(table.c.seq, table.c.size).order_by(table.c.used_at, table.c.seq)
    chosen = []
    for row in tx.rows(query.limit(AT_ONCE)):
        if excess <= 0:
            break
        chosen.append(row.seq)
        excess -= row.size
    return _remove(tx, chosen)


def _remove(tx: Transaction, chosen: list[int]) -> int:
    return tx.change(tx.objects.delete().where(tx.objects.c.seq.in_(chosen))) if chosen else 0
