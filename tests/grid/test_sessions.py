"""Sessions over REST: what they come to, and what edits leave alone."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from broadcast.config import Rules
from broadcast.grid import filling
from broadcast.kit import db
from broadcast.wire.fields import BulletinClass
from tests.inbox.conftest import AN, PHU, World

P, N = BulletinClass.PRIORITY, BulletinClass.NORMAL


async def make(
    world: World, titles: str = "nhạc tin kết", seconds: int = 600, **more: Any
) -> dict[str, Any]:
    """A session of Nghĩa An at 17:00 with items of a minute, the first its signature tune."""
    kinds = {"nhạc": "signature", "kết": "closing"}
    items = [
        {"bulletin_id": await world.bulletin(AN, title=each), "kind": kinds.get(each, "own")}
        for each in titles.split()
    ]
    body = {
        "area_code": AN, "name": "Buổi chiều", "starts_at": "2024-12-28T17:00:00+07:00",
        "seconds": seconds, "items": items, **more,
    }  # fmt: skip
    made: dict[str, Any] = await world.ok("An", "POST", "/air-sessions", body)
    return made


async def patch(world: World, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    path = f"/air-sessions/{made['id']}"
    return dict(await world.ok("An", "PATCH", path, body))


async def today(world: World) -> list[tuple[str, str]]:
    return [(at[6:], what) for at, what, _ in await world.sounds() if at.startswith("12-28")]


async def ids(world: World, state: str = "planned") -> dict[str, tuple[str, str]]:
    page = await world.ok("Lan", "GET", f"/occurrences?state={state}&limit=500")
    return {each["id"]: (each["title"], each["starts_at"]) for each in page["items"]}


def items(made: dict[str, Any], *titles: str) -> list[dict[str, Any]]:
    by_title = {each["title"]: each for each in made["items"]}
    return [{"id": by_title[each]["id"], "kind": by_title[each]["kind"]} for each in titles]


async def test_its_items_sound_in_their_order_every_day(world: World) -> None:
    made = await make(world)
    assert [each["title"] for each in made["items"]] == ["nhạc", "tin", "kết"]
    assert await today(world) == [("17:00:00", "nhạc"), ("17:01:04", "tin"), ("17:02:08", "kết")]
    heard = await world.sounds()
    assert len(heard) == 3 * 8  # the days for which there are occurrences
    assert {documents for at, _, documents in heard if at < "12-32" and at > "12"} == {
        (f"area/{AN}",)
    }
    (day, *_) = await world.ok("Dõi", "GET", f"/air-sessions/{made['id']}/days")
    assert [each["starts_at"][11:19] for each in day["items"]] == [
        "17:00:00", "17:01:04", "17:02:08",
    ]  # fmt: skip
    for who, status in {"Phú": 404, "Dõi": 403}.items():
        refused = await world.ask(who, "PATCH", f"/air-sessions/{made['id']}", {"seconds": 900})
        assert refused.status_code == status


async def test_what_an_edit_does_not_touch_keeps_its_occurrences(world: World) -> None:
    made = await make(world, "nhạc một hai kết")
    before = await ids(world)
    made = await patch(world, made, items=items(made, "nhạc", "hai", "một", "kết"))
    after = await ids(world)
    assert {each: what for each, what in before.items() if what[0] in {"nhạc", "kết"}} == {
        each: what for each, what in after.items() if what[0] in {"nhạc", "kết"}
    }
    assert [what for _, what in await today(world)] == ["nhạc", "hai", "một", "kết"]
    made = await patch(world, made, items=items(made, "nhạc", "một", "hai", "kết"))
    assert await ids(world) == before
    await patch(world, made, name="Chiều")
    assert await ids(world) == before


async def test_a_start_that_was_left_out_stays_so_through_every_edit(world: World) -> None:
    made = await make(world, "nhạc một hai kết")
    (gone,) = [
        id_ for id_, (title, at) in (await ids(world)).items()
        if title == "một" and at.startswith("2024-12-30")
    ]  # fmt: skip
    await world.ok("An", "PATCH", f"/occurrences/{gone}", {"cancelled": True})
    edits: list[dict[str, Any]] = [
        {"items": items(made, "nhạc", "hai", "một", "kết")},
        {"starts_at": "2024-12-28T18:00:00+07:00"},
        {"skipped_on": ["2024-12-30"]},
        {"skipped_on": []},
        {"rrule": "FREQ=WEEKLY;BYDAY=TU,SA"},
        {"rrule": "FREQ=DAILY"},
    ]
    for each in edits:
        made = await patch(world, made, **each)
        heard = [(at[:5], what) for at, what, _ in await world.sounds()]
        assert ("12-30", "một") not in heard
    assert heard.count(("12-30", "hai")) == 1  # what follows comes forward
    assert [at[6:] for at, what, _ in await world.sounds() if at.startswith("12-30")] == [
        "18:00:00", "18:01:04", "18:02:08",
    ]  # fmt: skip


async def test_what_finds_no_room_is_the_lowest_and_that_is_said(world: World) -> None:
    made = await make(world, "nhạc một hai kết", seconds=260)
    urgent = await world.bulletin(AN, P, "gấp")
    added = {"bulletin_id": urgent, "first_on": "2024-12-29", "last_on": "2024-12-29"}
    kept = items(made, "nhạc", "một", "hai", "kết")
    made = await patch(world, made, items=[kept[0], added, *kept[1:]])
    heard = [(at, what) for at, what, _ in await world.sounds()]
    assert [each for each in heard if each[0].startswith("12-29")] == [
        ("12-29 17:00:00", "nhạc"), ("12-29 17:01:04", "gấp"), ("12-29 17:02:08", "một"),
        ("12-29 17:03:12", "kết"),
    ]  # fmt: skip
    assert [what for at, what in heard if at.startswith("12-30")] == ["nhạc", "một", "hai", "kết"]
    days = await world.ok("An", "GET", f"/air-sessions/{made['id']}/days")
    (two,) = [each for each in days[1]["items"] if each["title"] == "hai"]
    assert (two["starts_at"], two["dropped"]) == (None, "no_time")
    page = await world.ok("Lan", "GET", "/occurrences?state=cancelled&limit=500")
    assert "không đủ giờ trong buổi phát" in {each["cancel_reason"] for each in page["items"]}
    made = await patch(world, made, seconds=600)
    heard = [(at, what) for at, what, _ in await world.sounds()]
    assert ("12-29 17:03:12", "hai") in heard


async def test_what_clashes_is_refused_and_nothing_is_changed(world: World) -> None:
    await world.own("2024-12-29T17:02:00+07:00", N, "Mùa vụ")
    body = {
        "area_code": AN, "name": "Buổi chiều", "starts_at": "2024-12-28T17:00:00+07:00",
        "seconds": 600,
        "items": [{"bulletin_id": await world.bulletin(AN, title=str(n))} for n in range(3)],
    }  # fmt: skip
    refused = await world.ask("An", "POST", "/air-sessions", body)
    assert (refused.status_code, refused.json()["clashes"][0]["other_title"]) == (409, "Mùa vụ")
    assert (await world.ok("An", "GET", "/air-sessions"))["items"] == []
    body["rrule"] = "FREQ=WEEKLY;BYDAY=SA"
    made = await world.ok("An", "POST", "/air-sessions", body)
    refused = await world.ask(
        "An", "PATCH", f"/air-sessions/{made['id']}", {"rrule": "FREQ=DAILY"}
    )
    assert refused.status_code == 409
    assert (await world.ok("An", "GET", f"/air-sessions/{made['id']}")) == made
    late = await world.ask(
        "An", "PATCH", f"/air-sessions/{made['id']}", {"starts_at": "2024-12-28T21:55:00+07:00"}
    )
    assert (late.status_code, late.json()["field"]) == (422, "starts_at")  # quiet from 22:00 on


async def test_only_the_session_says_when_its_items_sound(world: World) -> None:
    made = await make(world)
    path = f"/schedules/{made['items'][1]['schedule_id']}"
    for method, way, body in (
        ("PATCH", path, {"starts_at": "2024-12-28T19:00:00+07:00"}),
        ("POST", f"{path}/split", {"from": "2024-12-30"}),
    ):
        refused = await world.ask("An", method, way, body)
        assert refused.status_code == 409
        assert "Khung chương trình" in refused.json()["detail"]
    await world.ok("An", "PATCH", path, {"volume": 40})
    made = await patch(world, made, items=items(made, "nhạc", "kết"))
    assert [what for _, what in await today(world)] == ["nhạc", "kết"]
    refused = await world.ask("An", "POST", f"{path}/reinstate")
    assert refused.status_code == 409
    await world.ok("An", "POST", f"/air-sessions/{made['id']}/end")
    assert await world.sounds() == []
    refused = await world.ask("An", "PATCH", f"/air-sessions/{made['id']}", {"seconds": 900})
    assert refused.status_code == 409


async def test_days_that_come_nearer_are_filled_and_what_has_begun_is_left(world: World) -> None:
    made = await make(world)
    world.now += timedelta(hours=9, seconds=30)  # 17:00:30, the signature tune sounds
    before = {each: of for each, of in (await ids(world)).items() if "2024-12-28" in of[1]}
    made = await patch(world, made, items=items(made, "tin", "nhạc", "kết"))
    assert before.items() <= (await ids(world)).items()
    assert [what for _, what in await today(world)] == ["tin", "kết"]
    assert [what for at, what, _ in await world.sounds() if "12-29" in at] == [
        "tin", "nhạc", "kết",
    ]  # fmt: skip
    world.now += timedelta(days=10)
    async with db.transaction(world.engine) as session:
        await filling.fill_some(session, await filling.going_on(session), Rules(), world.now)
    heard = [at[:5] for at, what, _ in await world.sounds() if what == "tin"]
    assert heard == [f"01-{day:02}" for day in range(8, 16)]
    twice = await ids(world)
    async with db.transaction(world.engine) as session:
        await filling.fill_some(session, await filling.going_on(session), Rules(), world.now)
    assert await ids(world) == twice


async def test_any_order_of_edits_comes_to_the_same(world: World) -> None:
    made = await make(world, "nhạc một hai ba kết", seconds=330)
    chance = Random(69)
    steps: list[dict[str, Any]] = [
        {"seconds": 270},
        {"may_overrun": True},
        {"starts_at": "2024-12-28T17:30:00+07:00"},
        {"skipped_on": ["2024-12-31"]},
        {"rrule": "FREQ=WEEKLY;BYDAY=SA,SU,TU"},
        {"items": items(made, "nhạc", "ba", "hai", "một", "kết")},
    ]
    start = {name: made[name] for name in ("seconds", "may_overrun", "starts_at", "skipped_on")}
    start |= {"rrule": made["rrule"], "items": items(made, "nhạc", "một", "hai", "ba", "kết")}
    found = set()
    for _ in range(2):
        chance.shuffle(steps)
        for each in steps:
            made = await patch(world, made, **each)
        found.add(tuple((await ids(world)).items()))
        made = await patch(world, made, **start)
    assert len(found) == 1


async def test_a_priority_item_from_above_comes_after_the_tune_and_shifts_the_rest(
    world: World,
) -> None:
    await make(world, "nhạc tin kết", seconds=205)
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    assert item["state"] == "placed"
    heard = [(at, what) for at, what, _ in await world.sounds()]
    assert [what for at, what in heard if at.startswith("12-28")] == ["nhạc", "Phòng dịch", "kết"]
    assert [what for at, what in heard if at.startswith("12-29")] == ["nhạc", "tin", "kết"]
    nothing = await world.ask("An", "GET", f"/inbox-items/{item['id']}/order")
    assert nothing.status_code == 404  # to decide


async def test_the_commune_orders_what_meets_its_own_in_the_session(world: World) -> None:
    made = await make(world)
    urgent = {"bulletin_id": await world.bulletin(AN, P, "Họp dân")}
    kept = items(made, "nhạc", "tin", "kết")
    await patch(world, made, items=[*kept[:2], urgent, kept[2]])
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    path = f"/inbox-items/{item['id']}/order"
    source = ["nhạc", "Phòng dịch", "tin", "Họp dân", "kết"]
    own = ["nhạc", "tin", "Họp dân", "Phòng dịch", "kết"]
    shown = await world.ok("Dõi", "GET", path)
    assert [[each["title"] for each in shown[name]] for name in ("source_first", "own_first")] == [
        source, own,
    ]  # fmt: skip
    for first, expected in ((False, own), (True, source)):
        await world.ok("An", "PUT", path, {"source_first": first})
        assert [what for _, what in await today(world)] == expected
    world.now += timedelta(hours=8, minutes=56)
    assert (await world.ask("An", "PUT", path, {"source_first": False})).status_code == 409
    world.now += timedelta(minutes=10)
    order = await world.ok("An", "GET", path)
    assert (order["settled"], order["is_source_first"]) == ("decided", True)


async def test_what_the_commune_picks_becomes_an_item_until_its_use_ends(world: World) -> None:
    made = await make(world)
    (item,) = await world.send(await world.bulletin(), AN, until="2024-12-30T17:05:00+07:00")
    (other,) = await world.send(await world.bulletin(), PHU)
    body = {"air_session": made["id"]}
    refused = await world.ask("Phú", "POST", f"/inbox-items/{other['id']}/pick", body)
    assert refused.status_code == 404
    picked = await world.ok("An", "POST", f"/inbox-items/{item['id']}/pick", body)
    assert picked["item"]["state"] == "picked"
    heard = [(at[:5], what) for at, what, _ in await world.sounds() if what == "Tiêm phòng"]
    assert heard == [("12-28", "Tiêm phòng"), ("12-29", "Tiêm phòng")]
    assert [what for _, what in await today(world)] == ["nhạc", "tin", "Tiêm phòng", "kết"]
