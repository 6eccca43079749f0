"""Expansion of rules (RFC 5545) in the province's wall time, converted to UTC.

Pure and bounded: periods are walked up to the end of the window and no further. (dateutil looks at
its own bound only when a rule fires; one that never does keeps it busy until the year 9999.)

Rules are expanded as local wall time and only then converted, so that Monday 05:00 is a Monday
although UTC still writes Sunday. In a zone with daylight saving a time that does not exist is read
with the offset before the gap, and one that exists twice is the first (RFC 5545 §3.3.5); the
province's own zone has neither.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from itertools import groupby, islice
from zoneinfo import ZoneInfo

from broadcast.calendars.lunar import length_of_month, lunar
from broadcast.schedules.rrule import WEEKDAYS, Rule

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
LAST = time(23, 59, 59)
"""Of a day."""


def starts_between(
    rule: Rule | None, starts_at: datetime, after: datetime, before: datetime, zone: ZoneInfo
) -> set[datetime]:
    """Starts by the rule in a window; a set, because a gap can lay two of them on one instant."""
    if rule is None:
        return {starts_at} if after <= starts_at < before else set()
    # A day of margin, because wall time and UTC differ; the exact window is applied in UTC.
    walls = expand(
        rule,
        wall_time(starts_at, zone),
        wall_time(after, zone) - DAY,
        wall_time(before, zone) + DAY,
    )
    return {at for wall in walls if after <= (at := instant(wall, zone)) < before}


def expand(rule: Rule, start: datetime, after: datetime, until: datetime) -> Iterator[datetime]:
    """Wall times of a rule up to `until`, ascending; those before `after` may be left out."""
    if rule.dates:
        dates = sorted(at for at in rule.dates if after <= at <= until)
        walls = merge(_by_rule(rule, start, after, until), dates)
        return (wall for wall, _ in groupby(walls))
    return _by_rule(rule, start, after, until)


def _by_rule(rule: Rule, start: datetime, after: datetime, until: datetime) -> Iterator[datetime]:
    times, positions = times_of(rule, start.time()), rule.numbers("BYSETPOS")
    is_due, is_lunar_due = _day_filter(rule, start.date()), _lunar_filter(rule)
    until = min(until, rule.until or until)
    first = start if rule.count is not None else max(start, after)

    def walls() -> Iterator[datetime]:
        for days in _periods(rule, start.date(), first.date(), until.date()):
            due = [day for day in days if is_due(day) and is_lunar_due(day)]
            found = [datetime.combine(day, at) for day in due for at in times]
            if positions is not None:
                places = {p - 1 if p > 0 else len(found) + p for p in positions}
                found = [found[place] for place in sorted(places) if 0 <= place < len(found)]
            yield from (wall for wall in found if start <= wall <= until)

    return islice(walls(), rule.count)


def times_of(rule: Rule, start: time) -> list[time]:
    """Return the local times of a day at which it may fire, ascending."""
    hours = rule.numbers("BYHOUR") or [start.hour]
    minutes = rule.numbers("BYMINUTE") or [start.minute]
    return sorted({time(hour, minute, start.second) for hour in hours for minute in minutes})


def _periods(rule: Rule, start: date, after: date, until: date) -> Iterator[list[date]]:
    """Days of every `INTERVAL`-th day, week, month or year, from the one that holds `after`."""
    interval = int(rule.get("INTERVAL") or 1)
    frequency = rule.get("FREQ")
    if frequency in {"DAILY", "WEEKLY"}:
        length = 7 if frequency == "WEEKLY" else 1
        if frequency == "WEEKLY":
            start -= (start.weekday() - WEEKDAYS.index(rule.get("WKST") or "MO")) % 7 * DAY
        step = length * interval * DAY
        start += (after - start) // step * step
        offsets = [offset * DAY for offset in range(length)]
        while start <= until:
            yield [start + offset for offset in offsets]
            start += step
    else:
        months = 12 if frequency == "YEARLY" else 1
        begin = _month(start) // months * months
        begin += (_month(after) - begin) // (months * interval) * (months * interval)
        while begin <= _month(until):
            first, end = _first_of(begin), _first_of(begin + months)
            yield [first + offset * DAY for offset in range((end - first).days)]
            begin += months * interval


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


def _first_of(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _day_filter(rule: Rule, start: date) -> Callable[[date], bool]:
    """Return the filter of days that fire; the first start decides what the rule leaves open."""
    months, month_days = rule.numbers("BYMONTH"), rule.numbers("BYMONTHDAY")
    weekdays = [_weekday(text) for text in (rule.get("BYDAY") or "").split(",") if text]
    frequency = rule.get("FREQ")
    if not weekdays and not month_days:
        if frequency == "WEEKLY":
            weekdays = [(0, start.weekday())]
        elif frequency in {"MONTHLY", "YEARLY"}:
            month_days = [start.day]
            if frequency == "YEARLY":
                months = months or [start.month]
    within_month = frequency == "MONTHLY" or months is not None

    every = {weekday for number, weekday in weekdays if number == 0}
    some = {weekday for number, weekday in weekdays if number != 0}

    def is_numbered(day: date) -> bool:
        return any((number, day.weekday()) in weekdays for number in _numbers(day, within_month))

    def is_due(day: date) -> bool:
        if months is not None and day.month not in months:
            return False
        if month_days is not None:
            length = monthrange(day.year, day.month)[1]
            if day.day not in month_days and day.day - length - 1 not in month_days:
                return False
        return (
            not weekdays or day.weekday() in every or (day.weekday() in some and is_numbered(day))
        )

    return is_due


def _lunar_filter(rule: Rule) -> Callable[[date], bool]:
    """Return the filter of days of the lunar calendar, as far as the rule names any."""
    days, months = rule.numbers("BYLUNARDAY"), rule.numbers("BYLUNARMONTH")
    if days is None:
        return lambda day: True

    def is_due(day: date) -> bool:
        found = lunar(day)
        if months is not None and (found.is_leap or found.month not in months):
            return False
        return found.day in days or found.day - length_of_month(day) - 1 in days

    return is_due


def _weekday(text: str) -> tuple[int, int]:
    """Number and weekday of a `BYDAY` entry; number 0 for all of them."""
    return int(text[:-2] or 0), WEEKDAYS.index(text[-2:])


def _numbers(day: date, within_month: bool) -> tuple[int, int]:
    """Ordinal of its weekday in its month or year, from the start and the end."""
    if within_month:
        place, length = day.day, monthrange(day.year, day.month)[1]
    else:
        place, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    return (place - 1) // 7 + 1, -((length - place) // 7 + 1)


def wall_time(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time of an instant, without its zone."""
    return at.astimezone(zone).replace(tzinfo=None)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time, in UTC."""
    return wall.replace(tzinfo=zone).astimezone(UTC)
