"""The grid: quiet hours, priorities, and two who want one loudspeaker."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.kit.quiet import daily
from broadcast.schedules import grid
from broadcast.schedules.grid import Outcome, Slot

NIGHT = daily([(time(22), time(5))])
FIVE = datetime(2026, 3, 2, 5, tzinfo=LOCAL)
MINUTE = timedelta(minutes=1)


def slot(number: int, start: int = 0, minutes: int = 10, priority: int = 64, *at: int) -> Slot:
    starts_at = FIVE + start * MINUTE
    return Slot(
        UUID(int=number), f"bản tin {number}", starts_at, starts_at + minutes * MINUTE, priority,
        frozenset(at or (1,)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("starts", "minutes", "quiet"),
    [
        ("05:00", 10, False),
        ("04:59", 1, True),
        ("04:59", 10, True),
        ("21:50", 10, False),
        ("21:50", 10.1, True),
        ("22:00", 1, True),
        ("00:00", 1, True),
        ("12:00", 60, False),
    ],
)
def test_a_sound_that_reaches_into_quiet_hours_is_refused(
    starts: str, minutes: float, *, quiet: bool
) -> None:
    at = datetime.combine(date(2026, 3, 2), time.fromisoformat(starts), LOCAL)
    if not quiet:
        grid.check_quiet([at], minutes * 60, NIGHT, LOCAL)
        return
    with pytest.raises(InvalidInput, match="giờ yên tĩnh 22:00–05:00") as refused:
        grid.check_quiet([at], minutes * 60, NIGHT, LOCAL)
    assert refused.value.field == "starts_at"


def test_no_quiet_hours_refuse_nothing_and_a_whole_day_everything() -> None:
    for hour in range(24):
        at = FIVE.replace(hour=hour)
        grid.check_quiet([at], 60, (), LOCAL)
        with pytest.raises(InvalidInput):
            grid.check_quiet([at], 60, daily([(time(7), time(7))]), LOCAL)


def test_equal_priorities_clash_and_others_preempt() -> None:
    others = [slot(2, 5, 10, 64), slot(3, 5, 10, 65), slot(4, 5, 10, 63)]
    outcomes = {
        pair.other.occurrence_id.int: pair.outcome for pair in grid.overlaps([slot(1)], others)
    }
    assert outcomes == {2: Outcome.CLASH, 3: Outcome.PREEMPTED, 4: Outcome.PREEMPTS}


def test_what_ends_when_the_other_begins_does_not_overlap() -> None:
    assert grid.overlaps([slot(1, 0, 10)], [slot(2, 10), slot(3, -10, 10)]) == []


def test_what_shares_no_cluster_does_not_overlap() -> None:
    new = slot(1, 0, 10, 64, 1, 2, 3)
    assert grid.overlaps([new], [slot(2, 0, 10, 64, 4, 5)]) == []
    [pair] = grid.overlaps([new], [slot(3, 0, 10, 64, 3, 2, 9)])
    assert pair.cluster_count == 2


slots = st.builds(
    slot, st.integers(1, 99), st.integers(0, 120), st.integers(1, 60), st.integers(60, 62),
    st.integers(1, 3), st.integers(1, 3),
)  # fmt: skip


@given(st.lists(slots, max_size=6), st.lists(slots, max_size=6))
def test_every_overlapping_pair_is_found(new: list[Slot], others: list[Slot]) -> None:
    expected = sorted(
        (mine.occurrence_id, other.occurrence_id)
        for mine, other in product(new, others)
        if mine.occurrence_id != other.occurrence_id
        and mine.cluster_ids & other.cluster_ids
        and max(mine.starts_at, other.starts_at) < min(mine.ends_at, other.ends_at)
    )
    found = grid.overlaps(new, others)
    assert sorted((p.new.occurrence_id, p.other.occurrence_id) for p in found) == expected


times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@given(times, st.integers(1, 3600), times, st.integers(1, 3600), st.integers(-1, 1))
def test_times_of_day_that_cannot_meet_never_do(
    mine: time, seconds: int, theirs: time, other_seconds: int, days: int
) -> None:
    begin = datetime.combine(date(2026, 3, 2), mine)
    other = datetime.combine(date(2026, 3, 2), theirs) + timedelta(days=days)
    meet = other < begin + timedelta(seconds=seconds) and begin < other + timedelta(
        seconds=other_seconds
    )
    if meet:
        assert grid.may_meet([mine], seconds, [theirs], other_seconds)
