"""Stored chat completions in both databases."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fluid_server.errors import InvalidRequest, NotStored
from fluid_server.store.records import Completion, Json, Paging
from fluid_server.store.store import Store
from tests.store.databases import ids, on

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
BY_AGE = Paging(order="asc")


def body(number: int, model: str = "m", created: int = 900) -> Json:
    return {"id": f"chatcmpl-{number}", "created": created, "model": model, "choices": []}


async def three(store: Store) -> None:
    await store.add_completion(body(1), QUESTION, {"user": "ann", "topic": "x"})
    await store.add_completion(body(2, "n"), QUESTION, {"user": "bob"})
    await store.add_completion(body(3, created=800), QUESTION, {"user": "ann"})


def test_an_answer_comes_back_whole(url: str) -> None:
    on(url, three)
    found = on(url, lambda store: store.get_completion("chatcmpl-1"), ttl=0)
    assert found == Completion("chatcmpl-1", 900, body(1), {"user": "ann", "topic": "x"}, expires_at=None)


@pytest.mark.parametrize(
    ("model", "metadata", "found"),
    [
        (None, {}, [3, 1, 2]),
        ("m", {}, [3, 1]),
        ("n", {"user": "ann"}, []),
        (None, {"user": "ann"}, [3, 1]),
        (None, {"user": "ann", "topic": "x"}, [1]),
        (None, {"us": "erann"}, []),
        ("\0", {"\0": "'"}, []),
    ],
)
def test_answers_are_found_by_model_and_metadata(
    url: str, model: str | None, metadata: Mapping[str, str], found: list[int]
) -> None:
    async def listed(store: Store) -> list[str]:
        await three(store)
        page = await store.list_completions(BY_AGE, model=model, metadata=metadata)
        return [one.id for one in page.data]

    assert on(url, listed) == [f"chatcmpl-{number}" for number in found]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_answers_join_without_gap_or_overlap(url: str, order: str) -> None:
    async def walked(store: Store) -> list[str]:
        await three(store)
        seen: list[str] = []
        while True:
            after = seen[-1] if seen else None
            page = await store.list_completions(Paging(after, 1, "asc" if order == "asc" else "desc"))
            seen += [one.id for one in page.data]
            if not page.more:
                return seen

    by_age = ["chatcmpl-3", "chatcmpl-1", "chatcmpl-2"]
    assert on(url, walked) == (by_age if order == "asc" else by_age[::-1])


def test_a_page_behind_nothing_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        on(url, lambda store: store.list_completions(Paging(after="chatcmpl-9")))
    assert caught.value.param == "after"


def test_new_metadata_are_what_it_is_found_by(url: str) -> None:
    async def relabelled(store: Store) -> tuple[int, int]:
        await three(store)
        assert (await store.update_completion("chatcmpl-1", {"user": "eve"})).metadata == {"user": "eve"}
        found = [await store.list_completions(BY_AGE, metadata={"user": name}) for name in ("eve", "ann")]
        assert len((await store.list_completions(BY_AGE, model="m")).data) == 2
        return len(found[0].data), len(found[1].data)

    assert on(url, relabelled) == (1, 1)


def test_its_messages_have_ids(url: str) -> None:
    async def messages(store: Store) -> tuple[Json, ...]:
        await three(store)
        return (await store.completion_messages("chatcmpl-1", BY_AGE)).data

    found = on(url, messages)
    assert ids(found) == ["chatcmpl-1-0", "chatcmpl-1-1"]
    assert [one["content"] for one in found] == ["Be brief.", "Hi"]


def test_a_deleted_answer_is_gone_with_its_messages(url: str) -> None:
    async def gone(store: Store) -> None:
        await three(store)
        await store.delete_completion("chatcmpl-1")
        assert len((await store.list_completions(BY_AGE)).data) == 2
        await store.completion_messages("chatcmpl-1", BY_AGE)

    with pytest.raises(NotStored, match="Chat completion with id 'chatcmpl-1' not found"):
        on(url, gone)


def test_messages_are_no_items_that_can_be_referred_to(url: str) -> None:
    async def found(store: Store) -> Mapping[str, Json]:
        await three(store)
        return await store.find_items(["chatcmpl-1-0"])

    assert on(url, found) == {}
