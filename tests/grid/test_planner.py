"""Sessions of a day: one voice, the order kept, the lowest rank left out, the same each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from broadcast.grid.planner import PAUSE, Bounds, Entry, Filled, Kind, Reason, fill

FIVE = datetime(2026, 3, 1, 22, tzinfo=UTC)
NORMAL, PRIORITY = 64, 128


def entry(number: int, seconds: float, priority: int = NORMAL, kind: Kind = Kind.OWN) -> Entry:
    return Entry(UUID(int=number), kind, seconds, priority)


def relay(number: int, minute: float, seconds: float, priority: int = NORMAL) -> Entry:
    return Entry(UUID(int=number), Kind.RELAY, seconds, priority, FIVE + timedelta(minutes=minute))


def bounds(seconds: float, *, may_overrun: bool = False, quiet: float | None = None) -> Bounds:
    silent_from = None if quiet is None else FIVE + timedelta(seconds=quiet)
    return Bounds(FIVE, FIVE + timedelta(seconds=seconds), may_overrun, silent_from)


def told(filled: Filled) -> tuple[list[tuple[int, float]], dict[int, Reason]]:
    starts = [(id_.int, (at - FIVE).total_seconds()) for id_, at in filled.starts.items()]
    return starts, {id_.int: why for id_, why in filled.dropped.items()}


def test_items_follow_one_another_in_full_seconds() -> None:
    found = fill([entry(1, 30.4, kind=Kind.SIGNATURE), entry(2, 60), entry(3, 60)], bounds(600))
    assert told(found) == ([(1, 0), (2, 33), (3, 95)], {})


def test_the_lowest_rank_is_left_out_and_the_frame_stays() -> None:
    items = [
        entry(1, 30, kind=Kind.SIGNATURE), entry(2, 100), entry(3, 100, PRIORITY), entry(4, 100),
        entry(5, 20, kind=Kind.CLOSING),
    ]  # fmt: skip
    found = fill(items, bounds(270))
    assert told(found) == ([(1, 0), (2, 32), (3, 134), (5, 236)], {4: Reason.NO_TIME})
    found = fill(items, bounds(160))
    assert told(found) == (
        [(1, 0), (3, 32), (5, 134)], {2: Reason.NO_TIME, 4: Reason.NO_TIME},
    )  # fmt: skip


def test_what_is_short_takes_the_room_that_a_longer_one_has_not_got() -> None:
    found = fill([entry(1, 100), entry(2, 90, PRIORITY), entry(3, 20)], bounds(120))
    assert told(found) == ([(2, 0), (3, 92)], {1: Reason.NO_TIME})


def test_the_last_may_sound_on_where_that_is_allowed_but_no_relay() -> None:
    own = [entry(1, 60), entry(2, 100)]
    assert told(fill(own, bounds(90)))[1] == {2: Reason.NO_TIME}
    assert told(fill(own, bounds(90, may_overrun=True))) == ([(1, 0), (2, 62)], {})
    relay = [entry(1, 60), entry(2, 100, kind=Kind.RELAY)]
    assert told(fill(relay, bounds(90, may_overrun=True)))[1] == {2: Reason.NO_TIME}


def test_nothing_sounds_on_into_quiet_hours() -> None:
    found = fill([entry(1, 60), entry(2, 100)], bounds(90, may_overrun=True, quiet=120))
    assert told(found) == ([(1, 0)], {2: Reason.QUIET_HOURS})


def test_a_relay_begins_and_ends_at_its_hour_and_what_does_not_fit_before_comes_after() -> None:
    items = [
        entry(1, 30, kind=Kind.SIGNATURE), entry(2, 100), entry(3, 200), relay(4, 5, 600),
        entry(5, 60), entry(6, 20, kind=Kind.CLOSING),
    ]  # fmt: skip
    found = fill(items, bounds(1500))
    assert told(found) == ([(1, 0), (2, 32), (4, 300), (3, 902), (5, 1104), (6, 1166)], {})
    found = fill(items, bounds(1120))
    assert told(found) == (
        [(1, 0), (2, 32), (4, 300), (5, 902), (6, 964)], {3: Reason.RELAY},
    )  # fmt: skip


def test_a_relay_gives_way_to_nothing_but_an_earlier_one_of_its_rank() -> None:
    long = entry(1, 400, PRIORITY)
    assert told(fill([long, relay(2, 5, 300)], bounds(600))) == ([(2, 300)], {1: Reason.RELAY})
    tune = entry(1, 30, kind=Kind.SIGNATURE)
    assert told(fill([tune, relay(2, 0, 300)], bounds(600))) == ([(2, 0)], {1: Reason.RELAY})
    both = [relay(1, 2, 300), relay(2, 5, 120)]
    assert told(fill(both, bounds(600))) == ([(1, 120)], {2: Reason.RELAY})
    assert told(fill([relay(1, 5, 301)], bounds(600)))[1] == {1: Reason.NO_TIME}
    quiet = fill([entry(2, 60), relay(1, 5, 301)], bounds(700, quiet=600))
    assert told(quiet) == ([(2, 0)], {1: Reason.QUIET_HOURS})


ITEMS = st.lists(
    st.tuples(
        st.floats(1, 900), st.sampled_from([NORMAL, 72, PRIORITY, 144]), st.sampled_from(Kind),
        st.integers(0, 3600),
    ),
    max_size=9,
).map(
    lambda rows: [
        relay(number, at / 60, seconds, priority)
        if kind is Kind.RELAY and at % 3
        else entry(number, seconds, priority, kind)
        for number, (seconds, priority, kind, at) in enumerate(rows)
    ]
)  # fmt: skip
ROOM = st.builds(
    lambda seconds, over, quiet: bounds(seconds, may_overrun=over, quiet=quiet),
    st.integers(60, 3600), st.booleans(), st.none() | st.integers(60, 4000),
)  # fmt: skip


@given(ITEMS, ROOM)
def test_one_voice_in_order_within_the_room(items: list[Entry], room: Bounds) -> None:
    found = fill(items, room)
    assert {*found.starts} | {*found.dropped} == {each.id for each in items}
    assert not {*found.starts} & {*found.dropped}
    heard = [next(each for each in items if each.id == id_) for id_ in found.starts]
    flowing = [each for each in items if each.id in found.starts and each.at is None]
    assert [each for each in heard if each.at is None] == flowing
    free_from = room.begins_at
    before: tuple[Entry | None, datetime] = None, free_from
    for each in heard:
        at = found.starts[each.id]
        if each.at is not None:
            assert each.at == at >= free_from
        else:
            assert at == free_from
            relayed, was_free_from = before
            if relayed is not None and items.index(each) < items.index(relayed):
                assert was_free_from + takes(each) > found.starts[relayed.id]
        before = each if each.at is not None else None, free_from
        ends_at = at + timedelta(seconds=each.seconds)
        assert room.silent_from is None or ends_at <= room.silent_from
        if room.may_overrun and each.kind is not Kind.RELAY:
            assert at < room.ends_at
        else:
            assert ends_at <= room.ends_at
        free_from = at + takes(each)


def takes(each: Entry) -> timedelta:
    return timedelta(seconds=ceil(each.seconds)) + PAUSE


@given(ITEMS, ROOM)
def test_a_relay_is_dropped_for_nothing_that_flows(items: list[Entry], room: Bounds) -> None:
    relays = [each for each in items if each.at is not None]
    alone, found = fill(relays, room), fill(items, room)
    assert {id_: found.starts[id_] for id_ in alone.starts} == alone.starts
    assert alone.dropped.keys() <= found.dropped.keys()


@given(ITEMS, ROOM)
def test_nothing_lower_keeps_out_what_is_higher(items: list[Entry], room: Bounds) -> None:
    """Without all that is lower, what was left out still finds no room."""
    found = fill(items, room)
    for each in items:
        if each.id not in found.dropped:
            continue
        higher = [
            other
            for other in items
            if (other.rank > each.rank or other == each)
            or (other.rank == each.rank and items.index(other) < items.index(each))
        ]
        alone = fill(higher, room)
        assert each.id in alone.dropped
        assert {*alone.starts} == {other.id for other in higher} & {*found.starts}


@given(ITEMS, ROOM)
def test_what_was_left_out_changes_nothing(items: list[Entry], room: Bounds) -> None:
    found = fill(items, room)
    without = [each for each in items if each.id in found.starts]
    assert fill(without, room) == Filled(found.starts, {})
