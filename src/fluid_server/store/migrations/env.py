"""What Alembic runs before the migrations: it is given a connection whose transaction is under way."""

from __future__ import annotations

from alembic import context

from fluid_server.store.db import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
