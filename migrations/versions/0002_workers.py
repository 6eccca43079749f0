"""Several ingest workers: each tells what it heard; what a device holds is dated by heartbeat."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "device_presence",
        sa.Column("held_seq", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.execute("UPDATE device_presence SET held_seq = seq")
    op.rename_table("listening_spans", "old_listening_spans")
    op.execute("ALTER INDEX pk_listening_spans RENAME TO pk_old_listening_spans")
    op.create_table(
        "listening_spans",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("worker", sa.Integer(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listening_spans")),
        sa.UniqueConstraint(
            "worker", "started_at", name=op.f("uq_listening_spans_worker_started_at")
        ),
    )
    op.create_index("ix_listening_spans_until", "listening_spans", ["until"])
    op.execute(
        "INSERT INTO listening_spans (worker, workers, started_at, until) "
        "SELECT 1, 1, started_at, until FROM old_listening_spans ORDER BY started_at"
    )
    op.drop_table("old_listening_spans")


def downgrade() -> None:
    op.rename_table("listening_spans", "new_listening_spans")
    op.execute("ALTER INDEX pk_listening_spans RENAME TO pk_new_listening_spans")
    op.create_table(
        "listening_spans",
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("started_at", name=op.f("pk_listening_spans")),
    )
    op.execute(
        "INSERT INTO listening_spans SELECT started_at, min(until) FROM new_listening_spans "
        "GROUP BY started_at"
    )
    op.drop_table("new_listening_spans")
    op.drop_column("device_presence", "held_seq")
