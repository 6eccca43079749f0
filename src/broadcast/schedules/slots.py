"""Slots of the grid: starts of a schedule at the clusters that they reach, and those around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

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
    for other, rule, seconds, exceptions in neighbours:
        on = slots[0].starts_at.astimezone(LOCAL).date()
        reached = (await resolver.reach(other, on)).cluster_ids
        if other.id == schedule.id or mine.isdisjoint(reached):
            continue
        theirs = recurrence.times_of_day(rule, other.starts_at, LOCAL)
        moved = any(exceptions.values())
        if moved or grid.may_meet(times, length, theirs, seconds):
            begin = slots[0].starts_at - timedelta(seconds=seconds)
            starts = starts_of(other, exceptions, begin, slots[-1].ends_at)
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
    mine = (await resolver.reach(schedule, on)).cluster_ids
    found: list[Slot] = []
    for other, _, seconds, exceptions in neighbours:
        if other.id == schedule.id:
            continue
        if mine.isdisjoint((await resolver.reach(other, on)).cluster_ids):
            continue
        starts = starts_of(other, exceptions, begin - LONGEST, end)
        sounding = [at for at in starts if at.starts_at + timedelta(seconds=seconds) > begin]
        found += await slots_of(
            resolver, other, seconds, (at for at in sounding if at.starts_at < end)
        )
    found = [slot for slot in found if not mine.isdisjoint(slot.cluster_ids)]
    return sorted(found, key=lambda slot: (slot.starts_at, slot.title))
