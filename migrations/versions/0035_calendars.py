"""Days that people mark in calendars, and how schedules follow them.

`is_emergency` repeats the class of the bulletin, which never changes: what starts when is decided
by the row of the schedule alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0040"


def upgrade() -> None:
    op.create_table(
        "calendar_days",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "holiday",
                "working",
                "mourning",
                "exam",
                "own",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("clusters", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("last_on >= first_on", name=op.f("ck_calendar_days_span")),
        sa.ForeignKeyConstraint(
            ["entered_by"], ["accounts.id"], name=op.f("fk_calendar_days_entered_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_days")),
    )
    op.create_index(
        op.f("ix_calendar_days_area_code"), "calendar_days", ["area_code"], unique=False
    )
    op.add_column(
        "schedules",
        sa.Column(
            "dates",
            postgresql.ARRAY(sa.DateTime(timezone=True)),
            server_default="{}",
            nullable=False,
        ),
    )
    op.add_column(
        "schedules",
        sa.Column("except_on", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column(
        "schedules",
        sa.Column("only_on", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column(
        "schedules",
        sa.Column("is_speech", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "schedules",
        sa.Column("is_emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.execute("""
        UPDATE schedules SET is_emergency = true FROM bulletins
        WHERE bulletins.id = schedules.bulletin_id AND bulletins.class = 'emergency'
    """)


def downgrade() -> None:
    op.drop_column("schedules", "is_emergency")
    op.drop_column("schedules", "is_speech")
    op.drop_column("schedules", "only_on")
    op.drop_column("schedules", "except_on")
    op.drop_column("schedules", "dates")
    op.drop_index(op.f("ix_calendar_days_area_code"), table_name="calendar_days")
    op.drop_table("calendar_days")
