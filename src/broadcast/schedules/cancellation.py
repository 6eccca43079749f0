"""Cancelling occurrences: one, all of a schedule or revision, or what is no longer approved.

The dispatcher derives plays and documents from what is marked `dirty` here.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.revisions import Key
from broadcast.kit.notify import Channel, notify
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleState,
)
from broadcast.schedules.starts import LONGEST, of_revision

log = structlog.get_logger()

WITHDRAWN = "withdrawn"
"""Cancelled because the schedule or the revision was withdrawn."""


CHANGED = "lịch phát đã đổi"
"""Cancelled because the schedule no longer comes to it."""


CANCELLED_SINGLY = "bỏ riêng buổi phát này"
"""Cancelled by itself."""


async def cancel_coming(
    session: AsyncSession, schedule: Schedule, now: datetime, reason: str
) -> None:
    """Cancel every occurrence of a schedule that has not ended; what sounds is stopped too."""
    await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.schedule_id == schedule.id,
            Occurrence.starts_at > now - LONGEST,
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=reason, dirty=True)
    )
    await notify(session, Channel.DISPATCH)


async def cancel_withdrawn(session: AsyncSession, now: datetime) -> int:
    """Cancel what is still planned of schedules that were withdrawn.

    A withdrawal does that itself; here it is made true again, whatever came in between
    (a restored backup, a correction by hand).

    Returns:
        How many occurrences were cancelled.
    """
    cancelled = await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.starts_at > now - LONGEST,
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
            sa.exists().where(
                Schedule.id == Occurrence.schedule_id, Schedule.state == ScheduleState.WITHDRAWN
            ),
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=WITHDRAWN, dirty=True)
        .returning(Occurrence.id)
    )
    count = len(cancelled.all())
    if count:
        log.warning("schedules.occurrences.withdrawn", count=count)
    return count


async def cancel_unapproved(session: AsyncSession, now: datetime) -> int:
    """Withdraw schedules whose revision is no longer approved, and stop what sounds of it.

    Returns:
        How many schedules were withdrawn.
    """
    disapproved = sa.select(Schedule).join(Revision, of_revision())
    schedules = list(
        await session.scalars(
            disapproved.where(
                Schedule.state == ScheduleState.ACTIVE, Revision.state != RevisionState.APPROVED
            ).with_for_update(of=Schedule)
        )
    )
    for schedule in schedules:
        schedule.state, schedule.changed_at = ScheduleState.WITHDRAWN, now
        await cancel_coming(session, schedule, now, WITHDRAWN)
        log.warning("schedules.schedule.withdrawn", schedule_id=str(schedule.id), by="approval")
    # What has started may be of a schedule that has ended, or of an earlier revision.
    await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.starts_at.between(now - LONGEST, now),
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
            sa.exists().where(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
                Revision.state != RevisionState.APPROVED,
            ),
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=WITHDRAWN, dirty=True)
    )
    return len(schedules)


async def cancel_one(session: AsyncSession, row: Occurrence) -> None:
    """Cancel an occurrence that this transaction has locked."""
    row.state, row.cancel_reason, row.dirty = (
        OccurrenceState.CANCELLED,
        CANCELLED_SINGLY,
        True,
    )
    await notify(session, Channel.DISPATCH)


def coming_of_revision(key: Key, now: datetime) -> sa.ColumnElement[bool]:
    """Condition of planned occurrences of a revision that have not ended."""
    return sa.and_(
        Occurrence.bulletin_id == key[0],
        Occurrence.bulletin_revision == key[1],
        Occurrence.state == OccurrenceState.PLANNED,
        Occurrence.starts_at > now - LONGEST,
        Occurrence.ends_by > now,
    )


async def cancel_revision(session: AsyncSession, key: Key, now: datetime) -> None:
    """Cancel every occurrence of a withdrawn revision that has not ended."""
    rows = sa.select(Occurrence.id).where(coming_of_revision(key, now)).order_by(Occurrence.id)
    ids = list(await session.scalars(rows.with_for_update()))
    await session.execute(
        sa.update(Occurrence)
        .where(Occurrence.id.in_(ids))
        .values(state=OccurrenceState.CANCELLED, cancel_reason=WITHDRAWN, dirty=True)
    )
    await notify(session, Channel.DISPATCH)
