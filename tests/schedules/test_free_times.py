"""Free times: sound, complete, and nothing in quiet hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import OFFSET, daily
from broadcast.schedules.free_times import (
    FIRST,
    LAST,
    STEP,
    Occupied,
    free_on_all,
    free_starts,
    nearest,
)
from broadcast.wire.documents import Hours
from broadcast.wire.hours import silent_window

DAY = date(2024, 12, 30)
MIDNIGHT = datetime.combine(DAY, time(), LOCAL)
NIGHT = daily([(time(22), time(5))])

moments = st.integers(0, 24 * 60).map(lambda minutes: MIDNIGHT + timedelta(minutes=minutes))
occupied = st.lists(
    st.builds(
        lambda at, minutes: Occupied(at, at + timedelta(minutes=minutes)),
        moments,
        st.integers(0, 300),
    ),
    max_size=12,
)
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
quiet = st.lists(st.tuples(times, times), max_size=3).map(daily)
lengths = st.floats(1, 7200)


@given(lengths, occupied, quiet, moments)
def test_what_is_offered_is_free(
    seconds: float, taken: list[Occupied], hours: tuple[Hours, ...], now: datetime
) -> None:
    length = timedelta(seconds=seconds)
    for at in free_starts(DAY, seconds, taken, hours, now, LOCAL):
        assert at > now
        assert not any(each.begins_at < at + length and each.ends_at > at for each in taken)
        assert silent_window(hours, OFFSET, at, seconds) is None
        assert datetime.combine(DAY, FIRST, LOCAL) <= at
        assert at + length <= datetime.combine(DAY, LAST, LOCAL)


@given(lengths, occupied, quiet, moments)
def test_what_is_not_offered_is_not_free(
    seconds: float, taken: list[Occupied], hours: tuple[Hours, ...], now: datetime
) -> None:
    length = timedelta(seconds=seconds)
    offered = set(free_starts(DAY, seconds, taken, hours, now, LOCAL))
    at = datetime.combine(DAY, FIRST, LOCAL)
    while at + length <= datetime.combine(DAY, LAST, LOCAL):
        assert at in offered or (
            at <= now
            or silent_window(hours, OFFSET, at, seconds) is not None
            or any(each.begins_at < at + length and each.ends_at > at for each in taken)
        )
        at += STEP


@given(lengths, occupied, moments)
def test_the_order_of_what_is_occupied_says_nothing(
    seconds: float, taken: list[Occupied], now: datetime
) -> None:
    one, other = (
        free_starts(DAY, seconds, each, NIGHT, now, LOCAL) for each in (taken, taken[::-1])
    )
    assert one == other


@given(st.lists(st.lists(moments, max_size=8), min_size=1, max_size=4))
def test_a_time_that_is_free_on_all_days_is_free_on_each(days: list[list[datetime]]) -> None:
    of_days = [{at.time() for at in starts} for starts in days]
    for at in free_on_all(days, LOCAL):
        assert all(at in starts for starts in of_days)


def test_no_days_have_no_free_times() -> None:
    assert free_on_all([], LOCAL) == []


@given(st.lists(moments, unique=True), moments, st.integers(1, 5))
def test_no_other_free_start_is_nearer(free: list[datetime], wanted: datetime, count: int) -> None:
    found = nearest(free, wanted, count)
    assert found == sorted(found)
    assert len(found) == min(count, len(free))
    others = [abs(at - wanted) for at in free if at not in found]
    assert all(abs(at - wanted) <= other for at in found for other in others)


def test_an_evening() -> None:
    now = datetime(2024, 12, 30, 14, 20, tzinfo=UTC)  # 21:20
    taken = [Occupied(MIDNIGHT.replace(hour=21, minute=30), MIDNIGHT.replace(hour=21, minute=38))]
    found = free_starts(DAY, 600, taken, NIGHT, now, LOCAL)
    assert [f"{at:%H:%M}" for at in found] == ["21:40", "21:45", "21:50"]
