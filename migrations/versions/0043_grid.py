"""The programme grid: sessions of communes, their items, and what found no room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0043"
down_revision = "0034"

EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}
TABLES = ("air_sessions", "air_items")
MOMENT = sa.DateTime(timezone=True)
KINDS = ("signature", "relay", "above", "own", "closing")


def upgrade() -> None:
    op.add_column(
        "schedules",
        sa.Column("of_session", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "air_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("rrule", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("may_overrun", sa.Boolean(), nullable=False),
        sa.Column("except_on", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("skipped_on", postgresql.ARRAY(sa.Date()), server_default="{}", nullable=False),
        sa.Column("targets", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("targets_on", sa.Date(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("seconds > 0", name=op.f("ck_air_sessions_length")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["accounts.id"], name=op.f("fk_air_sessions_created_by_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_air_sessions")),
    )
    op.create_index(op.f("ix_air_sessions_area_code"), "air_sessions", ["area_code"])
    op.create_table(
        "air_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "last_on IS NULL OR last_on >= first_on", name=op.f("ck_air_items_span")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["air_sessions.id"], name=op.f("fk_air_items_session_id_air_sessions")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_air_items_schedule_id_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_air_items")),
        sa.UniqueConstraint("schedule_id", name=op.f("uq_air_items_schedule_id")),
    )
    op.create_index(op.f("ix_air_items_session_id"), "air_items", ["session_id"])
    op.create_table(
        "air_drops",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "no_time", "quiet_hours", name="reason", native_enum=False,
                create_constraint=True, length=32,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["air_items.id"], name=op.f("fk_air_drops_item_id_air_items"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("item_id", "on", name=op.f("pk_air_drops")),
    )  # fmt: skip
    for table in TABLES:
        for event, rows in EVENTS.items():
            op.execute(
                f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON {table}"
                f" REFERENCING {rows} TABLE AS changed"
                " FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('schedules')"
            )


def downgrade() -> None:
    for table in ("air_drops", "air_items", "air_sessions"):
        op.drop_table(table)
    op.drop_column("schedules", "of_session")
