"""Quy chế of communes and provinces, and days on which weekends sound all the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0047"

BEFORE = ("holiday", "working", "mourning", "exam", "own")


def upgrade() -> None:
    op.create_table(
        "regulations",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("clusters", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("silent", postgresql.JSONB(), nullable=True),
        sa.Column("limited", postgresql.JSONB(), nullable=True),
        sa.Column(
            "weekend",
            sa.Enum(
                "sounds", "silent", name="weekend", native_enum=False, create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("sessions_per_day", sa.Integer(), nullable=True),
        sa.Column("minutes_per_session", sa.Integer(), nullable=True),
        sa.Column("minutes_per_day", sa.Integer(), nullable=True),
        sa.Column("warns_repeats", sa.Boolean(), nullable=True),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", sa.Integer(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entered_by"], ["accounts.id"], name=op.f("fk_regulations_entered_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawn_by"], ["accounts.id"], name=op.f("fk_regulations_withdrawn_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regulations")),
    )  # fmt: skip
    op.create_index(op.f("ix_regulations_area_code"), "regulations", ["area_code"], unique=False)
    _kinds(*BEFORE, "open")


def downgrade() -> None:
    op.execute("DELETE FROM calendar_days WHERE kind = 'open'")
    _kinds(*BEFORE)
    op.drop_index(op.f("ix_regulations_area_code"), table_name="regulations")
    op.drop_table("regulations")


def _kinds(*kinds: str) -> None:
    op.drop_constraint(op.f("ck_calendar_days_kind"), "calendar_days", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(
        op.f("ck_calendar_days_kind"), "calendar_days", f"kind IN ({listed})"
    )
