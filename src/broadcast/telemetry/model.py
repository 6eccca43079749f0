"""Tables of telemetry: the latest state of devices, and the history of their reports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base, enum_type
from broadcast.telemetry.presence import Presence


class DevicePresence(Base):
    """Latest state of a device: one row, rewritten by every heartbeat.

    No index on anything a heartbeat changes, and half of each page left free, so that all its rows
    can be rewritten in one transaction and stay there: the updates are heap-only. With an index on
    `last_seen_at` none is, and the table grows with every one until a vacuum comes.
    """

    __tablename__ = "device_presence"
    __table_args__ = {
        "postgresql_with": {
            "fillfactor": 50,
            "autovacuum_vacuum_scale_factor": 0,
            "autovacuum_vacuum_threshold": 2000,
            "autovacuum_vacuum_cost_delay": 0,
        }
    }

    device_id: Mapped[int] = mapped_column(
        sa.ForeignKey("devices.id"), primary_key=True, autoincrement=False
    )
    presence: Mapped[Presence] = mapped_column(enum_type(Presence))
    since: Mapped[datetime]
    """When `presence` became what it is."""
    session: Mapped[int] = mapped_column(sa.BigInteger)
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    """Of the newest heartbeat of the session; 0 after its boot."""
    gone: Mapped[bool] = mapped_column(default=False)
    """The broker reported the end of this session."""
    last_seen_at: Mapped[datetime]
    """When the newest boot or heartbeat was sent, by the server's clock."""
    silent_after: Mapped[datetime]
    clock_wrong: Mapped[bool] = mapped_column(default=False)
    """The newest message bore a time that cannot be, from a clock the device trusts."""
    held: Mapped[dict[str, Any]]
    """`{scope}/{kind}` → revision that the device reports to hold."""
    held_seq: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    """Heartbeat of the session that last changed `held`."""
    mains: Mapped[bool | None]
    """Mains, as the newest message reports it; null when it reports none, as every boot."""
    operator: Mapped[str | None]
    """Of the mobile network, likewise."""


class PresenceChange(Base):
    """One change of presence, dated when it happened, not when it was noticed."""

    __tablename__ = "presence_changes"
    __table_args__ = (sa.Index("ix_presence_changes_device", "device_id", "happened_at"),)

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"))
    presence: Mapped[Presence] = mapped_column(enum_type(Presence))
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    cause: Mapped[str]


class ListeningSpan(Base):
    """A span in which one worker received everything that was sent to it.

    The server was listening where the spans of all workers that shared the work overlap. Outside
    of that silence proves nothing about a device: the sweep, the ledger and the indicators leave
    such time out.
    """

    __tablename__ = "listening_spans"
    __table_args__ = (
        sa.UniqueConstraint("worker", "started_at"),
        sa.Index("ix_listening_spans_until", "until"),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    """Order in which they were begun, also when the clock was set back."""
    worker: Mapped[int] = mapped_column(default=1)
    """Counted from 1."""
    workers: Mapped[int] = mapped_column(default=1)
    """Number of workers that shared the work."""
    started_at: Mapped[datetime]
    until: Mapped[datetime]


class Boot(Base):
    """One connection of a device: its session and its boot message."""

    __tablename__ = "boots"
    __table_args__ = (sa.Index("ix_boots_received_at", "device_id", "received_at"),)

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    session: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]
    reason: Mapped[str]
    body: Mapped[dict[str, Any]]


class Heartbeat(Base):
    """Raw heartbeats, in daily partitions that are dropped by age; requests read single ones.

    They lie in the order in which they came, so the hourly summary finds an hour by a block-range
    index, which costs an insert next to nothing.
    """

    __tablename__ = "heartbeats"
    __table_args__ = (
        sa.Index("ix_heartbeats_received_at", "received_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (received_on)"},
    )

    received_on: Mapped[date] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    session: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]
    body: Mapped[dict[str, Any]] = mapped_column(postgresql.JSON())
    """Without `held`. JSON as it came: taken apart when an hour is summed up, not before."""


class OnlineMinutes(Base):
    """The minutes of one local day in which a device was online: one bit each.

    A heartbeat ORs its minute in, so repetition and order do not matter. Kept permanently, in
    monthly partitions: an open one leaves room for updates (`db.STORAGE`), a closed one is packed.
    """

    __tablename__ = "online_minutes"
    __table_args__ = {"postgresql_partition_by": "RANGE (day)"}

    device_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    minutes: Mapped[Any] = mapped_column(postgresql.BIT(1440))


class HealthHour(Base):
    """Sums of the heartbeats of one device in one hour, for charts.

    Null where no heartbeat of the hour had the value.
    """

    __tablename__ = "health_hours"
    __table_args__ = {"postgresql_partition_by": "RANGE (hour)"}

    device_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    """Its beginning; a heartbeat counts for the hour in which it was sent."""
    beats: Mapped[int]
    minutes: Mapped[int]
    """Minutes in which it was online, 0–60."""
    sessions: Mapped[int]
    """Connections: above 1 it lost its link or restarted."""
    playing_beats: Mapped[int]
    untrusted_beats: Mapped[int]
    """Sent while the device did not trust its clock."""
    unpowered_beats: Mapped[int]
    """Sent without mains."""
    temperature_min: Mapped[float | None] = mapped_column(sa.REAL)
    temperature_avg: Mapped[float | None] = mapped_column(sa.REAL)
    temperature_max: Mapped[float | None] = mapped_column(sa.REAL)
    supply_volts_min: Mapped[float | None] = mapped_column(sa.REAL)
    battery_percent_min: Mapped[int | None] = mapped_column(sa.SmallInteger)
    signal_dbm_min: Mapped[int | None] = mapped_column(sa.SmallInteger)
    signal_dbm_avg: Mapped[float | None] = mapped_column(sa.REAL)
    clock_offset_ms_max: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Largest distance from the reference, ahead or behind."""
    data_used_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Between the first and the last heartbeat of the hour; a counter that restarts is seen."""
    storage_free_bytes_min: Mapped[int | None] = mapped_column(sa.BigInteger)
    journal_pending_max: Mapped[int] = mapped_column(sa.BigInteger)
    line: Mapped[str]
    """The worst of the hour: short, open, unknown, ok."""
    amplifier: Mapped[str | None]
    """The worst of the hour: fault, off, on."""


class HealthProgress(Base):
    """An hour of reception whose heartbeats are in `health_hours`."""

    __tablename__ = "health_progress"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    beats: Mapped[int] = mapped_column(sa.BigInteger)
    """Number that there was; if there are more by now, the hour is done again."""
    done_at: Mapped[datetime]


class Fault(Base):
    """A fault of a device from its opening to its end."""

    __tablename__ = "faults"
    __table_args__ = (
        sa.Index(
            "uq_faults_open", "device_id", "kind",
            unique=True, postgresql_where=sa.text("closed_at IS NULL"),
        ),
        sa.Index("ix_faults_device", "device_id", "opened_at"),
        sa.Index(
            "ix_faults_closed_at", "closed_at",
            postgresql_where=sa.text("closed_at IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"))
    kind: Mapped[str]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    detail: Mapped[str] = mapped_column(default="")


class FaultEnd(Base):
    """The newest end of a fault that a device has told: its opening may come later than it."""

    __tablename__ = "fault_ends"
    is_recorded = False

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class Readiness(Base):
    """Readiness of a device to sound a coming occurrence, as it last reported."""

    __tablename__ = "readiness"

    occurrence_id: Mapped[UUID] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    bulletin_revision: Mapped[int]
    state: Mapped[str]
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]


class Receipt(Base):
    """First time that the server learned that a device holds a revision of a document."""

    __tablename__ = "receipts"

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    document: Mapped[str] = mapped_column(primary_key=True)
    """`{scope}/{kind}`."""
    revision: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    received_at: Mapped[datetime]


class Refusal(Base):
    """A document or command that a device would not accept."""

    __tablename__ = "refusals"
    __table_args__ = (
        sa.UniqueConstraint("device_id", "sent_at", "topic", "reason"),
        sa.Index(
            "ix_refusals_command", "device_id", "command_id",
            postgresql_where=sa.text("command_id IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"))
    topic: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str] = mapped_column(default="")
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]
    command_id: Mapped[str | None]
    """Which command it was; null for a document, and where the device does not say."""


class DeadLetterRow(Base):
    """A message from the broker that could not be taken, with the reason."""

    __tablename__ = "dead_letters"
    __table_args__ = (sa.Index("ix_dead_letters_device", "device_code", "id"),)

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    topic: Mapped[str]
    device_code: Mapped[str | None]
    size_bytes: Mapped[int]
    payload: Mapped[bytes] = mapped_column(sa.LargeBinary)
    """First 4 KiB."""
    field: Mapped[str]
    reason: Mapped[str]
    reject_reason: Mapped[str | None]
    """`RejectReason`; null of letters that were kept before there was one."""
    more: Mapped[int] = mapped_column(server_default="0")
    """Further letters of the same sender within the hour that were counted and not kept."""
