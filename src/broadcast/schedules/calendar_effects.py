"""What marking days in a calendar would silence, or let sound, before it is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.calendars import marking
from broadcast.calendars.schemas import CalendarDayIn
from broadcast.kit.clock import LOCAL
from broadcast.schedules import targets
from broadcast.schedules.check import dry_run
from broadcast.schedules.expansion import DAY
from broadcast.schedules.findings import moment
from broadcast.schedules.grid import Slot
from broadcast.schedules.neighbours import Neighbour, neighbours
from broadcast.schedules.quota_check import begun_today, over_quota
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.starts import occurrence_id, starts_of
from broadcast.schedules.targets import TargetResolver

MOST_DAYS = 62
"""Days that are looked at, from the first to come."""


class Affected(NamedTuple):
    """A schedule of which some starts sound no more, or sound again."""

    schedule_id: UUID
    title: str
    silenced: list[datetime]
    """Starts that would be silent where they sound now, ascending."""
    sounding: list[datetime]
    """Starts that would sound where they are silent now, ascending."""


class Effect(NamedTuple):
    """What a marking comes to, over all schedules."""

    schedules: list[Affected]
    """By the first start that changes."""
    village_count: int
    """Villages that hear something else."""
    cluster_count: int
    summary: str


async def of_marking(
    session: AsyncSession, body: CalendarDayIn, id_: int | None, caller: Caller, now: datetime
) -> Effect:
    """What marking days, or changing what is marked, would come to; nothing is saved.

    Raises:
        BroadcastError: As `marking.mark` and `marking.change`.
    """
    spans = [(body.first_on, body.last_on)]
    if id_ is not None:
        was = await marking.show_day(session, id_)
        spans.append((was.first_on, was.last_on))
    return await compare(session, spans, marking.put(session, body, id_, caller, now), now)


async def of_removal(session: AsyncSession, id_: int, caller: Caller, now: datetime) -> Effect:
    """What removing a marking would come to; nothing is saved.

    Raises:
        BroadcastError: As `marking.remove`.
    """
    was = await marking.show_day(session, id_)
    spans = [(was.first_on, was.last_on)]
    async with scope.whole(session):  # as for a change, which this is: `remove` asks for its place
        return await compare(session, spans, marking.remove(session, id_, caller), now)


async def compare(
    session: AsyncSession,
    spans: Sequence[tuple[date, date]],
    change: Awaitable[object],
    now: datetime,
) -> Effect:
    """What a change would silence, or let sound, on days to come; it is rolled back.

    Args:
        session: Open transaction.
        spans: Days that are looked at, the first `MOST_DAYS` of them.
        change: The change.
        now: Present.
    """
    days = _coming(spans, now)
    others = (await neighbours(session)).readable
    resolver = await targets.target_resolver(session)
    before = await _heard(resolver, others, days, now)
    async with dry_run(session):
        await change
        changed = await targets.target_resolver(session)
        after = await _heard(changed, others, days, now)
    session.info.pop(TargetResolver, None)  # it has read what was rolled back
    found: list[Affected] = []
    clusters: set[int] = set()
    villages: set[str] = set()
    for each, had, has in zip(others, before, after, strict=True):
        silenced = [p for p in had if had[p] - has[p]]
        sounding = [p for p in had if has[p] - had[p]]
        if not silenced and not sounding:
            continue
        schedule = each.schedule
        title = schedule.title
        named = ([planned.starts_at for planned in some] for some in (silenced, sounding))
        found.append(Affected(schedule.id, title, *named))
        other = set().union(*(had[p] ^ has[p] for p in had))
        clusters |= other
        on = min(silenced + sounding).starts_at.astimezone(LOCAL).date()
        served = await resolver.villages(schedule.targets, schedule.targets_on, on)
        villages |= {code for code, serving in served.items() if serving & other}
    found.sort(key=lambda each: min(each.silenced + each.sounding))
    return Effect(
        found, len(villages), len(clusters), _summary(found, len(villages), len(clusters))
    )


async def _heard(
    resolver: TargetResolver, others: Sequence[Neighbour], days: Sequence[date], now: datetime
) -> list[dict[Planned, frozenset[int]]]:
    """Starts of each schedule on some days, with the clusters at which they sound.

    Where they are over quota they do not.
    """
    found = [await _starts(resolver, each, days, now) for each in others]
    if not any([await resolver.rules.limits(day) for day in days]):
        return found
    ids = [
        {occurrence_id(each.schedule.id, planned.recurrence_at): planned for planned in starts}
        for each, starts in zip(others, found, strict=True)
    ]
    slots = [
        Slot(
            id_, "", planned.starts_at, planned.starts_at + timedelta(seconds=each.seconds), 0,
            starts[planned],
        )
        for each, starts, named in zip(others, found, ids, strict=True)
        for id_, planned in named.items()
    ]  # fmt: skip
    over = await over_quota(resolver, [*await begun_today(resolver, now), *slots])
    for starts, named in zip(found, ids, strict=True):
        for id_ in named.keys() & over.keys():
            starts[named[id_]] -= over[id_]
    return found


async def _starts(
    resolver: TargetResolver, each: Neighbour, days: Sequence[date], now: datetime
) -> dict[Planned, frozenset[int]]:
    """Starts of a schedule on some days, with the clusters that each reaches."""
    await asyncio.sleep(0)  # thousands of schedules: others have their turn
    if not days:
        return {}
    begin = datetime.combine(days[0], time(), LOCAL)
    end = datetime.combine(days[-1] + DAY, time(), LOCAL)
    wanted = set(days)
    return {
        planned: (await resolver.reach_at(each.schedule, planned, each.seconds)).cluster_ids
        for planned in starts_of(each.schedule, each.exceptions, max(begin, now), end)
        if planned.starts_at.astimezone(LOCAL).date() in wanted
    }


def _coming(spans: Sequence[tuple[date, date]], now: datetime) -> list[date]:
    today = now.astimezone(LOCAL).date()
    days = {
        first + number * DAY
        for first, last in spans
        for number in range((last - first).days + 1)
        if first + number * DAY >= today
    }
    return sorted(days)[:MOST_DAYS]


def _summary(found: Sequence[Affected], villages: int, clusters: int) -> str:
    where = f"ở {villages} thôn ({clusters} cụm loa)"
    silenced = [at for each in found for at in each.silenced]
    sounding = [at for each in found for at in each.sounding]
    parts = []
    if silenced:
        first = moment(min(silenced))
        parts.append(f"{len(silenced)} buổi phát {where} sẽ im, sớm nhất {first}")
    if sounding:
        first = moment(min(sounding))
        parts.append(f"{len(sounding)} buổi phát {where} sẽ phát, sớm nhất {first}")
    return "; ".join(parts) + "." if parts else "Không buổi phát nào thay đổi."
