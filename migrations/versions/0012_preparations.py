"""Preparation of sound as a queue; a revision exists before its sound does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

MEASURES = ("seconds", "loudness_lufs", "true_peak_dbtp")


def upgrade() -> None:
    op.create_table(
        "preparations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("source_file", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("settings", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "running",
                "done",
                "refused",
                "failed",
                "cancelled",
                name="preparation_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("attempts_count", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_by", sa.Uuid(), nullable=True),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preparations")),
        sa.UniqueConstraint("content_sha256", name=op.f("uq_preparations_content_sha256")),
    )
    op.create_index(
        "ix_preparations_queue",
        "preparations",
        [sa.text("priority DESC"), "id"],
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.add_column("bulletin_revisions", sa.Column("preparation_id", sa.BigInteger()))
    op.create_foreign_key(
        op.f("fk_bulletin_revisions_preparation_id_preparations"),
        "bulletin_revisions",
        "preparations",
        ["preparation_id"],
        ["id"],
    )
    op.create_index("ix_bulletin_revisions_preparation", "bulletin_revisions", ["preparation_id"])
    for column in MEASURES:
        op.alter_column("bulletin_revisions", column, nullable=True)
    op.create_check_constraint(
        op.f("ck_bulletin_revisions_prepared"),
        "bulletin_revisions",
        "state IN ('draft', 'withdrawn') OR seconds IS NOT NULL",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_bulletin_revisions_prepared"), "bulletin_revisions")
    # What has no sound yet is nothing that the older code could show.
    op.execute(
        "DELETE FROM approval_steps USING bulletin_revisions AS made"
        " WHERE made.seconds IS NULL AND made.bulletin_id = approval_steps.bulletin_id"
        " AND made.number = approval_steps.revision"
    )
    op.execute("DELETE FROM bulletin_revisions WHERE seconds IS NULL")
    for column in MEASURES:
        op.alter_column("bulletin_revisions", column, nullable=False)
    op.drop_index("ix_bulletin_revisions_preparation", table_name="bulletin_revisions")
    op.drop_column("bulletin_revisions", "preparation_id")
    op.drop_table("preparations")
