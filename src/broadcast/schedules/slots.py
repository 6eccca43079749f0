"""Slots of the grid: starts of a schedule at the clusters that they reach, and those around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from broadcast.kit.clock import LOCAL
from broadcast.schedules import grid, recurrence
from broadcast.schedules.grid import Slot
from broadcast.schedules.model import Schedule
from broadcast.schedules.neighbours import Neighbour
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.starts import LONGEST, occurrence_id, starts_of
from broadcast.schedules.targets import TargetResolver


async def slots_of(
    resolver: TargetResolver, schedule: Schedule, seconds: float, starts: Iterable[Planned]
) -> list[Slot]:
    """Return the slots of a schedule's starts."""
    length = timedelta(seconds=seconds)
    return [
        Slot(
            occurrence_id(schedule.id, planned.recurrence_at),
            schedule.title,
            planned.starts_at,
            planned.starts_at + length,
            schedule.priority,
            (await resolver.reach_at(schedule, planned, seconds)).cluster_ids,
        )
        for planned in starts
    ]


async def slots_around(
    resolver: TargetResolver,
    slots: Sequence[Slot],
    schedule: Schedule,
    neighbours: Iterable[Neighbour],
) -> list[Slot]:
    """Return slots of other schedules around these, at clusters that they share.

    Derived from the rules, not of the rows: those end at the horizon.
    """
    if not slots:
        return []
    mine = frozenset().union(*(slot.cluster_ids for slot in slots))
    length = (slots[0].ends_at - slots[0].starts_at).total_seconds()
    times = sorted({slot.starts_at.astimezone(LOCAL).time() for slot in slots})
    found: list[Slot] = []
    on = slots[0].starts_at.astimezone(LOCAL).date()
    for each in neighbours:
        other, rule, seconds, exceptions = each
        begin, end = slots[0].starts_at - timedelta(seconds=seconds), slots[-1].ends_at
        if other.id == schedule.id or not _may_sound(each, slots[0].starts_at, end):
            continue
        theirs = recurrence.times_of_day(rule, other.starts_at, LOCAL)
        moved = any(exceptions.values())
        if not moved and not grid.may_meet(times, length, theirs, seconds):
            continue
        if not mine.isdisjoint((await resolver.reach(other, on)).cluster_ids):
            starts = starts_of(other, exceptions, begin, end)
            found += await slots_of(resolver, other, seconds, starts)
    return found


async def slots_between(
    resolver: TargetResolver,
    schedule: Schedule,
    neighbours: Iterable[Neighbour],
    begin: datetime,
    end: datetime,
) -> list[Slot]:
    """Return what else sounds in a span where a schedule reaches on the first day of it."""
    on = begin.astimezone(LOCAL).date()
    there = await there_between(resolver, schedule, neighbours, begin, end)
    return await slots_there(resolver, schedule, there, on, begin, end)


async def there_between(
    resolver: TargetResolver,
    schedule: Schedule,
    neighbours: Iterable[Neighbour],
    begin: datetime,
    end: datetime,
) -> list[Neighbour]:
    """Return the neighbours that may sound in a span where a schedule reaches on its first day."""
    on = begin.astimezone(LOCAL).date()
    mine = (await resolver.reach(schedule, on)).cluster_ids
    return [
        each
        for each in neighbours
        if each.schedule.id != schedule.id
        and _may_sound(each, begin, end)
        and not mine.isdisjoint((await resolver.reach(each.schedule, on)).cluster_ids)
    ]


def _may_sound(each: Neighbour, begin: datetime, end: datetime) -> bool:
    """Tell whether one may sound in a span; certain of a single start, which most have."""
    if each.rule is not None or each.exceptions:
        return True
    return begin - timedelta(seconds=each.seconds) < each.schedule.starts_at < end


async def slots_there(
    resolver: TargetResolver,
    schedule: Schedule,
    neighbours: Iterable[Neighbour],
    on: date,
    begin: datetime,
    end: datetime,
) -> list[Slot]:
    """Return what neighbours sound in a span where a schedule reaches on a day, by time."""
    mine = (await resolver.reach(schedule, on)).cluster_ids
    found: list[Slot] = []
    for other, _, seconds, exceptions in neighbours:
        starts = starts_of(other, exceptions, begin - LONGEST, end)
        sounding = [at for at in starts if at.starts_at + timedelta(seconds=seconds) > begin]
        found += await slots_of(
            resolver, other, seconds, (at for at in sounding if at.starts_at < end)
        )
    found = [slot for slot in found if not mine.isdisjoint(slot.cluster_ids)]
    return sorted(found, key=lambda slot: (slot.starts_at, slot.title))
