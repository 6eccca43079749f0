"""Days that people have marked in the calendar of a unit; those of the law are computed."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.auth.model import Account
from broadcast.calendars.days import Kind
from broadcast.kit.db import Base, enum_type


class CalendarDay(Base):
    """Days of one kind in a unit, by which document."""

    __tablename__ = "calendar_days"
    __table_args__ = (
        sa.CheckConstraint("last_on >= first_on", name="span"),
        sa.CheckConstraint(
            "(from_time IS NULL) = (until_time IS NULL) AND from_time < until_time", name="hours"
        ),
        sa.CheckConstraint("from_time IS NULL OR kind = 'exam'", name="exam_hours"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    kind: Mapped[Kind] = mapped_column(enum_type(Kind))
    name: Mapped[str]
    """Of `own`: the calendar that schedules follow."""
    area_code: Mapped[str] = mapped_column(index=True)
    """As it is a unit on the first day."""
    first_on: Mapped[date]
    last_on: Mapped[date]
    """Last day, inclusive."""
    from_time: Mapped[str | None]
    """Of an exam: begin (HH:MM) of the hours that are silent each day; None is the whole day."""
    until_time: Mapped[str | None]
    clusters: Mapped[list[str]] = mapped_column(ARRAY(sa.Text()), server_default="{}")
    """Codes of the clusters that it is for; none: all of the unit."""
    document: Mapped[str] = mapped_column(default="")
    entered_by: Mapped[int] = mapped_column(sa.ForeignKey(Account.id))
    entered_at: Mapped[datetime]
