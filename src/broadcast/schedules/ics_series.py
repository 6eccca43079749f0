"""What is still to come of an event of somebody else's calendar. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from broadcast.schedules import recurrence, rrule, rule_edits
from broadcast.schedules.expansion import DAY, SECOND, instant, wall_time
from broadcast.schedules.ics_reading import Event
from broadcast.schedules.rrule import Rule

AHEAD = timedelta(days=366)
"""How far ahead whole days that recur are marked, and two schedules are compared."""

Excepted = Mapping[datetime, datetime | None]


@dataclass(frozen=True)
class Series:
    """How an event recurs from now on."""

    starts_at: datetime
    rule: Rule | None
    zone: ZoneInfo

    def fires(self, at: datetime) -> bool:
        """Tell whether a moment is one of its starts."""
        return recurrence.fires(self.rule, self.starts_at, at, self.zone)

    def starts(self, excepted: Excepted, begin: datetime, until: datetime) -> set[datetime]:
        """When it sounds from `begin` on, with all that was moved beyond `until`."""
        planned = recurrence.occurrences_between(
            self.rule, self.starts_at, excepted, begin, until, self.zone
        )
        late = {
            to for at, to in excepted.items() if to is not None and to >= until and self.fires(at)
        }
        return {each.starts_at for each in planned} | late

    def first(self, excepted: Excepted) -> datetime:
        """When it sounds first, `starts_at` where nothing is left within a year."""
        found = self.starts(excepted, self.starts_at, self.starts_at + AHEAD)
        return min(found, default=self.starts_at)


def coming(event: Event, now: datetime, zone: ZoneInfo) -> Series | None:
    """What of an event is still to come; None where nothing is."""
    starts_at, rule = event.starts_at, event.rule
    assert isinstance(starts_at, datetime)
    further = sorted({at for at in event.dates if isinstance(at, datetime)} - {starts_at})
    if further:
        walls = tuple(wall_time(at, zone) for at in further)
        rule = replace(rule or rrule.ONCE, dates=walls)
    cut = recurrence.first_after(rule, starts_at, now + SECOND, zone)
    if cut is None:
        return None
    if starts_at > now or rule is None:
        return Series(starts_at, rule, zone)
    begins = recurrence.first_after(rule.without_dates(), starts_at, cut, zone)
    _, left_of = rule_edits.split(rule, starts_at, cut, zone)
    if begins is not None:
        return Series(begins, left_of, zone)
    only = [instant(at, zone) for at in left_of.dates]
    left = tuple(wall_time(at, zone) for at in only[1:])
    return Series(only[0], replace(rrule.ONCE, dates=left) if left else None, zone)


def left_out(event: Event, series: Series) -> list[datetime]:
    """Starts that EXDATE names: each by its moment, or all of a day."""
    found = []
    for each in event.left_out:
        if isinstance(each, datetime):
            if series.fires(each):
                found.append(each)
            continue
        begin = datetime.combine(each, time(), series.zone)
        found += series.starts({}, begin, begin + DAY)
    return [at for at in found if at >= series.starts_at]


def days_of(event: Event, today: date, zone: ZoneInfo) -> list[date]:
    """First days of an event of whole days, within a year."""
    begin = datetime.combine(event.starts_at, time(), zone)
    further = {each for each in event.dates if not isinstance(each, datetime)}
    days = {event.starts_at} | further
    if event.rule is not None:
        since = max(begin, datetime.combine(today - timedelta(days=31), time(), zone))
        days = further | {
            each.starts_at.astimezone(zone).date()
            for each in recurrence.occurrences_between(
                event.rule, begin, {}, since, since + AHEAD, zone
            )
        }
    left_out = {
        each.astimezone(zone).date() if isinstance(each, datetime) else each
        for each in event.left_out
    }
    return sorted(days - left_out)
