"""Whether two schedules ever want one loudspeaker at once, in whatever order they are saved."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.schedules import clashes
from broadcast.schedules.clashes import Series
from broadcast.schedules.expansion import DAY
from broadcast.schedules.model import Schedule
from broadcast.schedules.recurrence import occurrences_between
from broadcast.schedules.rrule import parse
from tests.schedules.test_recurrence import moments, rules

FIRST = date(2026, 1, 1)


def series(rule: str | None, wall: datetime, seconds: float) -> Series:
    starts_at = wall.replace(tzinfo=LOCAL).astimezone(UTC)
    schedule = Schedule(id=uuid4(), title="", starts_at=starts_at, rrule=rule, priority=64)
    return clashes.series(schedule, seconds, {})


def spans(each: Series, days: int) -> list[tuple[datetime, datetime]]:
    begin = datetime.combine(FIRST, datetime.min.time(), LOCAL) - DAY
    found = occurrences_between(
        each.rule, each.schedule.starts_at, {}, begin, begin + (days + 2) * DAY, LOCAL
    )
    return [(at.starts_at, at.starts_at + timedelta(seconds=each.seconds)) for at in found]


seconds = st.sampled_from([1.0, 61.5, 600.0, 3600.0, 7200.0])


@given(st.none() | rules(), st.none() | rules(), moments, moments, seconds, seconds)
def test_days_on_which_two_rules_meet(
    one: str | None, two: str | None, wall: datetime, other: datetime, long: float, longer: float
) -> None:
    mine, theirs = series(one, wall, long), series(two, other, longer)
    days = 400
    expected = {
        begin.astimezone(LOCAL).date()
        for begin, end in spans(mine, days)
        for their_begin, their_end in spans(theirs, days)
        if begin < their_end and their_begin < end
    }
    found = clashes.meeting_days(mine, theirs, FIRST)
    assert {day for day in clashes.days_from(found, FIRST) if day < FIRST + (days - 1) * DAY} == {
        day for day in expected if FIRST <= day < FIRST + (days - 1) * DAY
    }
    back = clashes.meeting_days(theirs, mine, FIRST - DAY)
    assert bool(clashes.meeting_days(mine, theirs, FIRST - DAY)) == bool(back), "in either order"


@pytest.mark.parametrize(
    ("one", "two", "first"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=10", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "2026-11-10"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=WEEKLY;BYDAY=TU", "2028-02-29"),
        ("FREQ=MONTHLY;BYDAY=1MO", "FREQ=MONTHLY;BYMONTHDAY=7", "2026-09-07"),
        ("FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=TU", None),
        ("FREQ=DAILY;INTERVAL=2", "FREQ=DAILY;INTERVAL=30;BYMONTH=7", "2026-07-04"),
    ],
)
def test_rules_that_meet_late(one: str, two: str, first: str | None) -> None:
    wall = datetime(2026, 1, 5, 17)  # noqa: DTZ001
    a, b = (series(str(parse(text, LOCAL)), wall, 61.5) for text in (one, two))
    for mine, other in ((a, b), (b, a)):
        bits = clashes.meeting_days(mine, other, FIRST)
        found = next(clashes.days_from(bits, FIRST), None)
        assert found == (None if first is None else date.fromisoformat(first))
