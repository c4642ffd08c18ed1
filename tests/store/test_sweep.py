"""What must go, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fluid_server.errors import NotStored
from fluid_server.store.records import Paging, StoredResponse
from fluid_server.store.store import Store
from tests.awaited import awaited, turns
from tests.store.databases import GIGABYTE, MONTH, item, on

BIG = "x" * 10_000


async def a_big_conversation(store: Store) -> str:
    return (await store.create_conversation(items=[item(1, BIG)])).id


async def still_there(store: Store, *conversations: str) -> list[bool]:
    found = []
    for id_ in conversations:
        try:
            await store.get_conversation(id_)
            found.append(True)
        except NotStored:
            found.append(False)
    return found


def test_what_has_expired_is_gone_before_it_is_swept(url: str) -> None:
    async def everything(store: Store) -> str:
        await store.add_completion({"id": "chatcmpl-1", "created": 1, "model": "m"}, [])
        await store.put_response(StoredResponse("resp_1", 1, {"id": "resp_1"}))
        return await a_big_conversation(store)

    async def nothing(store: Store) -> list[bool]:
        assert await store.find_items(["msg_1"]) == {}
        assert not (await store.list_completions(Paging())).data
        return await still_there(store, made)

    made = on(url, everything, now=1000)
    assert on(url, lambda store: still_there(store, made), now=999 + MONTH) == [True]
    assert on(url, nothing, now=1000 + MONTH) == [False]


def test_a_sweep_removes_what_has_expired(url: str) -> None:
    on(url, a_big_conversation, now=1000)
    on(url, a_big_conversation, now=2000)
    assert on(url, lambda store: store.sweep(), now=1000 + MONTH) == 1
    assert on(url, lambda store: store.sweep(), now=1000 + MONTH) == 0


def test_for_ever_is_for_ever(url: str) -> None:
    made = on(url, a_big_conversation, now=1000)
    found = on(url, lambda store: store.get_conversation(made), now=10**12, ttl=0)
    assert found.expires_at is None
    assert on(url, lambda store: store.sweep(), now=10**12, ttl=0) == 0


def test_a_change_gives_a_conversation_a_new_time(url: str) -> None:
    made = on(url, a_big_conversation, now=1000)
    on(url, lambda store: store.add_items(made, [item(2)]), now=500 + MONTH)
    assert on(url, lambda store: still_there(store, made), now=1000 + MONTH) == [True]


def test_the_longest_unused_goes_when_there_is_too_much(url: str) -> None:
    first, second, third = (on(url, a_big_conversation, now=now) for now in (1000, 2000, 3000))
    on(url, lambda store: store.update_conversation(first, {"used": "again"}), now=4000)
    assert on(url, lambda store: store.sweep(), now=5000, most=25_000) == 1
    assert on(url, lambda store: still_there(store, first, second, third), now=5000) == [True, False, True]


def test_what_was_deleted_or_replaced_counts_no_more(url: str) -> None:
    async def busy(store: Store) -> int:
        made = await a_big_conversation(store)
        for number in range(2, 12):
            await store.add_items(made, [item(number, BIG)])
            await store.delete_item(made, f"msg_{number}")
            await store.put_response(StoredResponse("resp_1", 1, {"id": "resp_1", "output": [item(number, BIG)]}))
        return await store.sweep()

    assert on(url, busy, most=25_000) == 0
    assert on(url, lambda store: store.sweep(), most=15_000) == 1


def test_many_go_in_one_sweep(url: str) -> None:
    async def many(store: Store) -> None:
        for _ in range(450):
            await store.create_conversation()

    on(url, many, now=1000)
    assert on(url, lambda store: store.sweep(), now=1000 + MONTH) == 450


def test_a_store_that_runs_sweeps_by_itself(url: str) -> None:
    async def written() -> int:
        store = Store(url, ttl=MONTH, max_bytes=25_000)
        store.start()
        made = [await a_big_conversation(store) for _ in range(6)]
        while sum(found := await still_there(store, *made)) > 2:
            pass  # each look lets the sweeper go on
        await store.close()
        return sum(found)

    assert asyncio.run(asyncio.wait_for(written(), 30)) == 2


def test_a_store_that_was_never_used_makes_no_file(sqlite_url: str, tmp_path: Path) -> None:
    async def idle() -> None:
        store = Store(sqlite_url, ttl=MONTH, max_bytes=GIGABYTE)
        store.start()
        store._due.set()
        await asyncio.sleep(0)
        await store.close()

    asyncio.run(idle())
    assert not list(tmp_path.iterdir())


@awaited
async def test_who_is_cancelled_while_the_sweeper_ends_is_cancelled(sqlite_url: str) -> None:
    store = Store(sqlite_url, ttl=MONTH, max_bytes=GIGABYTE)
    store.start()
    await turns(1)
    closing = asyncio.ensure_future(store.close())
    await turns(1)
    closing.cancel()
    await asyncio.wait({closing})
    assert closing.cancelled()
    await store.close()


@pytest.mark.parametrize("swept", [False, True])
def test_nothing_of_what_is_gone_is_left_in_the_file(sqlite_url: str, swept: bool) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))

    async def secret(store: Store) -> None:
        made = await store.create_conversation({"a": "b"}, [item(number, f"secret {BIG}") for number in range(99)])
        await (store.update_conversation(made.id, {}) if swept else store.delete_conversation(made.id))

    on(sqlite_url, secret, now=1000)
    before = file.stat().st_size
    on(sqlite_url, lambda store: store.sweep(), now=1000 + MONTH)
    assert b"secret" not in file.read_bytes()
    assert (file.stat().st_size < before / 4) == swept
    assert not Path(f"{file}-wal").exists()
