"""Sessions and minutes of a day at a place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast.schedules.quotas import Excess, Quota, excesses
from broadcast.wire.quotas import APART, Limits, Sound, sessions

FIVE = datetime(2026, 3, 1, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def sound(start: int, minutes: int) -> Sound:
    return Sound(FIVE + start * MINUTE, FIVE + (start + minutes) * MINUTE)


sounds = st.lists(st.builds(sound, st.integers(0, 300), st.integers(1, 40)), max_size=8)


@given(sounds)
def test_a_session_is_what_follows_within_five_minutes(some: list[Sound]) -> None:
    found = sessions(some)
    minutes = {
        minute
        for each in some
        for minute in range((each.begins_at - FIVE) // MINUTE, (each.ends_at - FIVE) // MINUTE)
    }
    told = {
        minute
        for each in found
        for s in each
        for minute in range((s.begins_at - FIVE) // MINUTE, (s.ends_at - FIVE) // MINUTE)
    }
    assert told == minutes
    gaps = sum(1 for a, b in zip(sorted(minutes), sorted(minutes)[1:], strict=False) if b - a > 6)
    assert len(found) == (gaps + 1 if some else 0)
    assert APART == 5 * MINUTE


def test_what_is_too_much_is_told_by_quota() -> None:
    day = [sound(0, 10), sound(12, 10), sound(300, 30), sound(310, 5)]
    assert excesses(Limits(), day) == []
    assert excesses(Limits(2, 30, 50), day) == []
    assert excesses(Limits(1, 29, 49), day) == [
        Excess(Quota.SESSIONS, 1, 2.0),
        Excess(Quota.SESSION, 29, 30.0),
        Excess(Quota.DAY, 49, 50.0),
    ]
