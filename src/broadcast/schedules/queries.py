"""Schedules and occurrences as people look for them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Bulletin
from broadcast.kit.errors import NotFound
from broadcast.schedules.audience import audible_at_cluster, audible_in_area
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.stations.spans import days_of
from broadcast.web.rest import require_known


async def get_schedule(
    session: AsyncSession, schedule_id: UUID, *, lock: bool = False
) -> Schedule:
    """Return a schedule; `lock` holds its row until the end of the transaction.

    Raises:
        NotFound: There is none.
    """
    schedule = await session.get(Schedule, schedule_id, with_for_update=lock)
    if schedule is None:
        raise NotFound(f"Không có lịch phát {schedule_id}.")
    return schedule


async def get_occurrence(session: AsyncSession, occurrence_id: UUID) -> Occurrence:
    """Return an occurrence.

    Raises:
        NotFound: There is none.
    """
    row = await session.get(Occurrence, occurrence_id)
    if row is None:
        raise NotFound(f"Không có buổi phát {occurrence_id}.")
    return row


async def select_schedules(
    session: AsyncSession, state: ScheduleState | None, bulletin_id: UUID | None
) -> sa.Select[Schedule]:
    """Return the statement of the schedules that both filters leave.

    Raises:
        Unknown: There is no such bulletin.
    """
    statement = sa.select(Schedule)
    if state is None:
        statement = statement.where(
            Schedule.state.not_in([ScheduleState.ALERT, ScheduleState.LIVE])
        )
    else:
        statement = statement.where(Schedule.state == state)
    if bulletin_id is not None:
        await require_known(session, "bulletin", Bulletin.id, bulletin_id)
        statement = statement.where(Schedule.bulletin_id == bulletin_id)
    return statement


async def select_occurrences(
    session: AsyncSession,
    begin: datetime,
    end: datetime,
    *,
    schedule_id: UUID | None,
    area: str | None,
    cluster: str | None,
    state: OccurrenceState | None,
) -> sa.Select[Occurrence]:
    """Return the statement of the occurrences that start in a span and that all filters leave.

    Args:
        session: Open transaction.
        begin: Inclusive.
        end: Exclusive.
        schedule_id: Of this schedule.
        area: Code of an area where they are audible, whoever scheduled them.
        cluster: Code of a cluster where they are audible.
        state: In this state.

    Raises:
        Unknown: There is no such schedule or cluster.
        InvalidInput: The area is a unit on no day of the span.
    """
    statement = sa.select(Occurrence).where(
        Occurrence.starts_at >= begin, Occurrence.starts_at < end
    )
    if schedule_id is not None:
        await require_known(session, "schedule", Schedule.id, schedule_id)
        statement = statement.where(Occurrence.schedule_id == schedule_id)
    if state is not None:
        statement = statement.where(Occurrence.state == state)
    days = days_of(begin, end)
    if area is not None:
        statement = statement.where(await audible_in_area(session, area, days))
    if cluster is not None:
        statement = statement.where(await audible_at_cluster(session, cluster, days))
    return statement
