"""Bringing a database's tables up to date with Alembic. Imported only where that is needed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from fluid_server.errors import StoreFailed
from fluid_server.store.db import HEAD, version

if TYPE_CHECKING:
    from fluid_server.store.db import Link

logger = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Link) -> None:
    """Change the tables, inside the connection's transaction. Errors: StoreFailed for a database of the future."""
    settings = alembic_config()
    settings.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    found = version(connection)
    if found is not None and found not in known:
        raise StoreFailed(
            "The database was written by a newer version of this program. Update fluid-server, or name another "
            "database with --database-url.",
            code="store_too_new",
        )
    logger.info("The database's tables are brought up to date: from %s to %s", found or "none", HEAD)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it would tell of each step
    command.upgrade(settings, "head")


def alembic_config() -> Config:
    """Where the migrations lie; there is no alembic.ini."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return settings
