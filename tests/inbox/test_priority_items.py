"""A priority bulletin from above: placed in the next session, and who comes first there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import event

from broadcast.kit.locks import Lock
from broadcast.schedules.authority import AuthorityOrder
from broadcast.wire.fields import BulletinClass
from tests.inbox.conftest import AN, PHU, World

P, N = BulletinClass.PRIORITY, BulletinClass.NORMAL
FIVE = "2024-12-28T17:00:00+07:00"


async def test_it_begins_the_next_session_and_what_is_normal_follows(world: World) -> None:
    await world.own(FIVE, N, "Mùa vụ")
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    assert item["state"] == "placed"
    assert [each[:2] for each in await world.sounds()] == [
        ("12-28 17:00:00", "Phòng dịch"),
        ("12-28 17:01:07", "Mùa vụ"),
    ]
    nothing = await world.ask("An", "GET", f"/inbox-items/{item['id']}/order")
    assert nothing.status_code == 404  # to decide


async def test_without_a_session_it_gets_a_free_time_and_each_commune_its_own(
    world: World,
) -> None:
    await world.own(FIVE, N, "Mùa vụ")
    sent = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN, PHU)
    assert {each["state"] for each in sent} == {"placed"}
    assert len({each["schedule_id"] for each in sent}) == 2
    found = {scopes: at for at, title, scopes in await world.sounds() if title == "Phòng dịch"}
    assert found == {(f"area/{AN}",): "12-28 17:00:00", (f"area/{PHU}",): "12-28 17:00:00"}


async def test_where_nothing_is_free_until_its_use_ends_the_commune_is_asked(world: World) -> None:
    bulletin = await world.bulletin(class_=P)
    (item,) = await world.send(bulletin, AN, until="2024-12-28T08:12:00+07:00")
    assert item["state"] == "waiting"
    assert await world.sounds() == []


async def test_the_commune_decides_the_order_until_five_minutes_before(world: World) -> None:
    await world.own(FIVE, P, "Họp dân")
    await world.own("2024-12-28T17:01:30+07:00", N, "Mùa vụ")
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    path = f"/inbox-items/{item['id']}/order"

    async def heard() -> list[tuple[str, str]]:
        return [(at[6:], title) for at, title, _ in await world.sounds()]

    source = [
        ("17:00:00", "Phòng dịch"), ("17:01:07", "Họp dân"), ("17:02:14", "Mùa vụ"),
    ]  # fmt: skip
    own = [
        ("17:00:00", "Họp dân"), ("17:01:07", "Phòng dịch"), ("17:02:14", "Mùa vụ"),
    ]  # fmt: skip
    assert await heard() == source
    order = await world.ok("Dõi", "GET", path)
    assert (order["settled"], order["is_source_first"]) == ("open", True)
    assert order["deadline_at"].startswith("2024-12-28T16:55")
    shown = {
        name: [(each["starts_at"][11:19], each["title"]) for each in order[name]]
        for name in ("source_first", "own_first")
    }
    assert shown == {"source_first": source, "own_first": own}
    for who, status in {"Lan": 403, "Quản": 403, "Dõi": 403, "Phú": 404}.items():
        refused = await world.ask(who, "PUT", path, {"source_first": False})
        assert refused.status_code == status
    for first, expected in ((False, own), (True, source), (False, own)):
        decided = await world.ok("An", "PUT", path, {"source_first": first})
        assert (decided["settled"], decided["decided_by"]["name"]) == ("decided", "An")
        assert await heard() == expected
    world.now += timedelta(hours=8, minutes=55)
    late = await world.ask("An", "PUT", path, {"source_first": True})
    assert late.status_code == 409
    assert await heard() == own


async def test_all_that_is_moved_is_locked_before_the_grid(world: World) -> None:
    await world.own(FIVE, P, "Họp dân")
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    locks = []

    def note(conn: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "pg_advisory_xact_lock" in statement and values[0] == Lock.SCHEDULES:
            locks.append("grid")
        elif "FROM schedules" in statement and "FOR UPDATE" in statement:
            locks.append("in order" if "ORDER BY schedules.id" in statement else "one")

    event.listen(world.engine.sync_engine, "before_cursor_execute", note)
    await world.ok("An", "PUT", f"/inbox-items/{item['id']}/order", {"source_first": False})
    event.remove(world.engine.sync_engine, "before_cursor_execute", note)
    assert "grid" in locks
    assert "in order" in locks[: locks.index("grid")]


async def test_without_a_word_the_source_comes_first_and_that_is_said(world: World) -> None:
    await world.own(FIVE, P, "Họp dân")
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    world.now += timedelta(hours=8, minutes=55)
    order = await world.ok("An", "GET", f"/inbox-items/{item['id']}/order")
    assert (order["settled"], order["decided_by"]) == ("by_default", None)
    counts = (await world.ok("Lan", "GET", "/inbox-compliance"))["total"]
    assert (counts["priority"], counts["placed"], counts["orders_by_default"]) == (1, 1, 1)


async def test_an_item_that_the_commune_has_dropped_is_not_moved_back(world: World) -> None:
    mine = await world.own(FIVE, P, "Họp dân")
    await world.own("2024-12-28T17:01:30+07:00", P, "Mất điện")
    (item,) = await world.send(await world.bulletin(class_=P, title="Phòng dịch"), AN)
    await world.ok("An", "PATCH", f"/occurrences/{mine}", {"cancelled": True})
    await world.ok("An", "PUT", f"/inbox-items/{item['id']}/order", {"source_first": False})
    assert [(at[6:], title) for at, title, _ in await world.sounds()] == [
        ("17:01:30", "Mất điện"), ("17:02:37", "Phòng dịch"),
    ]  # fmt: skip


async def test_a_withdrawn_source_sounds_nowhere_and_nothing_is_decided(world: World) -> None:
    await world.own(FIVE, P, "Họp dân")
    bulletin = await world.bulletin(class_=P, title="Phòng dịch")
    (item,) = await world.send(bulletin, AN)
    await world.ok("Quản", "POST", f"/bulletins/{bulletin}/revisions/1/withdraw", {"note": "Sai"})
    assert [title for _, title, _ in await world.sounds()] == ["Họp dân"]
    refused = await world.ask(
        "An", "PUT", f"/inbox-items/{item['id']}/order", {"source_first": False}
    )
    assert refused.status_code == 409


async def test_the_order_of_authorities_is_chosen_for_later_and_decides_priorities(
    world: World,
) -> None:
    assert await world.ok("An", "GET", "/authority-orders") == []
    body = {"levels": ["commune", "province", "district"]}
    refused = await world.ask("An", "PUT", "/authority-orders/2024-12-29", body)
    assert refused.status_code == 403
    today = await world.ask("Quản", "PUT", "/authority-orders/2024-12-28", body)
    assert today.json()["field"] == "valid_from"
    twice = {"levels": ["commune", "commune", "district"]}
    wrong = await world.ask("Quản", "PUT", "/authority-orders/2024-12-29", twice)
    assert wrong.json()["field"] == "levels"
    await world.ok("Quản", "PUT", "/authority-orders/2024-12-29", body)
    assert (await world.ok("An", "GET", "/authority-orders"))[0]["levels"] == body["levels"]

    async def priorities(day: str) -> list[int]:
        found = []
        for area, at in (("51", "06:00"), (AN, "07:00")):
            made = {
                "bulletin_id": await world.bulletin(area, P), "targets": [{"area": AN}],
                "starts_at": f"{day}T{at}:00+07:00",
            }  # fmt: skip
            found.append((await world.ok("Lan", "POST", "/schedules", made))["priority"])
        return found

    assert await priorities("2024-12-30") == [144, 128]
    world.now += timedelta(days=1)
    assert await priorities("2024-12-31") == [136, 144]
    assert AuthorityOrder.is_recorded  # who has chosen it stands in the audit
