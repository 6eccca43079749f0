"""Radio streams that loudspeakers relay: sources, schedules of them, and how much was relayed.

A relay keeps the columns of its bulletin, which is its fallback: nothing that exists changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0041"
down_revision = "0046"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "stream_sources",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("urls", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "codec",
            sa.Enum(
                "mp3", "aac", "opus",
                name="codec", native_enum=False, create_constraint=True, length=32,
            ),
            nullable=True,
        ),
        sa.Column("fallback_bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["fallback_bulletin_id"],
            ["bulletins.id"],
            name=op.f("fk_stream_sources_fallback_bulletin_id_bulletins"),
        ),
        sa.ForeignKeyConstraint(
            ["entered_by"], ["accounts.id"], name=op.f("fk_stream_sources_entered_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_sources")),
    )  # fmt: skip
    op.create_index(op.f("ix_stream_sources_area_code"), "stream_sources", ["area_code"])
    op.create_table(
        "stream_checks",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("checked_at", MOMENT, nullable=False),
        sa.Column("answers", sa.Boolean(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("codec", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["stream_sources.id"],
            name=op.f("fk_stream_checks_source_id_stream_sources"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_stream_checks")),
    )
    for table in ("schedules", "occurrences"):
        op.add_column(table, sa.Column("relay_source_id", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column("relay_seconds", sa.Integer(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_{table}_relay_source_id_stream_sources"),
            table,
            "stream_sources",
            ["relay_source_id"],
            ["id"],
        )
    op.create_index(op.f("ix_schedules_relay_source_id"), "schedules", ["relay_source_id"])
    op.create_check_constraint(
        op.f("ck_schedules_relay"),
        "schedules",
        "(relay_source_id IS NULL) = (relay_seconds IS NULL)",
    )
    op.add_column("plays", sa.Column("relayed_seconds", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("plays", "relayed_seconds")
    op.drop_constraint(op.f("ck_schedules_relay"), "schedules")
    for table in ("occurrences", "schedules"):
        op.drop_column(table, "relay_seconds")
        op.drop_column(table, "relay_source_id")
    op.drop_table("stream_checks")
    op.drop_table("stream_sources")
