"""What sounds already where a schedule is to sound, and what times are left."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime, time
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.schedules import allowed_hours, edits, free_times, targets
from broadcast.schedules.edits import Columns
from broadcast.schedules.expansion import DAY
from broadcast.schedules.free_times import Occupied
from broadcast.schedules.grid import Slot
from broadcast.schedules.model import Schedule
from broadcast.schedules.neighbours import Neighbours, neighbours
from broadcast.schedules.slots import slots_there, there_between
from broadcast.schedules.starts import rule_of


class FreeDay(NamedTuple):
    """One local day at some places."""

    day: date
    starts: list[datetime]
    """At which a sound of the length in question would meet nothing."""
    occupied: list[Slot]
    """What sounds there, by time."""


async def of_bulletin(
    session: AsyncSession,
    bulletin_id: UUID,
    columns: Columns,
    first_on: date,
    count: int,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> list[FreeDay]:
    """`free_days` of so many days for a bulletin that the caller may schedule there.

    Raises:
        BroadcastError: As `edits.draft`.
    """
    at = max(_midnight(first_on), now)
    wanted = {"starts_at": at, "late_limit_seconds": 0, **columns}
    schedule, revision = await edits.draft(
        session, bulletin_id, wanted, caller, now, approved=False
    )
    days = [at.astimezone(LOCAL).date() + step * DAY for step in range(count)]
    return await free_days(session, schedule, schedule.seconds_of(revision), days, rules, now)


async def free_days(
    session: AsyncSession,
    schedule: Schedule,
    seconds: float,
    days: Sequence[date],
    rules: Rules,
    now: datetime,
    others: Neighbours | None = None,
) -> list[FreeDay]:
    """What is free, and what is not, where a schedule reaches; its own starts do not count.

    Args:
        session: Open transaction.
        schedule: For its targets; need not be stored.
        seconds: Length of its sound.
        days: Local days, ascending.
        rules: Quiet hours.
        now: What has passed is not free.
        others: What `neighbours` gives, where it has been read.
    """
    found = free_by_day(session, schedule, seconds, days, rules, now, others)
    return [each async for each in found]


async def free_by_day(
    session: AsyncSession,
    schedule: Schedule,
    seconds: float,
    days: Sequence[date],
    rules: Rules,
    now: datetime,
    others: Neighbours | None = None,
) -> AsyncGenerator[FreeDay]:
    """As `free_days`, one after the other: a day that nobody asks for is not worked out."""
    if not days:
        return
    others = others or await neighbours(session)
    resolver = await targets.target_resolver(session)
    there = await there_between(
        resolver, schedule, others.readable, _midnight(days[0]), _midnight(days[-1] + DAY)
    )
    hours = await allowed_hours.hours_at(
        resolver, schedule.targets, schedule.targets_on, days[0], days[-1], rules
    )
    for day in days:
        taken = await slots_there(
            resolver, schedule, there, days[0], _midnight(day), _midnight(day + DAY)
        )
        spans = [Occupied(slot.starts_at, slot.ends_at) for slot in taken]
        free = free_times.free_starts(day, seconds, spans, hours, now, LOCAL)
        yield FreeDay(day, free, taken)


async def other_starts(
    session: AsyncSession,
    schedule: Schedule,
    seconds: float,
    starts: Sequence[datetime],
    count: int,
    rules: Rules,
    now: datetime,
    others: Neighbours | None = None,
) -> list[datetime]:
    """First starts that a schedule could have instead, nearest to the one it has.

    One that recurs keeps its days, and gets times that are free on all of these; one that does not
    goes to a later day of the week where its own is full.

    Args:
        session: Open transaction.
        schedule: For its rule and targets; need not be stored.
        seconds: Length of its sound.
        starts: Those that it comes to now, ascending.
        count: At most so many.
        rules: Quiet hours.
        now: Present.
        others: What `neighbours` gives, where it has been read.
    """
    rule = rule_of(schedule)
    wanted = schedule.starts_at.astimezone(LOCAL)
    if rule is None:
        week = [max(wanted, now.astimezone(LOCAL)).date() + step * DAY for step in range(7)]
        found: list[datetime] = []
        for each in await free_days(session, schedule, seconds, week, rules, now, others):
            at = datetime.combine(each.day, wanted.time(), LOCAL)
            found += free_times.nearest(each.starts, at, count - len(found))
        return found
    if rule.get("BYHOUR") or rule.get("BYMINUTE"):
        return []  # its times of day are not those of the first start
    days = sorted({at.astimezone(LOCAL).date() for at in starts})
    found_days = await free_days(session, schedule, seconds, days, rules, now, others)
    free = [each.starts for each in found_days]
    times = free_times.free_on_all(free, LOCAL)
    first = [datetime.combine(wanted.date(), at, LOCAL) for at in times]
    return free_times.nearest([at for at in first if at > now], wanted, count)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LOCAL)
