"""Relays as items of sessions: at their hour, whatever stands around them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from broadcast import config
from broadcast.kit import db
from broadcast.programmes import contents
from broadcast.schedules.model import Occurrence
from broadcast.streams.model import StreamCodec, StreamSource
from broadcast.wire.fields import BulletinClass
from tests.grid.test_sessions import items, make, patch, today
from tests.inbox.conftest import AN, NOW, World

URL = "https://radio.example/vov1.mp3"


async def source(world: World, area: str = "51", name: str = "VOV1") -> int:
    fallback = await world.bulletin(area, title="Xin lỗi", seconds=60.0)
    async with db.transaction(world.engine) as session:
        by = await session.scalar(sa.text("SELECT min(id) FROM accounts"))
        row = StreamSource(
            name=name, area_code=area, urls=[URL], codec=StreamCodec.MP3,
            fallback_bulletin_id=fallback, entered_by=by, entered_at=NOW,
        )  # fmt: skip
        session.add(row)
        await session.flush()
        return row.id


def relay(source_id: int, at: str = "17:05", seconds: int = 240, **more: Any) -> dict[str, Any]:
    return {
        "kind": "relay", "relay_source_id": source_id, "relay_at": at, "relay_seconds": seconds,
    } | more  # fmt: skip


async def with_relay(world: World, titles: str = "nhạc một hai ba bốn kết") -> dict[str, Any]:
    made = await make(world, titles, seconds=900)
    kept = items(made, *titles.split())
    return await patch(world, made, items=[*kept[:-1], relay(await source(world)), kept[-1]])


async def test_a_relay_begins_at_its_hour_and_what_does_not_fit_before_comes_after(
    world: World,
) -> None:
    made = await with_relay(world)
    assert await today(world) == [
        ("17:00:00", "nhạc"), ("17:01:04", "một"), ("17:02:08", "hai"), ("17:03:12", "ba"),
        ("17:05:00", "Tiếp âm VOV1"), ("17:09:02", "bốn"), ("17:10:06", "kết"),
    ]  # fmt: skip
    item = next(each for each in made["items"] if each["kind"] == "relay")
    assert (item["relay_at"], item["relay_seconds"], item["seconds"]) == ("17:05", 240, 240)
    async with db.transaction(world.engine) as session:
        compiled = await contents.programmes(session, [f"area/{AN}"], config.Settings(), NOW)
    carried = [each for each in compiled.documents[0].items if each.stream is not None]
    assert {(each.ends_by - each.starts_at).total_seconds() for each in carried} == {240}
    assert {each.stream.url for each in carried if each.stream} == {URL}


async def test_an_item_from_above_that_is_too_long_for_the_time_before_comes_after(
    world: World,
) -> None:
    made = await with_relay(world, "nhạc một hai kết")
    urgent = await world.bulletin("51", BulletinClass.PRIORITY, "gấp", seconds=280.0)
    await world.send(urgent, AN, until="2024-12-28T20:00:00+07:00")
    assert await today(world) == [
        ("17:00:00", "nhạc"), ("17:05:00", "Tiếp âm VOV1"), ("17:09:02", "gấp"),
        ("17:13:44", "kết"),
    ]  # fmt: skip
    (day, *_) = await world.ok("An", "GET", f"/air-sessions/{made['id']}/days")
    assert {each["title"]: each["dropped"] for each in day["items"] if each["dropped"]} == {
        "một": "relay", "hai": "relay",
    }  # fmt: skip
    assert [each["title"] for each in day["items"]][-2:] == ["một", "hai"]


async def test_another_length_of_the_same_start_is_planned_at_once(world: World) -> None:
    made = await with_relay(world)
    kept = items(made, *(each["title"] for each in made["items"]))
    longer = [each | ({"relay_seconds": 300} if each["kind"] == "relay" else {}) for each in kept]
    await patch(world, made, items=longer)
    assert [at for at, what in await today(world) if what in {"Tiếp âm VOV1", "bốn"}] == [
        "17:05:00", "17:10:02",
    ]  # fmt: skip
    async with db.transaction(world.engine) as session:
        rows = await session.scalars(sa.select(Occurrence.relay_seconds).distinct())
        assert {each for each in rows if each} == {300}


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"relay_at": "17:12"}, "relay_at"),
        ({"relay_at": "16:59"}, "relay_at"),
        ({"relay_at": None}, "relay_at"),
        ({"relay_seconds": None}, "relay_seconds"),
        ({"kind": "own"}, "kind"),
        ({"relay_source_id": None}, "relay_source_id"),
        ({"relay_source_id": 4711}, "relay_source_id"),
    ],
)
async def test_a_relay_that_cannot_be_is_refused(
    world: World, item: dict[str, Any], field: str
) -> None:
    made = await make(world, seconds=900)
    kept = items(made, "nhạc", "tin", "kết")
    wrong = relay(await source(world)) | item
    answer = await world.ask(
        "An", "PATCH", f"/air-sessions/{made['id']}", {"items": [*kept, wrong]}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert [what for _, what in await today(world)] == ["nhạc", "tin", "kết"]


async def test_only_the_session_says_how_long_its_relay_is_and_it_stays_inside(
    world: World,
) -> None:
    made = await with_relay(world)
    item = next(each for each in made["items"] if each["kind"] == "relay")
    path = f"/schedules/{item['schedule_id']}"
    assert (await world.ask("An", "PATCH", path, {"relay_seconds": 300})).status_code == 409
    shorter = await world.ask("An", "PATCH", f"/air-sessions/{made['id']}", {"seconds": 500})
    assert (shorter.status_code, shorter.json()["field"]) == (422, "relay_at")
    other = await make(world, "x", starts_at="2024-12-28T19:00:00+07:00")
    elsewhere = relay(await source(world, "21253", "Phú Thọ"), "19:02", 120)
    answer = await world.ask(
        "Lan", "PATCH", f"/air-sessions/{other['id']}", {"items": [elsewhere]}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "targets")
