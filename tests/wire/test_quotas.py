"""The rule of quotas: it leaves nothing out exactly where nothing is too much."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast.schedules.quotas import excesses
from broadcast.wire.documents import Audio, Item, Passed, Quotas, Stream
from broadcast.wire.quotas import Limits, Sound, local_day, on_day, over, planned

FIVE = datetime(2026, 3, 1, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def sound(start: int, minutes: int) -> Sound:
    return Sound(FIVE + start * MINUTE, FIVE + (start + minutes) * MINUTE)


days = st.dictionaries(
    st.sampled_from("abcdefgh"), st.builds(sound, st.integers(0, 120), st.integers(0, 30))
)
limits = st.builds(
    Limits,
    st.none() | st.integers(1, 4),
    st.none() | st.integers(1, 60),
    st.none() | st.integers(1, 90),
)


@given(limits, days)
def test_nothing_is_over_quota_exactly_where_the_server_finds_no_excess(
    limit: Limits, day: dict[str, Sound]
) -> None:
    left_out = over(limit, day)
    assert (not left_out) == (not excesses(limit, day.values()))
    kept = [sound for name, sound in day.items() if name not in left_out]
    assert not excesses(limit, kept)


@given(limits, days)
def test_each_one_left_out_would_be_too_much_with_those_kept_before_it(
    limit: Limits, day: dict[str, Sound]
) -> None:
    left_out = over(limit, day)
    order = sorted(day, key=lambda name: (day[name].begins_at, name))
    for number, name in enumerate(order):
        before = [day[each] for each in order[:number] if each not in left_out]
        assert (name in left_out) == bool(excesses(limit, [*before, day[name]]))


@given(limits, days, days)
def test_what_begins_later_decides_nothing_about_what_begins_earlier(
    limit: Limits, day: dict[str, Sound], later: dict[str, Sound]
) -> None:
    end = max((sound.begins_at for sound in day.values()), default=FIVE) + MINUTE
    behind = {
        name.upper(): Sound(end + (each.begins_at - FIVE), end + (each.ends_at - FIVE))
        for name, each in later.items()
    }
    assert over(limit, day | behind) & day.keys() == over(limit, day)


def test_a_session_ends_after_five_minutes_and_a_limit_is_kept_to_the_second() -> None:
    day = {"a": sound(0, 10), "b": sound(15, 10), "c": sound(31, 10)}
    assert over(Limits(1), day) == {"c"}
    assert over(Limits(None, 20), day) == set()
    assert over(Limits(None, 19), day) == {"b"}
    assert over(Limits(None, None, 20), day) == {"c"}
    second = Sound(day["b"].begins_at, day["b"].ends_at + timedelta(seconds=1))
    assert over(Limits(None, 20), day | {"b": second}) == {"b"}


def test_of_quotas_of_a_day_the_least_holds() -> None:
    some = [
        Quotas(last_on=date(2026, 3, 2), sessions_per_day=3, minutes_per_day=60),
        Quotas(first_on=date(2026, 3, 2), sessions_per_day=2, minutes_per_session=30),
    ]
    assert on_day(some, date(2026, 3, 1)) == Limits(3, None, 60)
    assert on_day(some, date(2026, 3, 2)) == Limits(2, 30, 60)
    assert on_day(some, date(2026, 3, 3)) == Limits(2, 30, None)
    assert on_day([], date(2026, 3, 3)) == Limits()


def test_what_counts_is_the_planned_length_on_the_local_day_of_its_start() -> None:
    audio = [Audio("0" * 64, 1, seconds, "opus") for seconds in (60.0, 61.0)]
    end = FIVE + 30 * MINUTE
    plain = Item("o", "b", 1, FIVE, 60, end, 9, audio=audio)
    named = Item("o", "b", 1, FIVE, 60, end, 9, audio=audio, seconds=90.0)
    relay = Item("o", "b", 1, FIVE, 60, end, 9, audio=audio, stream=Stream("http://127.0.0.1/"))
    lengths = [(planned(each).ends_at - FIVE).total_seconds() for each in (plain, named, relay)]
    assert lengths == [61, 90, 1800]
    assert planned(Passed("o", FIVE, 5.0)) == Sound(FIVE, FIVE + timedelta(seconds=5))
    assert local_day(FIVE, timedelta(hours=7)) == date(2026, 3, 2)
    assert local_day(FIVE, timedelta(0)) == date(2026, 3, 1)
