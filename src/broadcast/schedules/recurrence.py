"""Starts of a schedule by its rule (RFC 5545) and its exceptions, dated in UTC. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from broadcast.schedules.expansion import (
    DAY,
    LAST,
    SECOND,
    expand,
    instant,
    starts_between,
    times_of,
    wall_time,
)
from broadcast.schedules.rrule import Rule, invalid

MOST_PER_DAY = 24
"""Starts of one schedule in a day. More is no programme but a siren."""

LOOK_AHEAD = timedelta(days=10 * 366)
"""A rule that does not fire within this time never does: 29 February comes every eight years at
the latest."""


class Planned(NamedTuple):
    """One start of a schedule."""

    recurrence_at: datetime
    """Start by the rule; names the occurrence permanently."""
    starts_at: datetime
    """Time of its sound; differs once it was moved."""


def check(rule: Rule, starts_at: datetime, seconds: float, zone: ZoneInfo) -> None:
    """Refuse a rule that fires too often for a bulletin of this length, or never.

    Raises:
        InvalidInput: It does.
    """
    times = times_of_day(rule.without_dates(), starts_at, zone)
    if len(times) > MOST_PER_DAY:
        raise invalid(f"{len(times)} lần mỗi ngày; nhiều nhất {MOST_PER_DAY} lần")
    moments = [datetime.combine(date(2000, 1, 1), each) for each in times]
    gap = min(later - earlier for earlier, later in pairwise([*moments, moments[0] + DAY]))
    if gap < timedelta(seconds=seconds):
        raise invalid(
            f"hai lần liền nhau cách {_minutes(gap)} phút, ngắn hơn bản tin "
            f"({_minutes(timedelta(seconds=seconds))} phút); hãy giãn ra"
        )
    is_over = rule.until is not None and rule.until < wall_time(starts_at, zone)
    if is_over and not rule.dates:
        raise invalid("UNTIL trước buổi phát đầu tiên, nên không phát lần nào")
    if first_after(rule, starts_at, starts_at, zone) is None:
        raise invalid("không bao giờ phát trong 10 năm tới; kiểm tra lại ngày và tháng")


def times_of_day(rule: Rule | None, starts_at: datetime, zone: ZoneInfo) -> list[time]:
    """Local times at which it may fire, ascending: by the rule every day, by its dates on some."""
    return [*_times_of_day(rule, starts_at, zone)]


@lru_cache(maxsize=4096)
def _times_of_day(rule: Rule | None, starts_at: datetime, zone: ZoneInfo) -> tuple[time, ...]:
    start = wall_time(starts_at, zone).time()
    if rule is None:
        return (start,)
    return tuple(sorted({*times_of(rule, start), *(at.time() for at in rule.dates)}))


def occurrences_between(
    rule: Rule | None,
    starts_at: datetime,
    exceptions: Mapping[datetime, datetime | None],
    after: datetime,
    before: datetime,
    zone: ZoneInfo,
) -> list[Planned]:
    """Starts from `after` (inclusive) to `before` (exclusive), in order of sounding.

    Args:
        rule: Recurrence; None for the single start `starts_at`.
        starts_at: First possible start; the rule counts from its wall time in `zone`. It sounds
            then only if the rule says so.
        exceptions: By `recurrence_at`: moved to another time, or left out (None).
        after: Begin of the window that `Planned.starts_at` lies in.
        before: End of that window.
        zone: Where the rule's wall times are.
    """
    regular = {
        at for at in starts_between(rule, starts_at, after, before, zone) if at not in exceptions
    }
    planned = [Planned(at, at) for at in regular]
    for recurrence_at, moved_to in exceptions.items():
        if (
            moved_to is not None
            and after <= moved_to < before
            and fires(rule, starts_at, recurrence_at, zone)
        ):
            planned.append(Planned(recurrence_at, moved_to))
    return sorted(planned, key=lambda each: (each.starts_at, each.recurrence_at))


@lru_cache(maxsize=4096)
def days_by_time(
    rule: Rule | None, starts_at: datetime, first: date, count: int, zone: ZoneInfo
) -> Mapping[time, int]:
    """On which of `count` days from `first` on it fires at each time of day, as bits.

    Cached, because each schedule that is saved is compared with the same others.
    """
    if rule is None:
        walls = iter([wall_time(starts_at, zone)])
    else:
        last = datetime.combine(first + (count - 1) * DAY, LAST)
        begin = datetime.combine(first, time.min)
        walls = expand(rule, wall_time(starts_at, zone), begin, last)
    days: dict[time, bytearray] = {}
    for wall in walls:
        number = (wall.date() - first).days
        if 0 <= number < count:
            days.setdefault(wall.time(), bytearray(count // 8 + 1))[number // 8] |= 1 << number % 8
    return {at: int.from_bytes(bits, "little") for at, bits in days.items()}


def first_after(
    rule: Rule | None, starts_at: datetime, after: datetime, zone: ZoneInfo
) -> datetime | None:
    """First start by the rule at or after a moment; None when there is none in `LOOK_AHEAD`."""
    if rule is None:
        return starts_at if starts_at >= after else None
    end = max([wall_time(max(starts_at, after) + LOOK_AHEAD, zone), *rule.dates])
    for wall in expand(rule, wall_time(starts_at, zone), wall_time(after, zone), end):
        at = instant(wall, zone)
        if at >= after:
            return at
    return None


def fires(rule: Rule | None, starts_at: datetime, at: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a moment is a start by the rule."""
    return at in starts_between(rule, starts_at, at, at + SECOND, zone)


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):.3g}"
