"""Free times: when a sound of some length would meet nothing, and keep quiet hours. Pure.

Offered to people who look for a time; what they choose is checked like any other
(`schedules.check`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from broadcast.kit.quiet import OFFSET
from broadcast.wire.documents import Hours
from broadcast.wire.hours import MOMENT, silent_spans

FIRST, LAST = time(4, 30), time(22)
"""Of a day of broadcasting: nothing is offered that begins earlier or ends later."""

STEP = timedelta(minutes=5)
"""Between two times that are offered, counted from `FIRST`."""


class Occupied(NamedTuple):
    """A stretch in which something sounds."""

    begins_at: datetime
    ends_at: datetime


def free_starts(
    day: date,
    seconds: float,
    occupied: Iterable[Occupied],
    hours: Sequence[Hours],
    now: datetime,
    zone: ZoneInfo,
) -> list[datetime]:
    """Starts on a day at which a sound meets nothing, ascending.

    Args:
        day: Local day.
        seconds: How long it sounds.
        occupied: What else sounds there, in any order.
        hours: When nothing may.
        now: What has passed is not offered.
        zone: Of the day.
    """
    length = timedelta(seconds=seconds)
    sound = max(length, MOMENT)
    begin, end = (datetime.combine(day, each, zone) for each in (FIRST, LAST))
    silent = silent_spans(hours, OFFSET, begin, end)
    taken = iter(_joined(occupied))
    next_ = next(taken, None)
    found = []
    for at in _grid(begin, end, length):
        while next_ is not None and next_.ends_at <= at:
            next_ = next(taken, None)
        is_free = next_ is None or next_.begins_at >= at + length
        is_silent = any(at < each.ends_at and at + sound > each.begins_at for each in silent)
        if at > now and is_free and not is_silent:
            found.append(at)
    return found


def _joined(occupied: Iterable[Occupied]) -> list[Occupied]:
    """Stretches that overlap as one, ascending; those that touch stay apart."""
    joined: list[Occupied] = []
    for each in sorted(occupied):
        if joined and each.begins_at < joined[-1].ends_at:
            last = joined.pop()
            joined.append(Occupied(last.begins_at, max(last.ends_at, each.ends_at)))
        else:
            joined.append(each)
    return joined


def free_on_all(days: Sequence[Sequence[datetime]], zone: ZoneInfo) -> list[time]:
    """Times of day that are free on each of these days, given the free starts of each."""
    if not days:
        return []
    times = [{at.astimezone(zone).time() for at in starts} for starts in days]
    return sorted(set.intersection(*times))


def nearest(free: Iterable[datetime], wanted: datetime, count: int) -> list[datetime]:
    """The free starts nearest to a wanted one, by time."""
    return sorted(sorted(free, key=lambda at: (abs(at - wanted), at))[:count])


def _grid(at: datetime, end: datetime, length: timedelta) -> Iterator[datetime]:
    while at + length <= end:
        yield at
        at += STEP
