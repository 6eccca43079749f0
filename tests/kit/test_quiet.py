"""When quiet hours are, and what would sound in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import next_quiet_interval, quiet_window

Windows = list[tuple[time, time]]

DAY = date(2026, 3, 2)
MINUTE = timedelta(minutes=1)

times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
windows = st.lists(st.tuples(times, times), max_size=3)


def local(clock: str, days: int = 0) -> datetime:
    return datetime.combine(DAY + timedelta(days=days), time.fromisoformat(clock), LOCAL)


def is_quiet(at: time, quiet_hours: Windows) -> bool:
    return any(
        begin <= at < until if begin < until else at >= begin or at < until
        for begin, until in quiet_hours
    )


@given(windows, times, st.integers(1, 180))
def test_quiet_hours_are_what_a_look_at_every_minute_says(
    quiet_hours: Windows, start: time, minutes: int
) -> None:
    begin = datetime.combine(DAY, start, LOCAL)
    sounding = ((begin + n * MINUTE).time() for n in range(minutes))
    found = quiet_window(begin, minutes * 60, quiet_hours, LOCAL)
    assert (found is not None) == any(is_quiet(at, quiet_hours) for at in sounding)


@given(windows, times)
def test_a_stretch_is_what_a_look_at_every_minute_says(quiet_hours: Windows, start: time) -> None:
    moment = datetime.combine(DAY, start, LOCAL)
    found = next_quiet_interval(moment, quiet_hours, LOCAL)
    coming = [moment + n * MINUTE for n in range(2 * 24 * 60)]
    quiet = [at for at in coming if is_quiet(at.time(), quiet_hours)]
    if found is None:
        assert not quiet
        return
    assert max(found.begins_at, moment) == quiet[0]
    if found.ends_at is None:
        assert quiet == coming
        return
    assert found.ends_at == next(
        at for at in coming if at > quiet[0] and not is_quiet(at.time(), quiet_hours)
    )
    assert not is_quiet((found.begins_at.astimezone(LOCAL) - MINUTE).time(), quiet_hours)


@pytest.mark.parametrize(
    ("quiet_hours", "moment", "begins", "ends"),
    [
        (["22:00-05:00"], local("21:59"), local("22:00"), local("05:00", 1)),
        (["22:00-05:00"], local("22:00"), local("22:00"), local("05:00", 1)),
        (["22:00-05:00"], local("00:00"), local("22:00", -1), local("05:00")),
        (["22:00-05:00"], local("04:59:59"), local("22:00", -1), local("05:00")),
        (["22:00-05:00"], local("05:00"), local("22:00"), local("05:00", 1)),
        (["20:00-22:00", "22:00-05:00"], local("23:00"), local("20:00"), local("05:00", 1)),
        (["12:00-13:30", "22:00-05:00"], local("09:00"), local("12:00"), local("13:30")),
    ],
)
def test_quiet_hours_may_pass_midnight_and_touch(
    quiet_hours: list[str], moment: datetime, begins: datetime, ends: datetime
) -> None:
    given_ = [(time.fromisoformat(w[:5]), time.fromisoformat(w[6:])) for w in quiet_hours]
    assert next_quiet_interval(moment.astimezone(UTC), given_, LOCAL) == (begins, ends)
