"""Conversations in both databases."""

from __future__ import annotations

import pytest

from fluid_server.errors import InvalidRequest, NotStored
from fluid_server.store.records import Conversation, Page, Paging
from fluid_server.store.store import Store
from tests.store.databases import MONTH, ids, item, on

FIVE = [item(number) for number in range(1, 6)]


def test_what_was_kept_is_there_after_a_restart(url: str) -> None:
    made = on(url, lambda store: store.create_conversation({"topic": "é\0"}, FIVE[:2]))
    assert on(url, lambda store: store.get_conversation(made.id)) == made
    assert made == Conversation(made.id, 1000, {"topic": "é\0"}, expires_at=1000 + round(MONTH))
    assert list(on(url, lambda store: store.all_items(made.id))) == FIVE[:2]


@pytest.mark.parametrize(
    ("paging", "found", "more"),
    [
        (Paging(), ["msg_5", "msg_4", "msg_3", "msg_2", "msg_1"], False),
        (Paging(limit=2), ["msg_5", "msg_4"], True),
        (Paging(limit=2, after="msg_2"), ["msg_1"], False),
        (Paging(limit=5, order="asc"), ["msg_1", "msg_2", "msg_3", "msg_4", "msg_5"], False),
        (Paging(limit=2, order="asc", after="msg_2"), ["msg_3", "msg_4"], True),
        (Paging(after="msg_1"), [], False),
    ],
)
def test_items_come_in_pages(url: str, paging: Paging, found: list[str], more: bool) -> None:
    async def paged(store: Store) -> Page[object]:
        made = await store.create_conversation()
        await store.add_items(made.id, FIVE[:3])
        await store.add_items(made.id, FIVE[3:])
        page = await store.list_items(made.id, paging)
        return Page(tuple(ids(page.data)), page.more)

    assert on(url, paged) == Page(tuple(found), more)


@pytest.mark.parametrize("after", ["msg_9", "", "\0", "é"])
def test_a_page_behind_nothing_is_refused(url: str, after: str) -> None:
    async def paged(store: Store) -> None:
        made = await store.create_conversation(items=FIVE)
        await store.list_items(made.id, Paging(after=after))

    with pytest.raises(InvalidRequest) as caught:
        on(url, paged)
    assert caught.value.param == "after"


def test_an_item_can_be_read_and_taken_out(url: str) -> None:
    async def without_the_second(store: Store) -> list[str]:
        made = await store.create_conversation(items=FIVE)
        assert await store.get_item(made.id, "msg_2") == FIVE[1]
        assert await store.delete_item(made.id, "msg_2") == made
        with pytest.raises(NotStored, match=f"Item with id 'msg_2' not found in conversation '{made.id}'"):
            await store.get_item(made.id, "msg_2")
        return ids(await store.all_items(made.id))

    assert on(url, without_the_second) == ["msg_1", "msg_3", "msg_4", "msg_5"]


def test_an_item_of_another_conversation_is_not_found(url: str) -> None:
    async def crossed(store: Store) -> None:
        await store.create_conversation(items=FIVE)
        other = await store.create_conversation()
        await store.get_item(other.id, "msg_1")

    with pytest.raises(NotStored):
        on(url, crossed)


@pytest.mark.parametrize("added", [[FIVE[0]], [item(7), item(7)]])
def test_an_item_is_kept_once(url: str, added: list[dict[str, object]]) -> None:
    async def twice(store: Store) -> list[str]:
        made = await store.create_conversation(items=FIVE)
        with pytest.raises(InvalidRequest, match="Duplicate item found with id msg_"):
            await store.add_items(made.id, [item(8), *added])
        return ids(await store.all_items(made.id))

    assert on(url, twice) == ids(tuple(FIVE))  # all or nothing


def test_a_conversation_goes_with_its_items(url: str) -> None:
    async def gone(store: Store) -> None:
        made = await store.create_conversation(items=FIVE)
        await store.delete_conversation(made.id)
        assert await store.find_items(["msg_1"]) == {}
        await store.all_items(made.id)

    with pytest.raises(NotStored, match=r"Conversation with id 'conv_\w{48}' not found"):
        on(url, gone)


def test_metadata_are_replaced(url: str) -> None:
    async def relabelled(store: Store) -> Conversation:
        made = await store.create_conversation({"a": "1", "b": "2"})
        return await store.update_conversation(made.id, {"b": "3"})

    assert on(url, relabelled).metadata == {"b": "3"}


@pytest.mark.parametrize("id_", ["conv_0", "", "\0", "conv_" + "x" * 5000, "é"])
def test_what_is_not_there_is_not_found(url: str, id_: str) -> None:
    with pytest.raises(NotStored) as caught:
        on(url, lambda store: store.get_conversation(id_))
    assert len(caught.value.message) < 200


def test_an_id_of_another_kind_is_not_found(url: str) -> None:
    made = on(url, lambda store: store.create_conversation())
    with pytest.raises(NotStored):
        on(url, lambda store: store.get_response(made.id))


def test_whatever_json_holds_comes_back(url: str) -> None:
    odd = {**item(1, "\0 \ud800 \U0001f600 '\"; DROP TABLE fluid_items; --"), "n": [1.5, None, True, 2**70]}

    async def there_and_back(store: Store) -> object:
        made = await store.create_conversation(items=[odd])
        return await store.get_item(made.id, "msg_1")

    assert on(url, there_and_back) == odd
