"""Objects, their items and their labels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "fluid_objects",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(128), nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("previous", sa.String(128)),
        sa.Column("metadata", sa.Text),
        sa.Column("body", sa.Text),
    )
    op.create_index("fluid_objects_by_age", "fluid_objects", ["kind", "created_at", "seq"])
    op.create_index("fluid_objects_by_use", "fluid_objects", ["used_at", "seq", "size"])
    op.create_table(
        "fluid_items",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("owner", NUMBER, sa.ForeignKey("fluid_objects.seq", ondelete="CASCADE"), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("fluid_items_by_owner", "fluid_items", ["owner", "side", "seq"])
    op.create_index("fluid_items_by_id", "fluid_items", ["id"])
    op.create_table(
        "fluid_labels",
        sa.Column("owner", NUMBER, sa.ForeignKey("fluid_objects.seq", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
    )
    op.create_index("fluid_labels_by_digest", "fluid_labels", ["digest"])


def downgrade() -> None:
    """Forget everything."""
    for table in ("fluid_labels", "fluid_items", "fluid_objects"):
        op.drop_table(table)
