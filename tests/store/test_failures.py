"""A database that fails: said clearly, without its path or password, and healed when it can be."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from fluid_server.errors import StoreFailed
from fluid_server.store import db
from fluid_server.store.failures import explain
from fluid_server.store.store import Store
from tests.store.databases import GIGABYTE, Postgres, engine, item, on


def failure(url: str) -> StoreFailed:
    with pytest.raises(StoreFailed) as caught:
        on(url, lambda store: store.create_conversation())
    return caught.value


def a_folder(file: Path) -> None:
    file.mkdir()


def garbage(file: Path) -> None:
    file.write_bytes(b"This is no database. " * 1000)


def damaged(file: Path) -> None:
    on(f"sqlite:///{file.as_posix()}", lambda store: store.create_conversation())
    content = bytearray(file.read_bytes())
    content[200:] = b"\xff" * (len(content) - 200)
    file.write_bytes(content)


def below_a_file(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("no folder", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (a_folder, "store_unusable"),
        (garbage, "store_damaged"),
        (damaged, "store_damaged"),
        (below_a_file, "store_unusable"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_to_be_so(sqlite_url: str, spoil: Callable[[Path], None], code: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    spoil(file)
    error = failure(sqlite_url)
    assert (error.code, error.retry_after) == (code, None)
    assert str(file.parent) not in error.message


def test_a_file_that_was_put_right_is_used(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    garbage(file)

    async def healed(store: Store) -> None:
        with pytest.raises(StoreFailed):
            await store.create_conversation()
        file.unlink()  # noqa: ASYNC240 - nobody else waits
        await store.create_conversation()

    on(sqlite_url, healed)


def test_a_file_that_another_holds_may_be_free_soon(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_TIMEOUT", 0)
    on(sqlite_url, lambda store: store.create_conversation())
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = failure(sqlite_url)
    other.close()
    assert error.code == "store_busy"
    assert error.retry_after
    on(sqlite_url, lambda store: store.create_conversation())


def test_two_servers_may_write_to_one_database(url: str) -> None:
    async def both() -> int:
        stores = [Store(url, ttl=0, max_bytes=GIGABYTE) for _ in range(2)]
        made = (await stores[0].create_conversation()).id
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(stores[number % 2].add_items(made, [item(number)]))
        found = await stores[0].all_items(made)
        for store in stores:
            await store.close()
        return len(found)

    assert asyncio.run(asyncio.wait_for(both(), 30)) == 100


def test_a_server_that_is_not_there_may_be_there_soon() -> None:
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    error = failure("postgresql://somebody:hunter2@127.0.0.1:9/nowhere")
    assert error.code == "store_unreachable"
    assert error.retry_after
    assert "hunter2" not in error.message


def test_nobody_waits_for_a_server_that_has_just_not_answered() -> None:
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked: list[object] = []
        threading.Thread(target=turn_away, args=(listener, asked), daemon=True).start()

        async def twice(store: Store) -> list[StoreFailed]:
            return [await failing(store), await failing(store)]

        first, second = on(f"postgresql://me@127.0.0.1:{listener.getsockname()[1]}/x?sslmode=disable", twice)
    assert len(asked) == 1
    assert (second.code, second.message) == (first.code, first.message)
    assert second.retry_after


def turn_away(listener: socket.socket, asked: list[object]) -> None:
    """Take connections and close them at once."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            asked.append(connection)
            connection.close()


async def failing(store: Store) -> StoreFailed:
    with pytest.raises(StoreFailed) as caught:
        await store.create_conversation()
    return caught.value


def test_what_people_say_is_not_in_the_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    on(url, lambda store: store.create_conversation())
    with engine(url).begin() as connection:
        connection.execute(sa.text("DROP TABLE fluid_items"))
    with pytest.raises(StoreFailed):
        on(url, lambda store: store.create_conversation({"a": "secret"}, [item(1, "secret")]))
    assert "fluid_items" in caplog.text
    assert "secret" not in caplog.text


def test_a_lost_connection_is_made_anew(postgres: Postgres) -> None:
    import psycopg

    url = postgres.new_database()

    async def cut(store: Store) -> None:
        made = await store.create_conversation()
        with psycopg.connect(url, autocommit=True) as other:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        await store.get_conversation(made.id)

    on(url, cut)


def test_a_database_that_does_not_exist_is_said_to_be_unreachable(postgres: Postgres) -> None:
    assert failure(postgres.new_database() + "_not").code == "store_unreachable"


def test_a_missing_driver_says_what_to_install() -> None:
    assert "fluid-server[postgres]" in explain(ImportError("No module named 'psycopg'")).message


def test_a_store_in_memory_forgets_at_the_end() -> None:
    made = on("sqlite://", lambda store: store.create_conversation())
    assert made.id
    with pytest.raises(Exception, match="not found"):
        on("sqlite://", lambda store: store.get_conversation(made.id))
