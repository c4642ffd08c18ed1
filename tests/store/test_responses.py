"""Responses and what they continue, in both databases."""

from __future__ import annotations

import pytest

from fluid_server.errors import InvalidRequest, NotStored
from fluid_server.store.records import Paging, StoredResponse
from fluid_server.store.store import Store
from tests.store.databases import MONTH, ids, item, on


def response(number: int, previous: int | None = None, status: str = "completed") -> StoredResponse:
    """A response with one item in (10, 20, …) and one out (11, 21, …)."""
    body = {"id": f"resp_{number}", "status": status, "output": [item(number * 10 + 1)], "model": "m"}
    before = None if previous is None else f"resp_{previous}"
    return StoredResponse(f"resp_{number}", 900, body, (item(number * 10),), before)


async def chain(store: Store) -> None:
    for number in (1, 2, 3):
        await store.put_response(response(number, number - 1 or None))


def test_a_response_comes_back_whole(url: str) -> None:
    on(url, lambda store: store.put_response(response(1)))
    found = on(url, lambda store: store.get_response("resp_1"), ttl=0)
    assert found == response(1)


def test_a_response_can_be_put_again(url: str) -> None:
    async def twice(store: Store) -> StoredResponse:
        await store.put_response(StoredResponse("resp_1", 900, {"id": "resp_1", "output": []}, (item(1), item(2))))
        await store.put_response(response(1))
        return await store.get_response("resp_1")

    assert on(url, twice, ttl=0) == response(1)


def test_its_input_comes_in_pages(url: str) -> None:
    async def paged(store: Store) -> list[str]:
        given = tuple(item(number) for number in range(5))
        await store.put_response(StoredResponse("resp_1", 900, {"id": "resp_1", "output": [item(9)]}, given))
        page = await store.input_items("resp_1", Paging(after="msg_3", limit=2))
        assert page.more
        return ids(page.data)

    assert on(url, paged) == ["msg_2", "msg_1"]


def test_the_history_is_each_one_s_input_and_output_in_order(url: str) -> None:
    async def history(store: Store) -> list[str]:
        await chain(store)
        await store.put_response(response(2, 1))  # putting one again changes no order
        return ids(await store.history("resp_3"))

    assert on(url, history) == [f"msg_{number}" for number in (10, 11, 20, 21, 30, 31)]


def test_branches_have_histories_of_their_own(url: str) -> None:
    async def history(store: Store) -> list[str]:
        await chain(store)
        await store.put_response(response(4, 1))
        return ids(await store.history("resp_4"))

    assert on(url, history) == [f"msg_{number}" for number in (10, 11, 40, 41)]


@pytest.mark.parametrize("previous", ["resp_9", "\0"])
def test_what_is_not_there_cannot_be_continued(url: str, previous: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        on(url, lambda store: store.history(previous))
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_deleted_response_breaks_what_continues_it(url: str) -> None:
    async def broken(store: Store) -> None:
        await chain(store)
        await store.delete_response("resp_2")
        assert (await store.get_response("resp_3")).previous == "resp_2"
        await store.history("resp_3")

    with pytest.raises(InvalidRequest, match="Previous response with id 'resp_2' not found"):
        on(url, broken)


def test_a_deleted_response_is_not_found(url: str) -> None:
    async def gone(store: Store) -> None:
        await chain(store)
        await store.delete_response("resp_3")
        await store.get_response("resp_3")

    with pytest.raises(NotStored, match="Response with id 'resp_3' not found"):
        on(url, gone)


def test_what_is_continued_lives_on(url: str) -> None:
    on(url, chain, now=1000)
    on(url, lambda store: store.put_response(response(4, 2)), now=1000 + MONTH / 2)
    later = 1000 + MONTH
    assert len(on(url, lambda store: store.history("resp_4"), now=later)) == 6
    with pytest.raises(NotStored):
        on(url, lambda store: store.get_response("resp_3"), now=later)


def test_a_long_chain_is_followed(url: str) -> None:
    async def history(store: Store) -> int:
        for number in range(1, 301):
            await store.put_response(response(number, number - 1 or None))
        return len(await store.history("resp_300"))

    assert on(url, history) == 600


def test_items_are_found_by_their_ids(url: str) -> None:
    async def found(store: Store) -> list[str]:
        await chain(store)
        await store.create_conversation(items=[item(77)])
        return sorted(await store.find_items(["msg_77", "msg_11", "msg_10", "msg_404", "\0"]))

    assert on(url, found) == ["msg_10", "msg_11", "msg_77"]
