"""Silent hours and limits of volume are what a look at every minute says."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire import hours as rule
from broadcast.wire.documents import Hours

MONDAY = date(2026, 3, 2)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OFFSET = timedelta(hours=7)

# Local times in quarters: more of what touches and overlaps.
_clocks = st.integers(0, 95).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")
_days = st.integers(-2, 9).map(lambda n: MONDAY + n * DAY)
windows = st.builds(
    Hours,
    from_=_clocks,
    until=_clocks,
    days=st.lists(st.integers(1, 7), max_size=3, unique=True).map(tuple),
    first_on=st.none() | _days,
    last_on=st.none() | _days,
    except_on=st.lists(_days, max_size=2).map(tuple),
    volume=st.none() | st.integers(0, 100),
)
hours = st.lists(windows, max_size=4)
offsets = st.integers(-48, 56).map(lambda n: n * timedelta(minutes=15))
moments = st.integers(0, 4 * 24 * 60).map(
    lambda n: datetime.combine(MONDAY, time(), UTC) + n * MINUTE
)


def holds(window: Hours, local: datetime) -> bool:
    """Whether a window lasts at a local minute, by the words of docs/wire.md §8 rule 10."""
    clock = f"{local:%H:%M}"
    if window.from_ < window.until:
        day, within = local.date(), window.from_ <= clock < window.until
    elif clock >= window.from_:
        day, within = local.date(), True
    else:
        day, within = local.date() - DAY, clock < window.until
    return (
        within
        and (not window.days or day.weekday() + 1 in window.days)
        and not (window.first_on and day < window.first_on)
        and not (window.last_on and day > window.last_on)
        and day not in window.except_on
    )


def silent(some: list[Hours], offset: timedelta, at: datetime) -> bool:
    local = at + offset
    return any(each.volume is None and holds(each, local) for each in some)


def loudest(some: list[Hours], offset: timedelta, at: datetime) -> int:
    local = at + offset
    return min(
        (each.volume for each in some if each.volume is not None and holds(each, local)),
        default=100,
    )


@given(hours, offsets, moments, st.integers(1, 200))
def test_a_sound_meets_what_holds_at_one_of_its_minutes(
    some: list[Hours], offset: timedelta, begin: datetime, minutes: int
) -> None:
    sounding = [begin + n * MINUTE for n in range(minutes)]
    found = rule.silent_window(some, offset, begin, minutes * 60)
    assert (found is not None) == any(silent(some, offset, at) for at in sounding)
    limit = min(loudest(some, offset, at) for at in sounding)
    assert rule.loudest(some, offset, begin, minutes * 60) == limit


@given(hours, offsets, moments)
def test_silence_ends_and_begins_where_a_minute_differs_from_the_next(
    some: list[Hours], offset: timedelta, at: datetime
) -> None:
    until = rule.silent_until(some, offset, at)
    assert (until is not None) == silent(some, offset, at)
    if until is not None:
        assert silent(some, offset, until - MINUTE)
        assert until - at > 8 * DAY or not silent(some, offset, until)
        step = max((until - at) // 40 // MINUTE, 1) * MINUTE
        while (at := at + step) < until:
            assert silent(some, offset, at)
        return
    begins = rule.silent_from(some, offset, at)
    if begins is None:
        assert not any(silent(some, offset, at + n * 15 * MINUTE) for n in range(9 * 96))
    else:
        assert silent(some, offset, begins)
        assert not silent(some, offset, begins - MINUTE)
        assert rule.next_silence(some, offset, at) == (
            begins, rule.next_silence(some, offset, begins).ends_at  # type: ignore[union-attr]
        )  # fmt: skip


def local(clock: str, days: int = 0) -> datetime:
    return datetime.combine(MONDAY + days * DAY, time.fromisoformat(clock), UTC) - OFFSET


WEEKEND = Hours(from_="00:00", until="00:00", days=(6, 7))
NIGHT = Hours(from_="22:00", until="05:00")


@pytest.mark.parametrize(
    ("some", "moment", "begins", "ends"),
    [
        ([NIGHT], local("21:59"), local("22:00"), local("05:00", 1)),
        ([NIGHT], local("22:00"), local("22:00"), local("05:00", 1)),
        ([NIGHT], local("04:59:59"), local("22:00", -1), local("05:00")),
        ([NIGHT], local("05:00"), local("22:00"), local("05:00", 1)),
        ([NIGHT, Hours(from_="20:00", until="22:00")], local("23:00"), local("20:00"),
         local("05:00", 1)),
        ([NIGHT, WEEKEND], local("12:00", 6), local("22:00", 4), local("05:00", 7)),
        ([WEEKEND], local("12:00"), local("00:00", 5), local("00:00", 7)),
        ([Hours(from_="07:00", until="07:00")], local("12:00"), local("07:00", -9), None),
    ],
)  # fmt: skip
def test_windows_pass_midnight_touch_and_know_the_weekday(
    some: list[Hours], moment: datetime, begins: datetime, ends: datetime | None
) -> None:
    found = rule.next_silence(some, OFFSET, moment)
    assert found is not None
    assert found.ends_at == ends
    assert ends is None or found.begins_at == begins


def test_an_excepted_day_sounds_and_a_night_is_of_the_evening_it_began() -> None:
    weekend = Hours(from_="00:00", until="00:00", days=(6, 7), except_on=(MONDAY + 5 * DAY,))
    assert rule.silent_until([weekend], OFFSET, local("12:00", 5)) is None
    assert rule.silent_until([weekend], OFFSET, local("12:00", 6)) == local("00:00", 7)
    old = Hours(from_="22:00", until="05:00", last_on=MONDAY)
    assert rule.silent_until([old], OFFSET, local("04:00", 1)) == local("05:00", 1)
    assert rule.silent_until([old], OFFSET, local("22:00", 1)) is None
