"""How many items a programme would hold, and refusing a schedule that would overfill one.

A programme holds all that its scope hears from now to the end of the day that is `programme_span`
away, within the bounds of `broadcast.wire.limits`. It is fullest at midnight, when a new day
enters, so counting the starts of each local day tells exactly what any document will hold.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import recurrence, targets
from broadcast.schedules.model import Schedule
from broadcast.schedules.neighbours import neighbours
from broadcast.schedules.occurrences import (
    LONGEST,
    SLACK,
    Exceptions,
    starts_of,
)
from broadcast.schedules.rrule import Rule
from broadcast.schedules.targets import TargetResolver
from broadcast.wire.limits import ITEM_BYTES, ITEMS_BYTES, MOST_ITEMS

DAY = timedelta(days=1)

LOOK_AHEAD = timedelta(days=400)
"""Once round every rule but those of leap years. What comes later all the same, or by a merger of
areas, is left out of the programme, lowest priority first, and said."""


class _Sounding(NamedTuple):
    """A schedule with what its items take."""

    schedule: Schedule
    rule: Rule | None
    lasts: timedelta
    """From a start to the latest end."""
    exceptions: Exceptions
    size: int
    """Bytes of an item."""


async def refuse_overfull(
    session: AsyncSession, schedule: Schedule, rules: Rules, now: datetime
) -> None:
    """Refuse a stored schedule by which a programme would come to more than a document holds.

    The caller holds `planning.lock_schedule_grid`, so that two at once do not both find room.

    Raises:
        Conflict: With `scope`, `items`, `at_most`, and the first day on which it is too much.
    """
    resolver = await targets.target_resolver(session)
    days = _days_held(rules)
    until = now + LOOK_AHEAD
    scopes = await _scopes(resolver, schedule, now, until)
    sounding = await _sharing(session, resolver, scopes, now, until)
    most = [
        len(recurrence.times_of_day(each.rule, each.schedule.starts_at, LOCAL)) * (days + 1)
        + sum(moved is not None for moved in each.exceptions.values())
        for each in sounding
    ]
    size = sum(count * each.size for count, each in zip(most, sounding, strict=True))
    if sum(most) <= MOST_ITEMS and size <= ITEMS_BYTES:
        return
    held: dict[str, Held] = {scope: Held() for scope in sorted(scopes)}
    for each in sounding:
        await asyncio.sleep(0)  # thousands of starts: others have their turn
        for start in starts_of(each.schedule, each.exceptions, now - LONGEST, until):
            on = start.starts_at.astimezone(LOCAL).date()
            reached = await resolver.reach(each.schedule, on)
            for scope in scopes.intersection(reached.scopes):
                held[scope].add(start.starts_at, start.starts_at + each.lasts, each.size)
    for scope, there in held.items():
        for day, count, size in there.at_midnights(days):
            if count > MOST_ITEMS or size > ITEMS_BYTES:
                raise _overfull(scope, day, days, count)


class Held:
    """Items of one scope by local days, and what its programme holds at each midnight. Pure."""

    def __init__(self) -> None:
        self._begun: Counter[date] = Counter()
        self._lasting: Counter[date] = Counter()
        """Items that began the day before and last beyond the midnight."""
        self._begun_bytes: Counter[date] = Counter()
        self._lasting_bytes: Counter[date] = Counter()

    def add(self, starts_at: datetime, ends_by: datetime, size: int) -> None:
        """Add an item; it lasts less than a day."""
        on = starts_at.astimezone(LOCAL).date()
        self._begun[on] += 1
        self._begun_bytes[on] += size
        if ends_by > datetime.combine(on + DAY, time(), LOCAL):
            self._lasting[on + DAY] += 1
            self._lasting_bytes[on + DAY] += size

    def at_midnights(self, days: int) -> Iterator[tuple[date, int, int]]:
        """Days, and how many items and bytes a programme of so many days holds at their begin."""
        for day in sorted(self._begun.keys() | self._lasting.keys()):
            # It is fullest where it ends with a day that brings items, or begins with one.
            for first in {day, day - (days - 1) * DAY}:
                span = [first + number * DAY for number in range(days)]
                yield (
                    first,
                    self._lasting[first] + sum(self._begun[each] for each in span),
                    self._lasting_bytes[first] + sum(self._begun_bytes[each] for each in span),
                )


def _overfull(scope: str, day: date, days: int, count: int) -> Conflict:
    family, _, code = scope.partition("/")
    whose = f"địa bàn {code}" if family == "area" else f"thiết bị {code}"
    most = f"{MOST_ITEMS:,}".replace(",", ".")
    return Conflict(
        f"Chương trình của {whose} trong {days} ngày từ {day:%d/%m/%Y} sẽ có {count} lần phát;"
        f" thiết bị giữ được nhiều nhất {most} lần (8 MB). Hãy bớt giờ phát, hoặc thu hồi lịch"
        " khác của địa bàn đó.",
        scope=scope,
        items=count,
        at_most=MOST_ITEMS,
        day=day.isoformat(),
    )


def _days_held(rules: Rules) -> int:
    """Local days of which a programme holds something at midnight, when it is fullest."""
    return -(-rules.programme_span // DAY) + 1


async def _sharing(
    session: AsyncSession,
    resolver: TargetResolver,
    scopes: set[str],
    now: datetime,
    until: datetime,
) -> list[_Sounding]:
    """Schedules of which some programme of these scopes may hold items."""
    return [
        _Sounding(
            schedule,
            rule,
            timedelta(seconds=schedule.late_limit_seconds + seconds) + SLACK,
            exceptions,
            ITEM_BYTES + len(schedule.title.encode()),
        )
        for schedule, rule, seconds, exceptions in (await neighbours(session)).readable
        if not scopes.isdisjoint(await _scopes(resolver, schedule, now, until))
    ]


async def _scopes(
    resolver: TargetResolver, schedule: Schedule, now: datetime, until: datetime
) -> set[str]:
    """Documents that carry a schedule, on any of the days to come."""
    days = resolver.days_of_change(now.astimezone(LOCAL).date(), until.astimezone(LOCAL).date())
    found: set[str] = set()
    for day in days:
        resolved = await resolver.reach(schedule, day)
        found.update(resolved.scopes)
    return found
