"""What quiet hours would silence, before anybody sets them."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Revision
from broadcast.kit.quiet import OFFSET, daily
from broadcast.kit.times import Moment
from broadcast.schedules import queries
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.schemas import OccurrenceOut
from broadcast.web.fields import example
from broadcast.wire.hours import silent_window

AHEAD = timedelta(days=7)
"""As far as devices hold programmes."""

LISTED = 100
"""Starts that are listed; all are counted."""


class SilencedOut(BaseModel):
    """Starts of the coming week that would not sound, because they reach into some hours."""

    model_config = example(
        opens="21:30", closes="05:15", until="2025-07-08T08:00:00+07:00", count=0, listed=[]
    )

    opens: str
    closes: str
    until: Moment
    """What starts later is not looked at."""
    count: int
    listed: list[OccurrenceOut] = Field(description="sớm nhất trước, nhiều nhất 100")


async def silenced(
    session: AsyncSession, opens: time, closes: time, area: str | None, now: datetime
) -> SilencedOut:
    """Starts of a week that would reach into quiet hours.

    Args:
        session: Open transaction.
        opens: Local time from which it is to be quiet.
        closes: Until when; not after `opens`: of the next day.
        area: Only what is heard in this unit; None: all that the caller may see.
        now: Present.

    Raises:
        InvalidInput: There is no such unit.
    """
    until, hours = now + AHEAD, daily([(opens, closes)])
    coming = await queries.select_occurrences(
        session, now, until, schedule_id=None, area=area, cluster=None,
        state=OccurrenceState.PLANNED,
    )  # fmt: skip
    rows = await session.execute(
        coming.add_columns(sa.func.coalesce(Occurrence.relay_seconds, Revision.air_seconds_sql()))
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
            ),
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    found = [
        row
        for row, seconds in rows
        if silent_window(hours, OFFSET, row.starts_at, seconds or 0) is not None
    ]
    return SilencedOut(
        opens=f"{opens:%H:%M}",
        closes=f"{closes:%H:%M}",
        until=until,
        count=len(found),
        listed=[OccurrenceOut.of(row) for row in found[:LISTED]],
    )
