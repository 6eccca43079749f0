"""Sessions within what a Quy chế allows, with all else that is planned there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from broadcast.config import Rules
from broadcast.grid import filling
from broadcast.grid.planner import Entry, Reason, fill
from broadcast.grid.room import Room, rooms
from broadcast.kit import db
from broadcast.wire import quotas
from broadcast.wire.fields import BulletinClass
from broadcast.wire.quotas import Limits, Sound
from tests.grid.test_now_and_tomorrow import rule
from tests.grid.test_planner import FIVE, ITEMS, PRIORITY, ROOM, bounds, entry, relay, told
from tests.grid.test_relay_items import relay as relay_item
from tests.grid.test_relay_items import source
from tests.grid.test_sessions import items, make, patch, today
from tests.inbox.conftest import World

N = BulletinClass.NORMAL


def room(other: float | None = None, **limits: int) -> Room:
    """With a minute of something else, so many minutes after the session begins."""
    others = {}
    if other is not None:
        at = FIVE + timedelta(minutes=other)
        others[UUID(int=10_000)] = Sound(at, at + timedelta(minutes=1))
    return Room(Limits(**limits), others)


def test_what_exceeds_a_quota_is_left_out_the_lowest_first() -> None:
    items = [entry(1, 60), entry(2, 60, PRIORITY), entry(3, 60), entry(4, 20)]
    found = fill(items, bounds(900)._replace(rooms=(room(minutes_per_session=2),)))
    assert told(found) == ([(1, 0), (2, 62)], {3: Reason.QUOTA, 4: Reason.QUOTA})
    found = fill(items, bounds(900)._replace(rooms=(room(-60, minutes_per_day=2),)))
    assert told(found)[1] == {1: Reason.QUOTA, 3: Reason.QUOTA, 4: Reason.QUOTA}
    found = fill(items, bounds(900)._replace(rooms=(room(-60, sessions_per_day=1),)))
    assert told(found) == ([], dict.fromkeys([2, 1, 3, 4], Reason.QUOTA))
    found = fill(items, bounds(900)._replace(rooms=(room(-4, sessions_per_day=1),)))
    assert told(found)[1] == {}


def test_a_relay_counts_and_goes_first() -> None:
    items = [entry(1, 60, PRIORITY), relay(2, 4, 180)]
    found = fill(items, bounds(900)._replace(rooms=(room(minutes_per_session=3),)))
    assert told(found) == ([(2, 240)], {1: Reason.QUOTA})
    found = fill(items, bounds(900)._replace(rooms=(room(minutes_per_session=2),)))
    assert told(found) == ([(1, 0)], {2: Reason.QUOTA})


def test_every_place_of_the_session_counts() -> None:
    items = [entry(1, 60), entry(2, 60)]
    both = room(minutes_per_session=5), room(minutes_per_session=1)
    assert told(fill(items, bounds(900)._replace(rooms=both)))[1] == {2: Reason.QUOTA}


def test_places_that_hear_the_same_are_one_room() -> None:
    two, sound = Limits(minutes_per_day=2), Sound(FIVE, FIVE + timedelta(minutes=1))
    heard = [(UUID(int=1), sound, frozenset({1, 2, 9}))]
    found = rooms({1: two, 2: two, 3: two, 4: Limits()}, heard)
    assert {(each.limits, tuple(each.others)) for each in found} == {
        (two, (UUID(int=1),)), (two, ()),
    }  # fmt: skip
    assert len(found) == 2


LIMITS = st.builds(
    Limits, st.none() | st.integers(0, 4), st.none() | st.integers(1, 30),
    st.none() | st.integers(1, 90),
)  # fmt: skip
OTHERS = st.lists(st.tuples(st.integers(-200, 200), st.integers(1, 20)), max_size=4).map(
    lambda rows: {
        UUID(int=10_000 + number): Sound(
            FIVE + timedelta(minutes=at), FIVE + timedelta(minutes=at + minutes)
        )
        for number, (at, minutes) in enumerate(rows)
    }
)
ROOMS = st.lists(st.builds(Room, LIMITS, OTHERS), max_size=2).map(tuple)


@given(ITEMS, ROOM, ROOMS)
def test_no_quota_is_exceeded_and_none_is_named_in_vain(
    items: list[Entry], within: Any, there: tuple[Room, ...]
) -> None:
    found = fill(items, within._replace(rooms=there))
    lengths = {each.id: timedelta(seconds=each.seconds) for each in items}
    mine = {id_: Sound(at, at + lengths[id_]) for id_, at in found.starts.items()}
    for each in there:
        over = quotas.over(each.limits, {**each.others, **mine})
        assert over <= quotas.over(each.limits, each.others)
    if all(each.limits == Limits() for each in there):
        assert Reason.QUOTA not in found.dropped.values()
        assert found == fill(items, within)
    for each in items:
        if found.dropped.get(each.id) is Reason.QUOTA:
            rank = each.rank, -items.index(each)
            kept = [
                one for one in items
                if one is each
                or (one.id in found.starts and (one.rank, -items.index(one)) > rank)
            ]  # fmt: skip
            assert each.id in fill(kept, within).starts
            assert each.id not in fill(kept, within._replace(rooms=there)).starts


async def refill(world: World) -> None:
    async with db.transaction(world.engine) as session:
        ids = await filling.going_on(session)
        await filling.fill_some(session, ids, Rules(), world.now)


async def dropped(world: World, made: dict[str, Any]) -> dict[str, str]:
    (day, *_) = await world.ok("An", "GET", f"/air-sessions/{made['id']}/days")
    return {each["title"]: each["text"] for each in day["items"] if each["dropped"]}


async def test_a_session_keeps_the_quotas_of_its_commune(world: World) -> None:
    await rule(world, minutes_per_session=4, sessions_per_day=2)
    made = await make(world, "nhạc một hai ba kết")
    over = "vượt hạn mức của Quy chế nên bị bỏ"
    assert await today(world) == [("17:00:00", "nhạc"), ("17:01:04", "một"), ("17:02:08", "kết")]
    assert await dropped(world, made) == {"hai": over, "ba": over}
    kept = items(made, "nhạc", "một", "hai", "ba", "kết")
    relayed = relay_item(await source(world), "17:03", 60)
    made = await patch(world, made, items=[*kept[:-1], relayed, kept[-1]])
    assert [what for _, what in await today(world)] == ["nhạc", "Tiếp âm VOV1", "kết"]
    assert await dropped(world, made) == {"một": over, "hai": over, "ba": over}
    (village,) = await world.ok("An", "GET", "/heard?area=T-2&on=2024-12-28")
    assert {each["outcome"] for each in village["ears"][0]["items"]} == {"whole"}


async def test_of_two_sessions_the_earlier_goes_first(world: World) -> None:
    await rule(world, sessions_per_day=1)
    late = await make(world, "tối", starts_at="2024-12-28T18:00:00+07:00")
    assert await today(world) == [("18:00:00", "tối")]
    early = await make(world, "chiều")
    await refill(world)
    assert await today(world) == [("17:00:00", "chiều")]
    assert await dropped(world, early) == {}
    assert (await dropped(world, late)).keys() == {"tối"}
    await world.ok("An", "POST", f"/air-sessions/{early['id']}/end")
    await refill(world)
    assert await today(world) == [("18:00:00", "tối")]


async def test_what_a_new_quy_che_forbids_is_dropped_when_days_are_filled(world: World) -> None:
    made = await make(world, "nhạc tin kết")
    await world.own("2024-12-28T11:00:00+07:00", N, "Mùa vụ")
    await rule(world, sessions_per_day=1)
    await refill(world)
    assert await today(world) == [("11:00:00", "Mùa vụ")]
    assert set((await dropped(world, made)).values()) == {"vượt hạn mức của Quy chế nên bị bỏ"}
    page = await world.ok("Lan", "GET", "/occurrences?state=cancelled&limit=500")
    assert {each["cancel_reason"] for each in page["items"]} == {"vượt hạn mức của Quy chế"}
    (next_day,) = [
        each for each in await world.ok("An", "GET", f"/air-sessions/{made['id']}/days?days=2")
        if each["day"] == "2024-12-29"
    ]  # fmt: skip
    assert [each["dropped"] for each in next_day["items"]] == [None] * 3
    before = await world.sounds()
    await refill(world)
    assert await world.sounds() == before
