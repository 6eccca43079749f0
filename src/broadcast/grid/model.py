"""Sessions of a commune's programme grid, their items, and what found no room."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.grid.planner import Kind, Reason
from broadcast.kit.db import Base, enum_type


class AirSession(Base):
    """A session: on which days it begins, how long it is, for whom."""

    __tablename__ = "air_sessions"
    __table_args__ = (sa.CheckConstraint("seconds > 0", name="length"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    area_code: Mapped[str] = mapped_column(index=True)
    """Unit whose station broadcasts it."""
    name: Mapped[str]
    starts_at: Mapped[datetime]
    """First begin; the recurrence counts from its local wall time."""
    rrule: Mapped[str]
    """RFC 5545 recurrence rule without DTSTART; one begin a day."""
    seconds: Mapped[int]
    """Length, up to which items find room."""
    may_overrun: Mapped[bool]
    except_on: Mapped[list[str]] = mapped_column(
        ARRAY(sa.Text()), default=list, server_default="{}"
    )
    """As `Schedule.except_on`."""
    skipped_on: Mapped[list[date]] = mapped_column(
        ARRAY(sa.Date()), default=list, server_default="{}"
    )
    """Days on which it is left out as a whole."""
    targets: Mapped[list[dict[str, Any]]]
    """As `Schedule.targets`, within the unit."""
    targets_on: Mapped[date]
    created_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """Since when it is no more; its schedules are withdrawn."""


class AirItem(Base):
    """An item of a session; its schedule, which the session owns, says what sounds."""

    __tablename__ = "air_items"
    __table_args__ = (
        sa.CheckConstraint("last_on IS NULL OR last_on >= first_on", name="span"),
        sa.CheckConstraint("relay_at IS NULL OR kind = 'relay'", name="relay"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(sa.ForeignKey(AirSession.id), index=True)
    position: Mapped[int]
    """Order within the session."""
    kind: Mapped[Kind] = mapped_column(enum_type(Kind))
    schedule_id: Mapped[UUID] = mapped_column(sa.ForeignKey("schedules.id"), unique=True)
    first_on: Mapped[date]
    last_on: Mapped[date | None]
    """Last day, inclusive; None: every day of the session."""
    relay_at: Mapped[time | None]
    """Local wall time at which a stream is relayed, for `Schedule.relay_seconds`; None: it is a
    bulletin."""


class AirDrop(Base):
    """An item that found no room in the session of a day."""

    __tablename__ = "air_drops"
    is_recorded = False

    item_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey(AirItem.id, ondelete="CASCADE"), primary_key=True
    )
    on: Mapped[date] = mapped_column(primary_key=True)
    reason: Mapped[Reason] = mapped_column(enum_type(Reason))
