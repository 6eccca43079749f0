"""The ledger: one row per occurrence × cluster, and the evidence it is settled from."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit.db import Base, enum_type
from broadcast.plays.settle import OPEN as OPEN  # noqa: PLC0414 — re-exported
from broadcast.plays.settle import PlayState as PlayState  # noqa: PLC0414 — re-exported


class Play(Base):
    """One occurrence at one cluster, planned and settled."""

    __tablename__ = "plays"
    __table_args__ = (
        sa.Index(
            "ix_plays_open", "ends_by",
            postgresql_where=sa.text("state IN ('planned', 'playing')"),
        ),
        sa.Index("ix_plays_cluster", "cluster_id", "starts_at"),
        sa.Index("ix_plays_starts_at", "starts_at", "occurrence_id", "cluster_id"),
        {"postgresql_partition_by": "RANGE (month)"},
    )  # fmt: skip

    occurrence_id: Mapped[UUID] = mapped_column(primary_key=True)
    cluster_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    month: Mapped[date] = mapped_column(primary_key=True)
    """First of the local month of `recurrence_at`: fixed, so that a moved occurrence stays one
    row."""
    starts_at: Mapped[datetime]
    ends_by: Mapped[datetime]
    state: Mapped[PlayState] = mapped_column(enum_type(PlayState))
    reason: Mapped[str] = mapped_column(default="")
    """Of a missed, partial or pre-empted play (`settle.Reason`), or of the cancellation."""
    device_id: Mapped[int | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    played_seconds: Mapped[float] = mapped_column(default=0.0)
    relayed_seconds: Mapped[float | None]
    """Of them: of the stream that it relays; the rest was its fallback."""
    start_error_ms: Mapped[int | None]
    """First start minus planned start, by the device's clock."""
    fresh_starts: Mapped[int] = mapped_column(default=0)
    """Starts from the beginning: above 1 it sounded twice, unless the item says `restart`."""
    evidence: Mapped[str] = mapped_column(default="none")
    languages: Mapped[str | None]
    """Languages that sounded, in their order, as `hre,vi`; None: that of the bulletin."""
    settled_at: Mapped[datetime | None]
    """Time at which it first became terminal."""
    restated: Mapped[int] = mapped_column(default=0)
    """Number of times that a terminal state was changed by later evidence."""


class PlayChange(Base):
    """One change of a settled row, or of the plan, with its cause.

    The ordinary way from `planned` to a first settlement is not repeated here.
    """

    __tablename__ = "play_changes"
    __table_args__ = (sa.Index("ix_play_changes_play", "occurrence_id", "cluster_id"),)

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    occurrence_id: Mapped[UUID]
    cluster_id: Mapped[int]
    changed_at: Mapped[datetime]
    old_state: Mapped[PlayState | None] = mapped_column(enum_type(PlayState, "old_state"))
    old_reason: Mapped[str]
    new_state: Mapped[PlayState] = mapped_column(enum_type(PlayState, "new_state"))
    new_reason: Mapped[str]
    cause: Mapped[str]


class Correction(Base):
    """A change of the register that past plays are settled by. Written by triggers."""

    __tablename__ = "corrections"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    cause: Mapped[str]
    """Table that was written."""
    device_id: Mapped[int | None]
    """Device whose records may belong to another cluster now."""
    cluster_id: Mapped[int | None]
    """Cluster whose plays are concerned; null for all."""
    since: Mapped[datetime]
    until: Mapped[datetime | None]


class LostSpan(Base):
    """Time of which reports were stored, confirmed to the devices, and lost with a database."""

    __tablename__ = "lost_spans"
    __table_args__ = (sa.CheckConstraint("until > since", name="span"),)

    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime]


class Journal(Base):
    """Sequence number up to which a device's journal is stored without a gap, to be confirmed."""

    __tablename__ = "journals"

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    journal_id: Mapped[str] = mapped_column(primary_key=True)
    stored_upto: Mapped[int] = mapped_column(sa.BigInteger)


class JournalRecord(Base):
    """A record of a device's journal, exactly once: (device, journal_id, seq)."""

    __tablename__ = "journal_records"
    __table_args__ = (sa.Index("ix_journal_records_play", "occurrence_id", "cluster_id"),)

    device_id: Mapped[int] = mapped_column(sa.ForeignKey("devices.id"), primary_key=True)
    journal_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    occurrence_id: Mapped[str]
    """As the device names it; an alert's id, or one this server never issued, is kept too."""
    cluster_id: Mapped[int | None]
    """Cluster on which the device was installed at the planned start; null if on none."""
    event: Mapped[str]
    at: Mapped[datetime]
    received_at: Mapped[datetime]
    body: Mapped[dict[str, Any]]
