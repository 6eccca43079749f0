"""Feeds of CAP messages that are read on a schedule, and how far each was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0045"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "cap_feeds",
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.Column("succeeded_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("modified", sa.Text(), nullable=False),
        sa.Column("seen", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_cap_feeds_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_cap_feeds")),
    )


def downgrade() -> None:
    op.drop_table("cap_feeds")
