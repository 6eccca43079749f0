"""Clashes: two schedules of equal priority at one loudspeaker at once, years ahead.

The answer is the same whichever of the two is saved last: one span of days, from today, for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from heapq import merge
from typing import NamedTuple

from broadcast.kit.clock import LOCAL
from broadcast.schedules import grid, recurrence
from broadcast.schedules.expansion import DAY
from broadcast.schedules.grid import Outcome, Overlap, Slot
from broadcast.schedules.model import Schedule
from broadcast.schedules.neighbours import Neighbour
from broadcast.schedules.rrule import Rule
from broadcast.schedules.starts import Exceptions, occurrence_id, rule_of
from broadcast.schedules.targets import TargetResolver

DAYS = 3653
"""Ten years: twice round the leap years, and round any two rules whose intervals divide that.

A clash that is later still is reported by the daily check (`plays.clashes`)."""

LONGEST = timedelta(hours=3)
"""Nothing sounds longer: no audio, and no relay (`relays.LONGEST_SECONDS`)."""


class Series(NamedTuple):
    """The starts of one schedule."""

    schedule: Schedule
    rule: Rule | None
    seconds: float
    exceptions: Exceptions

    async def slots(self, resolver: TargetResolver, begin: datetime, end: datetime) -> list[Slot]:
        """Return the slots of its starts in a span."""
        starts = recurrence.occurrences_between(
            self.rule, self.schedule.starts_at, self.exceptions, begin, end, LOCAL
        )
        return [
            Slot(
                occurrence_id(self.schedule.id, each.recurrence_at),
                self.schedule.title,
                each.starts_at,
                each.starts_at + timedelta(seconds=self.seconds),
                self.schedule.priority,
                (await resolver.reach_at(self.schedule, each, self.seconds)).cluster_ids,
            )
            for each in starts
        ]

    def moved(self, now: datetime) -> set[date]:
        """Days to which starts were moved, as far as they are to come."""
        return {
            at.astimezone(LOCAL).date()
            for at in self.exceptions.values()
            if at is not None and at >= now
        }


def series(schedule: Schedule, seconds: float, exceptions: Exceptions) -> Series:
    """The starts of a schedule whose revision is so long."""
    return Series(schedule, rule_of(schedule), seconds, exceptions)


async def find(
    resolver: TargetResolver, mine: Series, neighbours: Iterable[Neighbour], now: datetime
) -> list[Overlap]:
    """The first clash with each other schedule, and those of starts that were moved with others.

    Args:
        resolver: Of this session.
        mine: The schedule that is to be saved; a stored state of it is not looked at.
        neighbours: All that is stored; only those of equal priority are looked at.
        now: Earlier starts are not looked at.
    """
    found = [await _clash(resolver, mine, mine, now)]
    for each in neighbours:
        if (
            each.schedule.priority != mine.schedule.priority
            or each.schedule.id == mine.schedule.id
        ):
            continue
        other = Series(*each)
        theirs = recurrence.times_of_day(other.rule, other.schedule.starts_at, LOCAL)
        times = recurrence.times_of_day(mine.rule, mine.schedule.starts_at, LOCAL)
        if (
            mine.moved(now)
            or other.moved(now)
            or grid.may_meet(times, mine.seconds, theirs, other.seconds)
        ):
            found.append(await _clash(resolver, mine, other, now))
    return [clash for clash in found if clash is not None]


async def _clash(
    resolver: TargetResolver, mine: Series, other: Series, now: datetime
) -> Overlap | None:
    """The first clash of two schedules; of one with itself, where starts were moved."""
    begun = (now, mine.schedule.starts_at, other.schedule.starts_at)
    # The day before, because what sounds may reach over midnight; from today on, so that the days
    # of a rule are worked out once, unless both begin so much later.
    first, later = (at.astimezone(LOCAL).date() - DAY for at in (now, max(begun)))
    if later > first + DAYS // 2 * DAY:
        first = later
    moved = _around(mine.moved(now) | other.moved(now))
    bits: int | None = None if other is not mine else 0
    for begin, end in resolver.periods(min([first, *moved])):
        ours, theirs = [await _reached(resolver, each, begin) for each in (mine, other)]
        if ours.isdisjoint(theirs):
            continue
        if bits is None:
            bits = meeting_days(mine, other, first)
        for day in merge(days_from(bits, first), sorted(moved)):
            if not begin <= day < end:
                continue
            midnight = datetime.combine(day, time(), LOCAL)
            new = await mine.slots(resolver, max(midnight, now), midnight + DAY)
            if not any(slot.cluster_ids for slot in new):
                continue
            others = await other.slots(resolver, midnight - LONGEST, midnight + DAY + LONGEST)
            for pair in grid.overlaps(new, others):
                if pair.outcome is Outcome.CLASH:
                    return pair
    return None


async def _reached(resolver: TargetResolver, each: Series, on: date) -> frozenset[int]:
    return (await resolver.reach(each.schedule, on)).cluster_ids


def meeting_days(mine: Series, other: Series, first: date) -> int:
    """Days on which a start by one rule overlaps one by the other, as bits from `first` on."""
    ours, theirs = (
        recurrence.days_by_time(each.rule, each.schedule.starts_at, first, DAYS, LOCAL)
        for each in (mine, other)
    )
    bits = 0
    for at, days in ours.items():
        for their, their_days in theirs.items():
            for later in (-1, 0, 1):
                gap = _seconds(their) - _seconds(at) + later * 86_400
                if -other.seconds < gap < mine.seconds:
                    bits |= days & (their_days >> 1 if later > 0 else their_days << -later)
    return bits


def days_from(bits: int, first: date) -> Iterator[date]:
    """The days of a set of bits, ascending."""
    while bits:
        lowest = bits & -bits
        yield first + (lowest.bit_length() - 1) * DAY
        bits ^= lowest


def _around(days: set[date]) -> set[date]:
    return {day + step * DAY for day in days for step in (-1, 0, 1)}


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second
