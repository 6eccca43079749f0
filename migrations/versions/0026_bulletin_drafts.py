"""Drafts of bulletins with their sound, and the part of a recording that is used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0023"

TRIMMED = ("preparations", "bulletin_revisions")


def upgrade() -> None:
    for table in TRIMMED:
        for name in ("trim_start_seconds", "trim_end_seconds"):
            op.add_column(table, sa.Column(name, sa.Double(), nullable=True))
    op.create_table(
        "bulletin_drafts",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("form", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("source_file", sa.Text(), nullable=True),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("preparation_id", sa.BigInteger(), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["preparation_id"], ["preparations.id"]),
        sa.PrimaryKeyConstraint("account_id", "page"),
    )
    op.create_index("ix_bulletin_drafts_preparation_id", "bulletin_drafts", ["preparation_id"])


def downgrade() -> None:
    op.drop_table("bulletin_drafts")
    for table in TRIMMED:
        for name in ("trim_start_seconds", "trim_end_seconds"):
            op.drop_column(table, name)
