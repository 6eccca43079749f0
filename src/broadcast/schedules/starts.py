"""Starts of stored schedules: rule, exceptions, and the ids of what they come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Revision
from broadcast.kit.clock import LOCAL
from broadcast.schedules import recurrence, rrule
from broadcast.schedules.expansion import wall_time
from broadcast.schedules.model import (
    Schedule,
    ScheduleException,
)
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.rrule import Rule

SLACK = timedelta(seconds=30)
"""Added to the latest end: pre-emption and decoding take a moment, and a late limit of nothing
must still let a bulletin end."""


LONGEST = timedelta(hours=6)
"""No occurrence lasts longer from `starts_at` to `ends_by`: an hour of audio, an hour late, and
room for a change of either."""


Exceptions = dict[datetime, datetime | None]


@lru_cache(maxsize=8192)
def occurrence_id(schedule_id: UUID, recurrence_at: datetime) -> UUID:
    """Return the permanent id of an occurrence, the same in every copy of the database."""
    return uuid5(schedule_id, f"{recurrence_at.timestamp():.0f}")


def rule_of(schedule: Schedule) -> Rule | None:
    """Return the recurrence of a schedule, with its further dates."""
    rule = None if schedule.rrule is None else rrule.parse(schedule.rrule, LOCAL)
    if not schedule.dates:
        return rule
    return replace(rule or rrule.ONCE, dates=tuple(wall_time(at, LOCAL) for at in schedule.dates))


def written(rule: Rule | None) -> str | None:
    """Return a recurrence as the column of a schedule has it."""
    return (
        None if rule is None or (rule.dates and rule.without_dates() == rrule.ONCE) else str(rule)
    )


def of_revision() -> sa.ColumnElement[bool]:
    """Condition that joins a schedule with its revision."""
    return sa.and_(
        Revision.bulletin_id == Schedule.bulletin_id,
        Revision.number == Schedule.bulletin_revision,
    )


async def exceptions_of(
    session: AsyncSession, schedule_ids: Collection[UUID]
) -> dict[UUID, Exceptions]:
    """Return moved and cancelled (None) starts, by schedule."""
    found: defaultdict[UUID, Exceptions] = defaultdict(dict)
    for row in await session.scalars(
        sa.select(ScheduleException).where(ScheduleException.schedule_id.in_(schedule_ids))
    ):
        found[row.schedule_id][row.recurrence_at] = row.moved_to
    return found


def starts_of(
    schedule: Schedule, exceptions: Exceptions, begin: datetime, until: datetime
) -> list[Planned]:
    """Starts of a schedule in a span, and those that were moved beyond its end."""
    rule = rule_of(schedule)
    starts = recurrence.occurrences_between(
        rule, schedule.starts_at, exceptions, begin, until, LOCAL
    )
    later = (
        Planned(at, moved_to)
        for at, moved_to in exceptions.items()
        if moved_to is not None
        and moved_to >= until
        and recurrence.fires(rule, schedule.starts_at, at, LOCAL)
    )
    return [*starts, *sorted(later, key=lambda each: each.starts_at)]
