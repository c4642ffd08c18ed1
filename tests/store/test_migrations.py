"""From an empty database to the newest tables, once, whoever comes first; and what is imported when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fluid_server.errors import StoreFailed
from fluid_server.store import db
from fluid_server.store.schema import alembic_config
from tests.front_door import PATIENCE, clean_environment
from tests.store.databases import engine, on

PROGRAM = """
import asyncio, sys
from fluid_server.store.store import Store
async def main():
    store = Store({url!r}, ttl=0, max_bytes=10**9)
    print((await store.create_conversation()).id, *[name for name in ("sqlalchemy", "alembic") if name in sys.modules])
    await store.close()
asyncio.run(main())
"""


def program(url: str) -> subprocess.Popen[str]:
    """Another process that keeps a conversation."""
    command_line = [sys.executable, "-W", "error", "-c", PROGRAM.format(url=url)]
    quiet = subprocess.PIPE
    return subprocess.Popen(command_line, stdout=quiet, stderr=quiet, text=True, env=clean_environment())


def said(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return out.split()


def test_the_newest_revision_is_the_one_that_is_looked_for() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == db.HEAD


def test_the_migrations_make_the_tables_that_the_code_expects(url: str) -> None:
    on(url, lambda store: store.create_conversation())
    with engine(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": db.VERSION_TABLE})
        assert compare_metadata(context, db.METADATA) == []


def test_a_migration_can_be_taken_back(url: str) -> None:
    on(url, lambda store: store.create_conversation())
    settings = alembic_config()
    with engine(url).begin() as connection:
        settings.attributes["connection"] = connection
        command.downgrade(settings, "base")
        assert sa.inspect(connection).get_table_names() == [db.VERSION_TABLE]
    on(url, lambda store: store.create_conversation())


def test_two_processes_may_come_first(url: str) -> None:
    everybody = [program(url) for _ in range(2)]
    made = {said(process)[0] for process in everybody}
    assert len(made) == 2
    for id_ in made:
        on(url, lambda store, id_=id_: store.get_conversation(id_))  # type: ignore[misc]


def test_alembic_is_only_imported_to_change_something(url: str) -> None:
    assert said(program(url))[1:] == ["sqlalchemy", "alembic"]
    assert said(program(url))[1:] == ["sqlalchemy"]


def test_a_server_that_keeps_nothing_imports_no_database_library() -> None:
    code = "import sys, fluid_server.app; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "alembic", "psycopg"} & set(done.stdout.split())


def test_tables_of_a_newer_program_are_left_alone(url: str) -> None:
    on(url, lambda store: store.create_conversation())
    with engine(url).begin() as connection:
        connection.execute(sa.text(f"UPDATE {db.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreFailed, match="newer version") as caught:
        on(url, lambda store: store.create_conversation())
    assert caught.value.code == "store_too_new"


def test_a_database_may_be_shared_with_another_program(url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with engine(url).begin() as connection:
        for name in ("alembic_version", "items", "objects"):
            connection.execute(sa.text(f"CREATE TABLE {name} (version_num VARCHAR(32))"))
    assert on(url, lambda store: store.create_conversation()).id
