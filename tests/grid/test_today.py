"""Edits on the day of a session: what has begun is left, and what has not is as it is said now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from broadcast.wire.fields import BulletinClass
from tests.grid.test_relay_items import relay, source
from tests.grid.test_sessions import items, make, patch
from tests.inbox.conftest import AN, World

SOUNDING = [("17:00:00", "nhạc"), ("17:01:04", "tin"), ("17:02:08", "kết")]


async def today(world: World) -> list[tuple[str, str]]:
    """What is planned for the whole day, also of what has begun."""
    heard = await world.sounds(**{"from": "2024-12-28T00:00:00Z", "to": "2024-12-28T17:00:00Z"})
    return [(at[6:], what) for at, what, _ in heard]


@pytest.mark.parametrize(
    "edit",
    [
        {"skipped_on": ["2024-12-28"]},
        {"rrule": "FREQ=WEEKLY;BYDAY=SU"},
        {"starts_at": "2024-12-28T07:00:00+07:00"},
        {"starts_at": "2024-12-28T07:55:00+07:00"},
    ],
)
async def test_what_is_taken_from_today_before_it_begins_does_not_sound(
    world: World, edit: dict[str, Any]
) -> None:
    made = await make(world)
    assert await today(world) == SOUNDING
    made = await patch(world, made, **edit)
    assert await today(world) == []
    assert [what for at, what, _ in await world.sounds() if at.startswith("12-29")] == [
        "nhạc", "tin", "kết",
    ]  # fmt: skip
    back = {
        "skipped_on": [], "rrule": "FREQ=DAILY", "starts_at": "2024-12-28T17:00:00+07:00",
    }  # fmt: skip
    await patch(world, made, **back)
    assert await today(world) == SOUNDING


@pytest.mark.parametrize(
    "edit",
    [
        {"skipped_on": ["2024-12-28"]},
        {"rrule": "FREQ=WEEKLY;BYDAY=SU"},
        {"starts_at": "2024-12-28T07:00:00+07:00"},
        {"name": "Chiều"},
    ],
)
async def test_what_has_begun_goes_on_to_its_end(world: World, edit: dict[str, Any]) -> None:
    made = await make(world)
    world.now += timedelta(hours=9, seconds=30)  # 17:00:30, the signature tune sounds
    await patch(world, made, **edit)
    assert await today(world) == SOUNDING


async def test_a_session_whose_only_item_of_today_is_still_to_come_keeps_it(world: World) -> None:
    made = await make(world, "nhạc", seconds=900)
    made = await patch(world, made, items=[relay(await source(world))])
    assert await today(world) == [("17:05:00", "Tiếp âm VOV1")]
    world.now += timedelta(hours=9, minutes=2)
    await patch(world, made, name="Chiều")
    assert await today(world) == [("17:05:00", "Tiếp âm VOV1")]


async def test_an_item_whose_last_day_has_begun_lets_every_edit_through(world: World) -> None:
    made = await make(world)
    world.now += timedelta(hours=9, minutes=30)
    kept = items(made, "nhạc", "tin", "kết")
    kept[1]["last_on"] = "2024-12-28"
    made = await patch(world, made, items=kept)
    assert [what for at, what, _ in await world.sounds() if at.startswith("12-29")] == [
        "nhạc", "kết",
    ]  # fmt: skip
    for hours in (0, 2, 3):  # the item has ended meanwhile
        world.now += timedelta(hours=hours)
        await patch(world, made, except_on=[], name=f"Chiều {hours}")
        await patch(world, made, seconds=900 + hours)
    assert [what for _, what in await today(world)] == ["nhạc", "tin", "kết"]


async def test_a_priority_bulletin_finds_the_session_after_one_of_a_single_day(
    world: World,
) -> None:
    made = await make(world)
    first = await world.bulletin(class_=BulletinClass.PRIORITY, title="Bão")
    second = await world.bulletin(class_=BulletinClass.PRIORITY, title="Lũ")
    (item,) = await world.send(first, AN)
    assert item["state"] == "placed"
    assert ("17:01:04", "Bão") in await today(world)
    world.now += timedelta(hours=9, minutes=30)
    (item,) = await world.send(second, AN)
    assert item["state"] == "placed"
    assert [each[:2] for each in await world.sounds() if each[0].startswith("12-29")] == [
        ("12-29 17:00:00", "nhạc"), ("12-29 17:01:04", "Lũ"), ("12-29 17:02:08", "tin"),
        ("12-29 17:03:12", "kết"),
    ]  # fmt: skip
    await patch(world, made, except_on=[])
