"""The database: its tables, its connection, its transactions. The only module that imports SQLAlchemy.

It is imported late, by the store's own thread: a server that keeps nothing never pays for it. Everything that is kept
is an *object* with *items* (messages, items of a conversation, input and output of a response) and *labels* (digests
of what it can be searched for).
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from fluid_server.errors import StoreFailed
from fluid_server.store import failures
from fluid_server.store.address import MEMORY, is_sqlite, sqlite_file

logger = logging.getLogger(__name__)
# What other modules of this folder write in their annotations, so that they need no import of the library.
Link: TypeAlias = Connection
Query: TypeAlias = sa.Select[*tuple[Any, ...]]
Found: TypeAlias = sa.Row[*tuple[Any, ...]]
Term: TypeAlias = sa.ColumnElement[Any]
Chain: TypeAlias = sa.CTE

HEAD = "0001"  # the newest revision in migrations/versions
VERSION_TABLE = "fluid_version"  # a database may be shared with another program that uses Alembic
BUSY_TIMEOUT = 5  # seconds that another writer may hold the database
CONNECT_TIMEOUT = 5
STATEMENT_TIMEOUT = 60
MIGRATION_LOCK = 0x666C756964  # of PostgreSQL; any number that nobody else takes
ID_LENGTH = 128
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only what it calls INTEGER

METADATA = sa.MetaData()
OBJECTS = sa.Table(
    "fluid_objects",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("id", sa.String(ID_LENGTH), nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("previous", sa.String(ID_LENGTH)),
    sa.Column("metadata", sa.Text),
    sa.Column("body", sa.Text),
    sa.Index("fluid_objects_by_age", "kind", "created_at", "seq"),
    sa.Index("fluid_objects_by_use", "used_at", "seq", "size"),  # all that a sweep reads
)
ITEMS = sa.Table(
    "fluid_items",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("owner", NUMBER, sa.ForeignKey("fluid_objects.seq", ondelete="CASCADE"), nullable=False),
    sa.Column("side", sa.String(8), nullable=False),
    sa.Column("id", sa.String(ID_LENGTH), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("fluid_items_by_owner", "owner", "side", "seq"),
    sa.Index("fluid_items_by_id", "id"),
)
LABELS = sa.Table(
    "fluid_labels",
    METADATA,
    sa.Column("owner", NUMBER, sa.ForeignKey("fluid_objects.seq", ondelete="CASCADE"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Index("fluid_labels_by_digest", "digest"),
)


class Transaction:
    """One transaction at one moment. ``now`` and ``ttl`` are seconds; a ttl of 0 is for ever."""

    objects = OBJECTS
    items = ITEMS
    labels = LABELS

    def __init__(self, connection: Connection, now: int, ttl: int) -> None:
        self._connection = connection
        self.now = now
        self.grown = 0  # bytes, about: what this transaction has added
        self._ttl = ttl

    @property
    def alive(self) -> sa.ColumnElement[bool]:
        """True for objects that have not expired."""
        return OBJECTS.c.used_at > self.now - self._ttl if self._ttl else sa.true()

    @property
    def expired(self) -> sa.ColumnElement[bool]:
        """True for objects that have."""
        return sa.not_(self.alive)

    def expires(self, used_at: int) -> int | None:
        """When something that was last changed then is forgotten."""
        return used_at + self._ttl if self._ttl else None

    def rows(self, query: Query) -> Sequence[Found]:
        """All rows of a query."""
        return self._connection.execute(query).all()

    def row(self, query: Query) -> Found | None:
        """The first row of a query, if there is one."""
        return self._connection.execute(query).first()

    def total(self, column: sa.Column[Any]) -> int:
        """The sum of a column of numbers."""
        return int(self._connection.execute(sa.select(sa.func.coalesce(sa.func.sum(column), 0))).scalar_one())

    def insert(self, table: sa.Table, row: Mapping[str, Any]) -> int:
        """Add a row; returns its ``seq``."""
        key = self._connection.execute(table.insert(), row).inserted_primary_key
        assert key is not None
        return int(key[0])

    def insert_all(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, in this order."""
        if rows:
            self._connection.execute(table.insert(), rows)

    def change(self, statement: sa.Update | sa.Delete) -> int:
        """Update or delete; returns how many rows were."""
        return self._connection.execute(statement).rowcount


class Database:
    """An open database whose tables are those of this program. Used by one thread."""

    def __init__(self, url: str) -> None:
        """Open it; make or bring up to date its tables. Errors: StoreFailed."""
        with translated():
            self._engine = _engine(url)
        with ExitStack() as opening:
            opening.callback(self.close)
            with translated():
                self._bring_up_to_date()
            opening.pop_all()

    @contextmanager
    def transaction(self, now: int, ttl: int, *, writes: bool) -> Generator[Transaction, None, None]:
        """All or nothing. Errors: StoreFailed."""
        options: dict[str, Any] = {"writes": writes}
        if not writes and self._engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"  # queries that belong together see one state, as in SQLite
        with translated(), self._engine.execution_options(**options).begin() as connection:
            yield Transaction(connection, now, ttl)

    def shrink(self) -> None:
        """Give the room of what was deleted back to the disk. PostgreSQL sees to that by itself."""
        if self._engine.dialect.name == "sqlite":
            with translated(), self._engine.execution_options(writes=False).connect() as connection:
                # Page by page until none is left, which the driver only does for a script; outside of a transaction.
                connection.connection.cursor().executescript("PRAGMA incremental_vacuum")

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        """Change the schema where it is not the newest; one process at a time, and only then with Alembic."""
        with self._engine.execution_options(writes=False).begin() as connection:
            if version(connection) == HEAD:
                return
        with self._engine.execution_options(writes=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            if version(connection) != HEAD:
                logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of itself as it is imported
                from fluid_server.store import schema

                schema.upgrade(connection)


def version(connection: Connection) -> str | None:
    """The revision of the database's schema; none where there is none yet."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))).scalar()
    return None if found is None else str(found)


@contextmanager
def translated() -> Generator[None, None, None]:
    """Say the library's failures in our words; the log has its own."""
    try:
        yield
    except (SQLAlchemyError, OSError, ImportError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        failure = failures.explain(cause)
        unknown = failure.code == StoreFailed.code
        logger.error("The database failed: %s", cause, exc_info=error if unknown else None)
        raise failure from error


def _engine(url: str) -> Engine:
    # One thread uses it, so there is one connection; it is tried before it is used, since a server may restart.
    options: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
    options["hide_parameters"] = True  # what people say is not to be in the log
    if not is_sqlite(url):
        return _postgres(make_url(url), options)
    file = sqlite_file(url)
    engine = sa.create_engine(URL.create("sqlite", database=str(_prepared(file)) if file else MEMORY), **options)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepared(file: Path) -> Path:
    """The file and its folder, which only this user may read where they are new."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
    return file


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite and nobody else
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")
    cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # what a person has deleted is not to be found in the file
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes fails if another has written in between: it says so at once.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: URL, options: Mapping[str, Any]) -> Engine:
    arguments = {
        "connect_timeout": CONNECT_TIMEOUT,
        "prepare_threshold": None,  # a pooler such as PgBouncer may sit between
        "application_name": "fluid-server",
    }
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), connect_args=arguments, **options)
    event.listen(engine, "connect", _set_up_postgres)
    return engine


def _set_up_postgres(connection: Any, _: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{BUSY_TIMEOUT}s'")
        cursor.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}s'")
    connection.commit()
