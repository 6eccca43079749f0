"""Items of inboxes that wait for the leader to place them, and why one could not be placed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"

TABLE = "inbox_items"


def upgrade() -> None:
    op.add_column(
        TABLE, sa.Column("to_place", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column(TABLE, sa.Column("not_placed", sa.Text(), server_default="", nullable=False))
    op.create_check_constraint(
        op.f("ck_inbox_items_to_place"), TABLE, "NOT to_place OR answer IS NULL"
    )
    op.create_index(
        "ix_inbox_items_to_place", TABLE, ["sent_at"], postgresql_where=sa.text("to_place")
    )


def downgrade() -> None:
    op.drop_index("ix_inbox_items_to_place", TABLE)
    op.drop_constraint(op.f("ck_inbox_items_to_place"), TABLE)
    op.drop_column(TABLE, "not_placed")
    op.drop_column(TABLE, "to_place")
