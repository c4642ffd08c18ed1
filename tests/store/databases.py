"""Databases for tests: SQLite files, and a PostgreSQL server of our own where this machine has one."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
import sqlalchemy as sa

from fluid_server.store.records import Json
from fluid_server.store.store import Store
from tests.front_door import PATIENCE

T = TypeVar("T")
MONTH = 30 * 86400.0
GIGABYTE = 10**9


def on(
    url: str, work: Callable[[Store], Awaitable[T]], *, now: float = 1000, ttl: float = MONTH, most: int = GIGABYTE
) -> T:
    """Do ``work`` with a store at a moment, and close it."""
    return asyncio.run(_bounded(Store(url, ttl=ttl, max_bytes=most, clock=lambda: now), work))


async def _bounded(store: Store, work: Callable[[Store], Awaitable[T]]) -> T:
    async with asyncio.timeout(PATIENCE):
        try:
            return await work(store)
        finally:
            await store.close()


def item(number: int, text: str = "hello") -> Json:
    """A message of a user, as a conversation keeps it."""
    content = [{"type": "input_text", "text": text}]
    return {"id": f"msg_{number}", "type": "message", "role": "user", "status": "completed", "content": content}


def ids(items: tuple[Json, ...]) -> list[str]:
    """The ids of items."""
    return [str(one["id"]) for one in items]


def engine(url: str) -> sa.Engine:
    """Another way into a database, which closes each connection at once."""
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)


class Postgres:
    """A PostgreSQL server that lives as long as the tests."""

    def __init__(self, port: int) -> None:
        self._base = f"postgresql://fluid@127.0.0.1:{port}"

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        psycopg = pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
        name = f"test_{uuid4().hex}"
        with psycopg.connect(f"{self._base}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self._base}/{name}"


@contextmanager
def postgres_server() -> Generator[Postgres, None, None]:
    """Start a server on a free port of this machine; skips where that cannot be."""
    if not all(shutil.which(program) for program in ("initdb", "pg_ctl", "postgres")):
        pytest.skip("PostgreSQL's programs are not on this machine's path")
    folder = Path(tempfile.mkdtemp(prefix="fluid-postgres-"))
    user = "nobody" if getattr(os, "geteuid", lambda: 1)() == 0 else None  # initdb refuses to run as root
    if user is not None:
        shutil.chown(folder, user)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    data, log = folder / "data", folder / "log"
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    try:
        _run(folder, user, "initdb", "-D", data, "-U", "fluid", "-A", "trust", "-E", "UTF8", "--no-sync")
        _run(folder, user, "pg_ctl", "-D", data, "-w", "-l", log, "-o", settings, "start")
        try:
            yield Postgres(port)
        finally:
            _run(folder, user, "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, user: str | None, *command: str | Path) -> None:
    quiet = subprocess.DEVNULL  # a pipe would be held open by the server
    subprocess.run(command, cwd=folder, user=user, stdin=quiet, stdout=quiet, stderr=quiet, check=True, timeout=60)
