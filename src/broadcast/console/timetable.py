"""Occurrences laid out on a sheet: hours down, days across; and rules as a form has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from broadcast.calendars.lunar import lunar
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.plays.soundings import Sounding
from broadcast.schedules.rrule import WEEKDAYS, Rule

T = TypeVar("T")

FIRST_HOUR, LAST_HOUR = 4, 21
"""Rows that are always there: loudspeakers sound from 04:30 to 22:00."""

DAY = timedelta(days=1)


class View(StrEnum):
    """How much of the calendar is shown."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def days_of(view: View, on: date) -> list[date]:
    """Days that a view shows: the day, its week from Monday, or the whole weeks of its month.

    >>> [str(day) for day in days_of(View.WEEK, date(2026, 12, 2))][::6]
    ['2026-11-30', '2026-12-06']
    """
    if view is View.DAY:
        return [on]
    first = on - on.weekday() * DAY
    if view is View.WEEK:
        return [first + number * DAY for number in range(7)]
    begin = on.replace(day=1)
    first = begin - begin.weekday() * DAY
    end = (begin + 32 * DAY).replace(day=1)
    count = -(-(end - first).days // 7) * 7
    return [first + number * DAY for number in range(count)]


def neighbour(view: View, on: date, step: int) -> date:
    """The day to show for the view before (-1) or after (1)."""
    if view is not View.MONTH:
        return on + step * (7 if view is View.WEEK else 1) * DAY
    return (on.replace(day=15) + step * 30 * DAY).replace(day=1)


class Proof(NamedTuple):
    """What is known of how an occurrence sounded, at a glance."""

    kind: str
    """`ok`, `partial`, `bad`, `unknown`; or `waiting` while it is not over everywhere."""
    sounded: int
    """Clusters at which it sounded to its end."""
    expected: int


def proof_of(counts: Mapping[Sounding, int], expected: int) -> Proof:
    """Proof of an occurrence that has begun, from its clusters by what was heard."""
    sounded = counts.get(Sounding.SOUNDED, 0)
    if counts.get(Sounding.WAITING, 0) or counts.get(Sounding.PLAYING, 0):
        kind = "waiting"
    elif counts.get(Sounding.SILENT, 0) or counts.get(Sounding.PARTLY, 0):
        kind = "partial" if sounded or counts.get(Sounding.PARTLY, 0) else "bad"
    else:
        kind = "ok" if expected and sounded == expected else "unknown"
    return Proof(kind, sounded, expected)


class Cell(NamedTuple, Generic[T]):
    """One hour of one day."""

    day: date
    hour: int
    blocks: list[T]


class Row(NamedTuple, Generic[T]):
    """One hour of all days."""

    hour: int
    cells: list[Cell[T]]


def sheet(blocks: Iterable[tuple[datetime, T]], days: Sequence[date]) -> list[Row[T]]:
    """Rows of the hours, each with a cell a day; what begins in an hour is in its cell, by time.

    Hours outside of those of broadcasting have a row only where something begins.
    """
    cells: dict[tuple[date, int], list[T]] = {}
    for at, block in sorted(blocks, key=lambda each: each[0]):
        local = at.astimezone(LOCAL)
        cells.setdefault((local.date(), local.hour), []).append(block)
    hours = set(range(FIRST_HOUR, LAST_HOUR + 1)) | {hour for day, hour in cells if day in days}
    return [
        Row(hour, [Cell(day, hour, cells.get((day, hour), [])) for day in days])
        for hour in sorted(hours)
    ]


LUNAR_DAYS = "1,15"
"""Mồng một and rằm."""


class Repeat(StrEnum):
    """How often, as a form asks it."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    LUNAR = "lunar"
    """On the first and the fifteenth of each lunar month."""
    KEPT = "kept"
    """By a rule that the form has no words for; it stays as it is."""


class Recurrence(NamedTuple):
    """A rule as a form has it."""

    repeat: Repeat
    weekdays: tuple[str, ...] = ()
    until: date | None = None


def recurrence_of(rule: Rule | None, starts_at: datetime) -> Recurrence:
    """A stored rule as the form shows it."""
    if rule is None:
        return Recurrence(Repeat.ONCE)
    until = None if rule.until is None else rule.until.date()
    if rule.until is not None and rule.until.time() < starts_at.astimezone(LOCAL).time():
        until = rule.until.date() - DAY  # nothing sounds any more on the day of UNTIL
    parts = dict(rule.parts)
    if parts == {"FREQ": "DAILY", "BYLUNARDAY": LUNAR_DAYS} and rule.count is None:
        return Recurrence(Repeat.LUNAR, until=until)
    frequency, days = parts.pop("FREQ"), parts.pop("BYDAY", "")
    if parts.pop("INTERVAL", "1") != "1" or parts or rule.count is not None:
        return Recurrence(Repeat.KEPT, until=until)
    chosen = tuple(each for each in days.split(",") if each)
    if frequency == "DAILY" and not chosen:
        return Recurrence(Repeat.DAILY, until=until)
    if frequency == "WEEKLY" and set(chosen) <= set(WEEKDAYS):
        first = WEEKDAYS[starts_at.astimezone(LOCAL).weekday()]
        return Recurrence(Repeat.WEEKLY, chosen or (first,), until)
    return Recurrence(Repeat.KEPT, until=until)


def rule_text(recurrence: Recurrence) -> str | None:
    """The rule (RFC 5545) of a form's answer; None for a single start.

    >>> rule_text(Recurrence(Repeat.WEEKLY, ("MO", "TH"), date(2026, 12, 31)))
    'FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20261231'
    """
    if recurrence.repeat is Repeat.ONCE:
        return None
    parts = ["FREQ=DAILY"]
    if recurrence.repeat is Repeat.LUNAR:
        parts.append(f"BYLUNARDAY={LUNAR_DAYS}")
    if recurrence.repeat is Repeat.WEEKLY:
        chosen = [day for day in WEEKDAYS if day in recurrence.weekdays]
        parts = ["FREQ=WEEKLY", "BYDAY=" + ",".join(chosen)]
    if recurrence.until is not None:
        parts.append(f"UNTIL={recurrence.until:%Y%m%d}")
    return ";".join(parts)


def first_start(recurrence: Recurrence, day: date, at: time) -> datetime:
    """The first start on or after a day: of chosen weekdays or lunar days the next one."""
    if recurrence.repeat is Repeat.WEEKLY and recurrence.weekdays:
        while WEEKDAYS[day.weekday()] not in recurrence.weekdays:
            day += DAY
    if recurrence.repeat is Repeat.LUNAR:
        while str(lunar(day).day) not in LUNAR_DAYS.split(","):
            day += DAY
    return datetime.combine(day, at, LOCAL)


def described(change: dict[str, Any]) -> dict[str, Any]:
    """A remedy's change as the form's fields: `starts_at` is a day and a time there."""
    fields = dict(change)
    if "starts_at" in fields:
        at = datetime.fromisoformat(fields.pop("starts_at")).astimezone(LOCAL)
        fields |= {"day": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M}"}
    return fields


def moment_of(day: str, at: str) -> datetime:
    """A day and a time of a form, in Việt Nam.

    Raises:
        InvalidInput: Either is none; says which.
    """
    try:
        given = date.fromisoformat(day)
    except ValueError:
        raise InvalidInput("day", "hãy chọn một ngày") from None
    try:
        clock_time = time.fromisoformat(at)
    except ValueError:
        raise InvalidInput("time", "hãy ghi giờ, ví dụ 05:30") from None
    if not 2000 <= given.year < 2100:
        raise InvalidInput("day", "phải từ năm 2000 đến 2099")
    return datetime.combine(given, clock_time.replace(tzinfo=None, microsecond=0), LOCAL)
