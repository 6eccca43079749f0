"""Live speech: sessions, and what their occurrences, schedules and bulletins are told by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042"
down_revision = "0044"

MOMENT = sa.DateTime(timezone=True)
EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}
STATES = ("proposed", "active", "alert", "live", "ended", "withdrawn")
SOURCES = ("upload", "text", "live")


def _enum(values: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def _allow(table: str, constraint: str, column: str, values: tuple[str, ...]) -> None:
    op.drop_constraint(op.f(constraint), table)
    op.create_check_constraint(op.f(constraint), table, sa.column(column).in_(values))


def upgrade() -> None:
    _allow("schedules", "ck_schedules_schedulestate", "state", STATES)
    _allow("bulletin_revisions", "ck_bulletin_revisions_sourcekind", "source_kind", SOURCES)
    op.add_column("occurrences", sa.Column("live_key", sa.Text(), nullable=True))
    op.create_index(
        "ix_occurrences_live",
        "occurrences",
        ["ends_by"],
        postgresql_where=sa.text("live_key IS NOT NULL AND carried_scopes <> '{}'"),
    )
    op.create_table(
        "live_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "class", _enum(("normal", "priority", "emergency"), "bulletinclass"), nullable=False
        ),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("targets", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("targets_on", sa.Date(), nullable=False),
        sa.Column("volume", sa.SmallInteger(), nullable=True),
        sa.Column("most_minutes", sa.SmallInteger(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("begun_at", MOMENT, nullable=True),
        sa.Column("ends_by", MOMENT, nullable=True),
        sa.Column("heard_at", MOMENT, nullable=True),
        sa.Column("seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column(
            "end_reason", _enum(("stopped", "abandoned", "too_long"), "end_reason"), nullable=True
        ),
        sa.Column("kept_at", MOMENT, nullable=True),
        sa.Column("occurrence_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(begun_at IS NULL) = (occurrence_id IS NULL)", name=op.f("ck_live_sessions_begun")
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (end_reason IS NULL)", name=op.f("ck_live_sessions_ended")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["accounts.id"], name=op.f("fk_live_sessions_created_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["ended_by"], ["accounts.id"], name=op.f("fk_live_sessions_ended_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["occurrence_id"],
            ["occurrences.id"],
            name=op.f("fk_live_sessions_occurrence_id_occurrences"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_sessions")),
    )
    op.create_index("ix_live_sessions_created_at", "live_sessions", ["created_at", "id"])
    op.create_index(
        "ix_live_sessions_open",
        "live_sessions",
        ["begun_at"],
        postgresql_where=sa.text("begun_at IS NOT NULL AND kept_at IS NULL"),
    )
    for event, rows in EVENTS.items():
        op.execute(
            f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON live_sessions"
            f" REFERENCING {rows} TABLE AS changed"
            " FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('live')"
        )


def downgrade() -> None:
    op.drop_table("live_sessions")
    for table in ("plays", "play_changes"):
        op.execute(
            f"DELETE FROM {table} WHERE occurrence_id IN"  # noqa: S608
            " (SELECT id FROM occurrences WHERE live_key IS NOT NULL)"
        )
    op.execute("DELETE FROM occurrences WHERE live_key IS NOT NULL")
    op.execute("DELETE FROM schedules WHERE state = 'live'")
    op.execute("DELETE FROM documents WHERE kind = 'live'")
    op.execute("UPDATE bulletin_revisions SET source_kind = 'upload' WHERE source_kind = 'live'")
    op.drop_index("ix_occurrences_live", "occurrences")
    op.drop_column("occurrences", "live_key")
    _allow("bulletin_revisions", "ck_bulletin_revisions_sourcekind", "source_kind", SOURCES[:2])
    _allow(
        "schedules", "ck_schedules_schedulestate", "state",
        ("proposed", "active", "alert", "ended", "withdrawn"),
    )  # fmt: skip
