"""What is wrong with a database, in words for a client: without paths, statements or passwords. Decides purely."""

from __future__ import annotations

import sqlite3

from fluid_server.errors import StoreFailed

TRY_AGAIN = 2.0  # seconds
LOG = "The server's log says more."


def explain(error: BaseException | None) -> StoreFailed:
    """The failure of a driver, or of the way to it, as ours. ``retry_after`` is set where the same may work soon."""
    if isinstance(error, ImportError):
        return StoreFailed(
            "PostgreSQL needs its driver, which is not installed. Install fluid-server[postgres], or leave "
            "--database-url out to use SQLite.",
            code="store_unreachable",
        )
    if isinstance(error, OSError):
        return _unusable()
    if isinstance(error, sqlite3.Error):
        return _sqlite(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF)
    return _postgres(getattr(error, "sqlstate", None) or "")


def _sqlite(code: int) -> StoreFailed:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreFailed(
            "The database is held by another program. Try again.", code="store_busy", retry_after=TRY_AGAIN
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreFailed(
            "The database file is damaged. Move it away (the server then makes a new one), or name another with "
            f"--database-url. {LOG}",
            code="store_damaged",
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreFailed("The disk of the database is full. Free some room.", code="store_full")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return _unusable()
    return StoreFailed(f"The database failed on this request. {LOG}")


def _postgres(state: str) -> StoreFailed:
    """By SQLSTATE."""
    if state in ("", "3D000", "42501") or state[:2] in ("08", "28", "53", "57"):  # none: it was never connected
        return StoreFailed(
            "The database cannot be reached, or does not let this server in. Check --database-url and the database's "
            f"server. {LOG}",
            code="store_unreachable",
            retry_after=TRY_AGAIN,
        )
    if state in ("55P03", "40P01", "40001"):
        return StoreFailed(
            "The database is held by another program. Try again.", code="store_busy", retry_after=TRY_AGAIN
        )
    return StoreFailed(f"The database failed on this request. {LOG}")


def _unusable() -> StoreFailed:
    return StoreFailed(
        "The database file cannot be opened or written. Check the rights of its folder, or name another file with "
        f"--database-url. {LOG}",
        code="store_unusable",
    )
