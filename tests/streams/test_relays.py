"""A schedule relays a source: made over REST, carried by documents, settled by the journal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from broadcast import config
from broadcast.kit import db
from broadcast.programmes import contents
from broadcast.schedules import relays
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.streams import register
from broadcast.streams.model import StreamCodec, StreamSource
from broadcast.streams.probing import Found, Look
from broadcast.wire.documents import Stream
from tests.inbox.conftest import AN, NOW, PHU, World

URLS = ["https://radio.example/vov1.mp3", "https://radio.example/vov1.m3u8"]
AT = "2024-12-28T17:00:00+07:00"
SOUND = Look(Found(URLS[0], StreamCodec.MP3, b"sound"), "")
NOTHING = Look(None, "máy “radio.example” không trả lời")


async def source(world: World, area: str = "51", who: str = "Lan", **more: Any) -> int:
    body = {
        "name": "VOV1", "area_code": area, "urls": URLS, "codec": "mp3",
        "fallback_bulletin_id": await world.bulletin(area, title="Xin lỗi", seconds=60.0),
    }  # fmt: skip
    made = await world.ok(who, "POST", "/stream-sources", body | more)
    return int(made["id"])


def relay(source_id: int, **more: Any) -> dict[str, Any]:
    return {
        "relay_source_id": source_id, "relay_seconds": 1800, "targets": [{"area": AN}],
        "starts_at": AT, "rrule": "FREQ=DAILY",
    } | more  # fmt: skip


async def look(world: World, source_id: int, found: Look, hours: float = 0) -> None:
    async with db.transaction(world.engine) as session:
        await register.record(session, source_id, found, NOW + timedelta(hours=hours))


async def streams(world: World) -> list[tuple[Stream | None, float]]:
    """What the programme of the commune relays, and how long its items last."""
    async with db.transaction(world.engine) as session:
        compiled = await contents.programmes(session, [f"area/{AN}"], config.Settings(), NOW)
    return [
        (item.stream, (item.ends_by - item.starts_at).total_seconds())
        for item in compiled.documents[0].items
    ]


async def test_a_commune_relays_a_source_of_the_province_with_its_fallback(world: World) -> None:
    made = await world.ok("An", "POST", "/schedules", relay(await source(world)))
    assert (made["title"], made["priority"], made["relay_seconds"]) == ("Tiếp âm VOV1", 64, 1800)
    carried = await streams(world)
    assert carried[0] == (Stream(url=URLS[0], further_urls=URLS[1:], codec="mp3"), 1800)
    async with db.transaction(world.engine) as session:
        compiled = await contents.programmes(session, [f"area/{AN}"], config.Settings(), NOW)
    async with db.transaction(world.engine) as session:
        fallback = await session.get_one(StreamSource, made["relay_source_id"])
    item = compiled.documents[0].items[0]
    assert item.bulletin_id == str(fallback.fallback_bulletin_id)
    assert {audio.codec for audio in item.audio} == {"opus", "mp3"}


async def test_an_address_that_is_mended_travels_to_what_is_planned(world: World) -> None:
    id_ = await source(world)
    await world.ok("An", "POST", "/schedules", relay(id_))
    async with db.transaction(world.engine) as session:
        await session.execute(sa.update(Occurrence).values(dirty=False))
    shown = await world.ok("Lan", "GET", f"/stream-sources/{id_}")
    body = {name: shown[name] for name in ("name", "area_code", "codec", "fallback_bulletin_id")}
    await world.ok("Lan", "PUT", f"/stream-sources/{id_}", body | {"urls": URLS[1:]})
    async with db.transaction(world.engine) as session:
        assert set(await session.scalars(sa.select(Occurrence.dirty))) == {True}
    assert (await streams(world))[0][0] == Stream(url=URLS[1], codec="mp3")


async def test_only_where_the_source_may_be_relayed_and_only_so_long(world: World) -> None:
    own = await source(world, AN, "An", name="Đài xã")
    refusals = [
        (relay(own, targets=[{"area": PHU}]), "targets"),
        (relay(own, relay_seconds=None), "relay_seconds"),
        (relay(own + 1), "relay_source_id"),
    ]
    for body, field in refusals:
        refused = await world.ask("Lan", "POST", "/schedules", body)
        assert refused.status_code == 422
        assert refused.json()["field"] == field, refused.text
    await world.ask("An", "DELETE", f"/stream-sources/{own}")
    refused = await world.ask("An", "POST", "/schedules", relay(own))
    assert refused.json()["field"] == "relay_source_id"
    nothing = {"targets": [{"area": AN}], "starts_at": AT}
    neither = await world.ask("An", "POST", "/schedules", nothing)
    assert neither.json()["field"] == "bulletin_id"


async def test_addresses_are_judged_as_they_are_entered(world: World) -> None:
    fallback = await world.bulletin(AN)
    for url in ("ftp://radio.example/a", "http://user:pw@radio.example", "http://127.1/"):
        body = {
            "name": "X", "area_code": AN, "urls": [url], "fallback_bulletin_id": fallback,
        }  # fmt: skip
        refused = await world.ask("An", "POST", "/stream-sources", body)
        assert refused.status_code == 422, url
    elsewhere = body | {"urls": URLS, "area_code": PHU}
    assert (await world.ask("An", "POST", "/stream-sources", elsewhere)).status_code == 403


async def test_its_minutes_count_against_other_schedules(world: World) -> None:
    """Half an hour of a relay meets what begins in its twentieth minute; a fallback would not."""
    await world.ok("An", "POST", "/schedules", relay(await source(world)))
    body = {
        "bulletin_id": await world.bulletin(AN), "targets": [{"area": AN}],
        "starts_at": "2024-12-28T17:20:00+07:00",
    }  # fmt: skip
    assert (await world.ask("An", "POST", "/schedules", body)).status_code == 409


async def test_a_source_that_is_silent_is_told_with_what_relies_on_it(world: World) -> None:
    id_ = await source(world)
    await world.ok("An", "POST", "/schedules", relay(id_, rrule="FREQ=DAILY;COUNT=12"))
    await look(world, id_, SOUND)
    await look(world, id_, NOTHING, hours=1)
    await look(world, id_, NOTHING, hours=2)
    state = await world.ok("An", "GET", f"/stream-sources/{id_}/state")
    assert (state["answers"], state["starts_count"]) == (False, 12)
    assert state["since"][:16] == "2024-12-28T09:00"
    assert state["answered_at"][:16] == "2024-12-28T08:00"
    world.now = NOW + timedelta(hours=3)
    (trouble,) = await world.ok("An", "GET", "/stream-warnings")
    assert "12 buổi phát trong 14 ngày tới" in trouble["text"]
    assert await world.ok("Phú", "GET", "/stream-warnings") == []
    later = relay(id_, starts_at="2024-12-28T19:00:00+07:00")
    found = await world.ok("An", "POST", "/schedules/check", later)
    assert any("không có âm thanh" in each["text"] for each in found["findings"])
    await look(world, id_, SOUND, hours=3)
    assert await world.ok("An", "GET", "/stream-warnings") == []


async def test_a_bulletin_does_not_become_a_relay(world: World) -> None:
    made = await world.ok("An", "POST", "/schedules", relay(await source(world)))
    path = f"/schedules/{made['id']}"
    shorter = await world.ok("An", "PATCH", path, {"relay_seconds": 900})
    assert shorter["relay_seconds"] == 900
    assert {lasts for _, lasts in await streams(world)} == {900}
    body = {"bulletin_id": await world.bulletin(AN), "targets": [{"area": AN}],
            "starts_at": "2024-12-28T19:00:00+07:00"}  # fmt: skip
    plain = await world.ok("An", "POST", "/schedules", body)
    changed = {"relay_source_id": made["relay_source_id"], "relay_seconds": 900}
    refused = await world.ask("An", "PATCH", f"/schedules/{plain['id']}", changed)
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("at", "is_told"),
    [("2025-11-30T23:59", False), ("2025-12-01T00:00", True), ("2026-01-05T08:00", True)],
)
async def test_case_14_schedules_tell_thirty_days_before_that_their_source_ends(
    world: World, at: str, is_told: bool
) -> None:
    """The address of a district's relay ends with 31/12/2025."""
    id_ = await source(world, last_day="2025-12-31")
    over = relay(id_, rrule="FREQ=DAILY;UNTIL=20251231")
    await world.ok("An", "POST", "/schedules", over | {"starts_at": "2024-12-28T19:00:00+07:00"})
    checked = await world.ok("An", "POST", "/schedules/check", relay(id_))
    assert any("đến hết ngày 31/12/2025; 31" in each["text"] for each in checked["findings"])
    goes_on = await world.ok("An", "POST", "/schedules", relay(id_))
    world.now = datetime.fromisoformat(f"{at}:00+07:00")
    told = await world.ok("Lan", "GET", "/stream-warnings")
    async with db.transaction(world.engine) as session:
        pages = {
            str(each.id): await relays.ending(session, each, world.now)
            for each in await session.scalars(sa.select(Schedule))
        }
    assert [each["last_day"] for each in told] == (["2025-12-31"] if is_told else [])
    assert [each for each in pages if pages[each]] == ([goes_on["id"]] if is_told else [])
    for each in told:
        first = "2026-01-01T17:00" if world.now.year == 2025 else "2026-01-05T17:00"
        assert (each["starts_count"], each["first_starts_at"][:16]) == (31, first)
        assert [each["text"]] == pages[goes_on["id"]]


async def test_no_new_schedule_relies_on_a_source_after_its_last_day(world: World) -> None:
    id_ = await source(world, last_day="2025-01-05")
    late = relay(id_, starts_at="2025-01-06T05:00:00+07:00")
    refused = await world.ask("An", "POST", "/schedules", late)
    assert (refused.status_code, refused.json()["field"]) == (422, "relay_source_id")
    last = relay(id_, starts_at="2025-01-05T17:00:00+07:00", rrule=None)
    checked = await world.ok("An", "POST", "/schedules/check", last)
    assert not [each for each in checked["findings"] if "VOV1" in each["text"]]
