"""Occurrences as rows: materialised ahead from the rules, moved, left out and cancelled.

Everything here can be repeated. What changes is marked `dirty`; the dispatcher derives plays and
documents from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import CHANNEL
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.clock import LOCAL
from broadcast.schedules import recurrence, targets
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleException,
    ScheduleState,
)
from broadcast.schedules.recurrence import Planned, Rule

SLACK = timedelta(seconds=30)
"""Added to the latest end: pre-emption and decoding take a moment, and a late limit of nothing
must still let a bulletin end."""

WITHDRAWN = "withdrawn"
"""Cancelled because the schedule or the revision was withdrawn."""
NOT_SCHEDULED = "not_scheduled"
"""Cancelled because the schedule was changed, or this start left out."""


def occurrence_id(schedule_id: UUID, recurrence_at: datetime) -> UUID:
    """Name of an occurrence for ever, the same in every copy of the database."""
    return uuid5(schedule_id, recurrence_at.isoformat(timespec="seconds"))


def rule_of(schedule: Schedule) -> Rule | None:
    """The recurrence of a schedule."""
    return None if schedule.rrule is None else recurrence.parse(schedule.rrule, LOCAL)


async def exceptions_of(
    session: AsyncSession, schedule_id: UUID
) -> dict[datetime, datetime | None]:
    """Moved and left-out starts of a schedule."""
    rows = await session.execute(
        sa.select(ScheduleException.recurrence_at, ScheduleException.moved_to).where(
            ScheduleException.schedule_id == schedule_id
        )
    )
    return {row[0]: row[1] for row in rows}


async def wake(session: AsyncSession) -> None:
    """Tell the dispatcher, with the commit, that there is work."""
    await session.execute(sa.text(f"NOTIFY {CHANNEL}"))


async def materialise(
    session: AsyncSession,
    now: datetime,
    horizon: timedelta,
    schedule_ids: Collection[UUID] | None = None,
) -> int:
    """Make the rows of the coming occurrences say what the schedules say.

    1. Expand every active schedule from `now` to the horizon.
    2. Insert what is new; change what differs and has not started.
    3. Cancel coming rows that no schedule asks for any more, or whose revision is no longer
       approved.

    Args:
        session: Open transaction.
        now: What has started before stays as it is.
        horizon: How far ahead.
        schedule_ids: Only these; all by default.

    Returns:
        How many rows were inserted, changed or cancelled.
    """
    wanted = await _wanted(session, now, horizon, schedule_ids)
    coming = sa.select(Occurrence).where(Occurrence.starts_at >= now)
    if schedule_ids is not None:
        coming = coming.where(Occurrence.schedule_id.in_(schedule_ids))
    # Rows by id too: one that is moved to later may by its old time have passed the window.
    rows = {row.id: row for row in await session.scalars(coming.with_for_update())}
    named = wanted.keys() - rows.keys()
    for row in await session.scalars(
        sa.select(Occurrence).where(Occurrence.id.in_(named)).with_for_update()
    ):
        rows[row.id] = row
    count = 0
    for id_, values in wanted.items():
        known = rows.get(id_)
        if known is None:
            session.add(Occurrence(id=id_, carried_scopes=[], dirty=True, **values))
            count += 1
        elif known.starts_at >= now:
            count += _change(known, values)
    for id_, row in rows.items():
        if id_ not in wanted and row.state is OccurrenceState.PLANNED:
            row.state, row.cancel_reason, row.dirty = (
                OccurrenceState.CANCELLED,
                NOT_SCHEDULED,
                True,
            )
            count += 1
    await session.flush()
    if count:
        await wake(session)
    return count


async def cancel_coming(
    session: AsyncSession, schedule: Schedule, now: datetime, reason: str
) -> None:
    """Cancel every occurrence of a schedule that has not ended; what sounds is stopped too."""
    await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.schedule_id == schedule.id,
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=reason, dirty=True)
    )
    await wake(session)


async def cancel_unapproved(session: AsyncSession, now: datetime) -> int:
    """Cancel what would sound, or sounds, of a revision that is no longer approved."""
    result = await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
            ~sa.exists().where(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
                Revision.state == RevisionState.APPROVED,
            ),
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=WITHDRAWN, dirty=True)
        .returning(Occurrence.id)
    )
    return len(result.all())


def _change(row: Occurrence, values: Mapping[str, Any]) -> bool:
    differs = False
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            differs = True
    if differs:
        row.dirty = True
    return differs


async def _wanted(
    session: AsyncSession,
    now: datetime,
    horizon: timedelta,
    schedule_ids: Collection[UUID] | None,
) -> dict[UUID, dict[str, Any]]:
    statement = (
        sa.select(Schedule, Bulletin, Revision)
        .join(Bulletin, Bulletin.id == Schedule.bulletin_id)
        .join(
            Revision,
            sa.and_(
                Revision.bulletin_id == Schedule.bulletin_id,
                Revision.number == Schedule.bulletin_revision,
            ),
        )
        .where(Schedule.state == ScheduleState.ACTIVE, Revision.state == RevisionState.APPROVED)
    )
    if schedule_ids is not None:
        statement = statement.where(Schedule.id.in_(schedule_ids))
    wanted: dict[UUID, dict[str, Any]] = {}
    for schedule, bulletin, revision in (await session.execute(statement)).all():
        exceptions = await exceptions_of(session, schedule.id)
        starts = recurrence.occurrences_between(
            rule_of(schedule), schedule.starts_at, exceptions, now, now + horizon, LOCAL
        )
        scopes: dict[Any, list[str]] = {}
        for planned in starts:
            day = planned.starts_at.astimezone(LOCAL).date()
            if day not in scopes:
                resolved = await targets.resolve(
                    session, schedule.targets, schedule.targets_on, day
                )
                scopes[day] = [scope for scope in resolved.scopes if scope]
            wanted[occurrence_id(schedule.id, planned.recurrence_at)] = values_of(
                schedule, bulletin, revision, planned, scopes[day]
            )
    return wanted


def values_of(
    schedule: Schedule,
    bulletin: Bulletin,
    revision: Revision,
    planned: Planned,
    scopes: list[str],
) -> dict[str, Any]:
    """Columns of an occurrence that follow from its schedule."""
    latest = planned.starts_at + timedelta(seconds=schedule.late_limit_seconds)
    return {
        "schedule_id": schedule.id,
        "recurrence_at": planned.recurrence_at,
        "starts_at": planned.starts_at,
        "ends_by": latest + timedelta(seconds=revision.seconds) + SLACK,
        "bulletin_id": schedule.bulletin_id,
        "bulletin_revision": schedule.bulletin_revision,
        "class_": bulletin.class_,
        "priority": schedule.priority,
        "late_limit_seconds": schedule.late_limit_seconds,
        "on_preempt": schedule.on_preempt,
        "volume": schedule.volume,
        "title": schedule.title or bulletin.title,
        "state": OccurrenceState.PLANNED,
        "cancel_reason": None,
        "scopes": scopes,
    }
