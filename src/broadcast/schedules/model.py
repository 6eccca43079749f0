"""Schedules and the dated occurrences they come to."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.bulletins.model import Revision
from broadcast.calendars.days import Policy
from broadcast.kit.db import Base, enum_type
from broadcast.streams.model import StreamSource
from broadcast.wire.fields import AlertMode, BulletinClass, OnPreempt


class ScheduleState(StrEnum):
    """Only an active schedule comes to further occurrences; the past of all stays."""

    PROPOSED = "proposed"  # its revision is not approved yet: it holds no time, and sounds nowhere
    ACTIVE = "active"
    ALERT = "alert"  # of an alert, which alone changes it: sounds once, and is in no programme
    LIVE = "live"  # of live speech, as of an alert
    ENDED = "ended"  # every start lies in the past; a change can make it active again
    WITHDRAWN = "withdrawn"


class OccurrenceState(StrEnum):
    """`cancelled` before it sounded; everything else is in its plays."""

    PLANNED = "planned"
    CANCELLED = "cancelled"


class Schedule(Base):
    """Times and targets of one approved revision of a bulletin."""

    __tablename__ = "schedules"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["bulletin_id", "bulletin_revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_schedules_revision",
        ),
        sa.Index("ix_schedules_active", "id", postgresql_where=sa.text("state = 'active'")),
        sa.CheckConstraint("(relay_source_id IS NULL) = (relay_seconds IS NULL)", name="relay"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bulletin_id: Mapped[UUID]
    bulletin_revision: Mapped[int]
    title: Mapped[str] = mapped_column(default="")
    starts_at: Mapped[datetime]
    """First start; the recurrence counts from its local wall time."""
    rrule: Mapped[str | None]
    """RFC 5545 recurrence rule without DTSTART, None for a single start."""
    dates: Mapped[list[datetime]] = mapped_column(
        ARRAY(sa.DateTime(timezone=True)), default=list, server_default="{}"
    )
    """Further starts (RDATE), each named by a person."""
    except_on: Mapped[list[str]] = mapped_column(
        ARRAY(sa.Text()), default=list, server_default="{}"
    )
    """Not on days of these calendars: `holiday`, or names of `calendar_days` of kind `own`."""
    only_on: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()), default=list, server_default="{}")
    """Only on days of one of these."""
    is_speech: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Spoken word without music: it sounds on days of mourning, too."""
    is_emergency: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """As the class of its bulletin: no mourning and no exam keeps it silent."""
    of_session: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """An item of a session (`broadcast.grid`), which alone says on which dates it sounds."""
    targets: Mapped[list[dict[str, Any]]]
    """`{"area": code}` or `{"cluster": code}`, united."""
    targets_on: Mapped[date]
    """Day under whose units the area targets were meant."""
    priority: Mapped[int]
    late_limit_seconds: Mapped[int]
    on_preempt: Mapped[OnPreempt] = mapped_column(enum_type(OnPreempt))
    volume: Mapped[int | None]
    relay_source_id: Mapped[int | None] = mapped_column(sa.ForeignKey(StreamSource.id), index=True)
    """Stream that sounds instead of the bulletin, which is its fallback."""
    relay_seconds: Mapped[int | None]
    """From a start to its end, which is hard."""
    useful_until: Mapped[datetime | None]
    """Of what was sent from above: nothing of it starts later."""
    state: Mapped[ScheduleState] = mapped_column(enum_type(ScheduleState))
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime] = mapped_column(index=True)
    changed_at: Mapped[datetime]

    def seconds_of(self, revision: Revision) -> float:
        """How long it sounds: of a relay what was chosen, of a bulletin its length."""
        return self.relay_seconds or revision.air_seconds

    def policy(self) -> Policy:
        """How it heeds calendars."""
        named = tuple(self.except_on), tuple(self.only_on)
        return Policy(self.is_emergency, self.is_speech, *named)


class AuthorityOrder(Base):
    """Which authority goes before which within a class, for what is scheduled from a day on."""

    __tablename__ = "authority_orders"

    valid_from: Mapped[date] = mapped_column(primary_key=True)
    levels: Mapped[list[str]]
    """`areas.model.Level` of the authorities; the first goes before the others."""
    set_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    set_at: Mapped[datetime]


class ScheduleException(Base):
    """One occurrence of a schedule moved or left out (RFC 5545 RECURRENCE-ID, EXDATE)."""

    __tablename__ = "schedule_exceptions"

    schedule_id: Mapped[UUID] = mapped_column(sa.ForeignKey("schedules.id"), primary_key=True)
    recurrence_at: Mapped[datetime] = mapped_column(primary_key=True)
    moved_to: Mapped[datetime | None]
    """New start; None leaves the occurrence out."""
    changed_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    changed_at: Mapped[datetime]


class Occurrence(Base):
    """One dated firing of a schedule, with everything a device needs frozen into it.

    The id derives from schedule and `recurrence_at`, so materialising twice finds the same row
    and a database restored from yesterday names today's occurrences alike.
    """

    __tablename__ = "occurrences"
    is_recorded = False
    __table_args__ = (
        sa.UniqueConstraint("schedule_id", "recurrence_at"),
        sa.UniqueConstraint("id", "alert_mode"),
        sa.Index(
            "ix_occurrences_alerts", "ends_by",
            postgresql_where=sa.text("alert_mode IS NOT NULL AND carried_scopes <> '{}'"),
        ),
        sa.Index(
            "ix_occurrences_live", "ends_by",
            postgresql_where=sa.text("live_key IS NOT NULL AND carried_scopes <> '{}'"),
        ),
        sa.Index("ix_occurrences_schedule", "schedule_id", "starts_at"),
        sa.Index("ix_occurrences_starts_at", "starts_at"),
        sa.Index(
            "ix_occurrences_scopes", "scopes", postgresql_using="gin",
        ),
        sa.Index("ix_occurrences_dirty", "starts_at", postgresql_where=sa.text("dirty")),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    schedule_id: Mapped[UUID] = mapped_column(sa.ForeignKey("schedules.id"))
    recurrence_at: Mapped[datetime]
    """Start by the rule; never changes, also when the occurrence is moved."""
    starts_at: Mapped[datetime]
    ends_by: Mapped[datetime]
    bulletin_id: Mapped[UUID]
    bulletin_revision: Mapped[int]
    class_: Mapped[BulletinClass] = mapped_column("class", enum_type(BulletinClass))
    priority: Mapped[int]
    late_limit_seconds: Mapped[int]
    on_preempt: Mapped[OnPreempt] = mapped_column(enum_type(OnPreempt))
    volume: Mapped[int | None]
    relay_source_id: Mapped[int | None] = mapped_column(sa.ForeignKey(StreamSource.id))
    """Stream that is relayed; its addresses are those that it has when a programme is compiled."""
    relay_seconds: Mapped[int | None]
    title: Mapped[str]
    state: Mapped[OccurrenceState] = mapped_column(enum_type(OccurrenceState))
    cancel_reason: Mapped[str | None]
    scopes: Mapped[list[str]]
    """Documents that are to carry it: `area/{code}` or `device/{device_id}`."""
    carried_scopes: Mapped[list[str]]
    """Documents that carried it when they were last compiled."""
    reach: Mapped[str] = mapped_column(default="")
    """Digest of scopes and clusters: a change of topology that leaves it equal is none."""
    alert_mode: Mapped[AlertMode | None] = mapped_column(enum_type(AlertMode, "alert_mode"))
    """Of an alert, which documents `alerts` carry; None: it is an item of programmes."""
    live_key: Mapped[str | None]
    """Of live speech, which documents `live` carry: the key of its packets, 32 bytes in base64url;
    None of everything else."""
    dirty: Mapped[bool] = mapped_column(default=True)
    """Changed since its plays and documents were derived: the hand-off to the dispatcher."""

    @property
    def document_kind(self) -> str:
        """Kind of the documents that carry it."""
        if self.live_key is not None:
            return "live"
        return "programme" if self.alert_mode is None else "alerts"
