"""Upkeep: monthly online minutes, hourly health, room where heartbeats rewrite rows."""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

MONTH = (
    "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000"
)


def upgrade() -> None:
    _partition_online_minutes()
    op.create_index(
        "ix_heartbeats_received_at", "heartbeats", ["received_at"], postgresql_using="brin"
    )
    op.create_table(
        "health_hours",
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("playing_beats", sa.Integer(), nullable=False),
        sa.Column("untrusted_beats", sa.Integer(), nullable=False),
        sa.Column("unpowered_beats", sa.Integer(), nullable=False),
        sa.Column("temperature_min", sa.REAL(), nullable=True),
        sa.Column("temperature_avg", sa.REAL(), nullable=True),
        sa.Column("temperature_max", sa.REAL(), nullable=True),
        sa.Column("supply_volts_min", sa.REAL(), nullable=True),
        sa.Column("battery_percent_min", sa.SmallInteger(), nullable=True),
        sa.Column("signal_dbm_min", sa.SmallInteger(), nullable=True),
        sa.Column("signal_dbm_avg", sa.REAL(), nullable=True),
        sa.Column("clock_offset_ms_max", sa.BigInteger(), nullable=True),
        sa.Column("data_used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("storage_free_bytes_min", sa.BigInteger(), nullable=True),
        sa.Column("journal_pending_max", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("amplifier", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", "hour", name=op.f("pk_health_hours")),
        postgresql_partition_by="RANGE (hour)",
    )
    op.create_table(
        "health_progress",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_health_progress")),
    )
    op.execute(
        "ALTER TABLE device_presence SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,"
        " autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)"
    )


def _partition_online_minutes() -> None:
    op.execute("ALTER TABLE online_minutes RENAME TO online_minutes_unparted")
    op.execute("ALTER INDEX pk_online_minutes RENAME TO pk_online_minutes_unparted")
    op.create_table(
        "online_minutes",
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("minutes", postgresql.BIT(length=1440), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "day", name=op.f("pk_online_minutes")),
        postgresql_partition_by="RANGE (day)",
    )
    oldest, newest = (
        op.get_bind()
        .execute(sa.text("SELECT min(day), max(day) FROM online_minutes_unparted"))
        .one()
    )
    month: date | None = oldest.replace(day=1) if oldest else None
    while month is not None and month <= newest:
        following = (month + timedelta(days=32)).replace(day=1)
        op.execute(
            f"CREATE TABLE online_minutes_{month:%Y%m} PARTITION OF online_minutes"
            f" FOR VALUES FROM ('{month}') TO ('{following}') WITH ({MONTH})"
        )
        month = following
    # In the order of the index, so that the pages of a month hold devices side by side.
    op.execute(
        "INSERT INTO online_minutes SELECT device_id, day, minutes"
        " FROM online_minutes_unparted ORDER BY device_id, day"
    )
    op.execute("DROP TABLE online_minutes_unparted")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE device_presence RESET (autovacuum_vacuum_scale_factor,"
        " autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay)"
    )
    op.execute("ALTER TABLE device_presence SET (fillfactor = 70)")
    op.drop_table("health_progress")
    op.drop_table("health_hours")
    op.drop_index("ix_heartbeats_received_at", table_name="heartbeats", postgresql_using="brin")
    op.execute("ALTER TABLE online_minutes RENAME TO online_minutes_parted")
    op.execute("ALTER INDEX pk_online_minutes RENAME TO pk_online_minutes_parted")
    op.create_table(
        "online_minutes",
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("minutes", postgresql.BIT(length=1440), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "day", name=op.f("pk_online_minutes")),
        postgresql_with={"fillfactor": 70},
    )
    op.execute("INSERT INTO online_minutes SELECT * FROM online_minutes_parted")
    op.drop_table("online_minutes_parted")
