"""Random sequences of changes: what is listed is what was kept, and what it takes is counted right."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fluid_server.store.objects import OVERHEAD, size_of
from fluid_server.store.records import Json, Paging, StoredResponse
from fluid_server.store.store import Store
from tests.store.databases import GIGABYTE, MONTH, item

if TYPE_CHECKING:
    from fluid_server.store.db import Transaction

T = TypeVar("T")
TEXTS = st.text(max_size=20)
WHICH = st.integers(0, 5)  # of those that there are
LABELS = st.dictionaries(TEXTS, TEXTS, max_size=3)


def counted(tx: Transaction) -> tuple[int, int]:
    """The bytes that the objects say they take, and those that they and their items do take."""
    rows = tx.rows(tx.objects.select())
    own = sum(size_of(row.metadata) + size_of(row.body) - OVERHEAD for row in rows)
    return sum(row.size for row in rows), own + sum(size_of(row.body) for row in tx.rows(tx.items.select()))


class Changes(RuleBasedStateMachine):
    """Conversations and responses as they should be, beside a store."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 1000.0
        self.store = Store("sqlite://", ttl=MONTH, max_bytes=GIGABYTE, clock=lambda: self.now)
        self.conversations: dict[str, list[Json]] = {}
        self.responses: dict[str, StoredResponse] = {}
        self.numbers = iter(range(10**6))

    def teardown(self) -> None:
        self.do(self.store.close())
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def chosen(self, which: int) -> str | None:
        return list(self.conversations)[which % len(self.conversations)] if self.conversations else None

    @rule(labels=LABELS, texts=st.lists(TEXTS, max_size=3))
    def create(self, labels: dict[str, str], texts: list[str]) -> None:
        items = [item(next(self.numbers), text) for text in texts]
        self.conversations[self.do(self.store.create_conversation(labels, items)).id] = items

    @rule(which=WHICH, texts=st.lists(TEXTS, min_size=1, max_size=3))
    def append(self, which: int, texts: list[str]) -> None:
        if (id_ := self.chosen(which)) is not None:
            items = [item(next(self.numbers), text) for text in texts]
            self.do(self.store.add_items(id_, items))
            self.conversations[id_] += items

    @rule(which=WHICH, place=WHICH)
    def take_out(self, which: int, place: int) -> None:
        if (id_ := self.chosen(which)) is not None and (items := self.conversations[id_]):
            self.do(self.store.delete_item(id_, str(items.pop(place % len(items))["id"])))

    @rule(which=WHICH, labels=LABELS)
    def label(self, which: int, labels: dict[str, str]) -> None:
        if (id_ := self.chosen(which)) is not None:
            assert self.do(self.store.update_conversation(id_, labels)).metadata == labels

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        if (id_ := self.chosen(which)) is not None:
            self.do(self.store.delete_conversation(id_))
            del self.conversations[id_]

    @rule(which=WHICH, text=TEXTS, continues=st.booleans())
    def put(self, which: int, text: str, continues: bool) -> None:
        previous = f"resp_{which - 1}" if continues and f"resp_{which - 1}" in self.responses else None
        body = {"id": f"resp_{which}", "text": text, "output": [item(next(self.numbers), text)]}
        given = StoredResponse(f"resp_{which}", 1, body, (item(next(self.numbers)),), previous)
        self.do(self.store.put_response(given))
        self.responses[given.id] = given

    @invariant()
    def what_was_kept_is_listed(self) -> None:
        for id_, items in self.conversations.items():
            assert list(self.do(self.store.all_items(id_))) == items
            assert list(self.do(self.store.list_items(id_, Paging(limit=100))).data) == items[::-1]

    @invariant()
    def responses_are_as_they_were_put(self) -> None:
        for id_, given in self.responses.items():
            kept = self.do(self.store.get_response(id_))
            assert (kept.body, kept.input, kept.previous) == (given.body, given.input, given.previous)

    @invariant()
    def bytes_are_counted_right(self) -> None:
        said, real = self.do(self.store._read(counted))
        assert said == real


Changes.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestChanges = Changes.TestCase
