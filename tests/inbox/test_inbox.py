"""The inbox of a commune: nothing from above sounds before it is picked, and then once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import sqlalchemy as sa

from broadcast.auth.permissions import Role
from broadcast.kit import db
from broadcast.schedules.model import Schedule
from broadcast.wire.fields import BulletinClass
from tests.inbox.conftest import AN, PHU, World

MISSING = "e3e70682-c209-4cac-a29f-6fbed82c07cd"


async def test_a_normal_bulletin_of_the_province_waits_in_each_inbox_and_sounds_nowhere(
    world: World,
) -> None:
    bulletin = await world.bulletin()
    sent = await world.send(bulletin, PHU, AN)
    assert {each["commune_code"]: each["state"] for each in sent} == {
        PHU: "waiting", AN: "waiting",
    }  # fmt: skip
    assert await world.sounds() == []
    assert len(await world.inbox("Lan")) == 2
    (own,) = (await world.ok("An", "GET", "/inbox-items"))["items"]
    assert (own["commune_code"], own["title"]) == (AN, "Tiêm phòng")
    assert list((await world.inbox("Dõi")).values()) == ["waiting"]
    audio = await world.ask("An", "GET", f"/bulletins/{bulletin}/revisions/1/audio?codec=mp3")
    assert audio.status_code == 200  # to hear it before it is picked


async def test_a_schedule_by_the_province_is_refused_and_says_where_it_goes(world: World) -> None:
    body = {
        "bulletin_id": await world.bulletin(), "targets": [{"area": "51"}],
        "starts_at": "2024-12-28T17:00:00+07:00",
    }  # fmt: skip
    for path in ("/schedules", "/schedules/preview", "/schedules/check"):
        refused = await world.ask("Lan", "POST", path, body)
        assert refused.status_code == 409
        assert "Gửi đến các xã" in refused.json()["detail"]
    proposed = await world.ask("Lan", "POST", "/schedules", body | {"when_approved": True})
    assert proposed.status_code == 409


async def test_a_commune_picks_it_with_one_press_at_a_free_time(world: World) -> None:
    item = await world.item()
    picked = await world.ok("An", "POST", f"/inbox-items/{item}/pick", {})
    assert picked["item"]["state"] == "picked"
    assert picked["item"]["answered_by"]["name"] == "An"
    assert picked["schedule"]["id"] == picked["item"]["schedule_id"]
    assert await world.sounds() == [("12-28 17:00:00", "Tiêm phòng", (f"area/{AN}",))]


async def test_or_places_it_itself_until_its_use_ends(world: World) -> None:
    item = await world.item()
    body = {
        "starts_at": "2025-01-18T06:30:00+07:00", "rrule": "FREQ=DAILY",
        "targets": [{"area": "T-2"}],
    }  # fmt: skip
    picked = await world.ok("An", "POST", f"/inbox-items/{item}/pick", body)
    starts = picked["schedule"]["plan"]["starts"]
    assert [each[:16] for each in starts] == ["2025-01-18T06:30", "2025-01-19T06:30"]
    assert picked["schedule"]["targets"] == [{"area": "T-2"}]


async def test_only_within_the_commune_and_within_its_use(world: World) -> None:
    item = await world.item()
    late, night = "2025-01-25T17:00:00+07:00", "2024-12-28T23:00:00+07:00"
    often = {"starts_at": "2025-01-15T17:00:00+07:00", "rrule": "FREQ=DAILY;COUNT=9"}
    seldom = "FREQ=WEEKLY;INTERVAL=6;COUNT=2"  # beyond what a plan shows
    bodies: list[tuple[dict[str, object], str | None]] = [
        ({"targets": [{"area": PHU}]}, None),
        ({"targets": [{"area": "51"}]}, None),
        ({"starts_at": late}, "starts_at"),
        ({"starts_at": night}, "starts_at"),
        ({**often}, "rrule"),
        ({"starts_at": "2024-12-30T17:00:00+07:00", "rrule": seldom}, "rrule"),
    ]
    for body, field in bodies:
        refused = await world.ask("An", "POST", f"/inbox-items/{item}/pick", body)
        assert refused.status_code == (403 if field is None else 422), refused.text
        assert refused.json().get("field") == field
    assert await world.inbox("An") == {item: "waiting"}
    assert await world.sounds() == []


async def test_the_commune_decides_and_nobody_else(world: World) -> None:
    item = await world.item()
    for who, status in {"Lan": 403, "Quản": 403, "Dõi": 403, "Phú": 404}.items():
        for path, body in (("pick", {}), ("decline", {"reason": "Không"})):
            answer = await world.ask(who, "POST", f"/inbox-items/{item}/{path}", body)
            assert answer.status_code == status, (who, answer.text)
    assert (await world.ask("Phú", "GET", f"/inbox-items/{item}")).status_code == 404
    assert await world.inbox("An") == {item: "waiting"}


async def test_two_who_pick_at_once_make_one_schedule(world: World) -> None:
    item = await world.item()
    path = f"/inbox-items/{item}/pick"
    answers = await asyncio.gather(*(world.ask(who, "POST", path, {}) for who in ("An", "Ân")))
    assert sorted(each.status_code for each in answers) == [200, 409]
    (refused,) = [each.json() for each in answers if each.status_code == 409]
    (made,) = [each.json() for each in answers if each.status_code == 200]
    assert refused["schedule_id"] == made["schedule"]["id"]
    assert len(await world.sounds()) == 1


async def test_a_commune_declines_with_a_reason_and_then_cannot_pick(world: World) -> None:
    item = await world.item()
    path = f"/inbox-items/{item}"
    assert (await world.ask("An", "POST", f"{path}/decline", {"reason": " "})).status_code == 422
    declined = await world.ok("An", "POST", f"{path}/decline", {"reason": "Đã phát tuần trước"})
    assert (declined["state"], declined["reason"]) == ("declined", "Đã phát tuần trước")
    refused = await world.ask("Ân", "POST", f"{path}/pick", {})
    assert refused.status_code == 409
    assert "Đã phát tuần trước" in refused.json()["detail"]
    assert (await world.ok("Lan", "GET", path))["reason"] == "Đã phát tuần trước"


async def test_what_nobody_answers_is_over_with_its_use(world: World) -> None:
    (sent,) = await world.send(await world.bulletin(), AN, until="2024-12-30")
    item = sent["id"]
    world.now += timedelta(days=2)
    assert await world.inbox("An") == {item: "expired"}
    refused = await world.ask("An", "POST", f"/inbox-items/{item}/pick", {})
    assert refused.status_code == 409
    await world.send(
        sent["bulletin_id"], AN, until="2025-03-01"
    )  # sent again: one item, of use again
    assert await world.inbox("An") == {item: "waiting"}


async def test_a_withdrawn_bulletin_stops_everywhere_and_cannot_be_picked(world: World) -> None:
    bulletin = await world.bulletin()
    items = {each["commune_code"]: each["id"] for each in await world.send(bulletin, AN, PHU)}
    await world.ok("An", "POST", f"/inbox-items/{items[AN]}/pick", {})
    await world.ok("Quản", "POST", f"/bulletins/{bulletin}/revisions/1/withdraw", {"note": "Sai"})
    assert await world.sounds() == []
    assert set((await world.inbox("Lan")).values()) == {"withdrawn"}
    assert await world.inbox("Phú") == {items[PHU]: "withdrawn"}
    refused = await world.ask("Phú", "POST", f"/inbox-items/{items[PHU]}/pick", {})
    assert refused.status_code == 409


async def test_a_picked_schedule_is_changed_by_the_commune_but_never_widened(world: World) -> None:
    item = await world.item()
    made = await world.ok("An", "POST", f"/inbox-items/{item}/pick", {})
    path = f"/schedules/{made['schedule']['id']}"
    later = {"starts_at": "2024-12-29T17:00:00+07:00", "targets": [{"area": "T-2"}]}
    await world.ok("An", "PATCH", path, later)
    refused = await world.ask("Lan", "PATCH", path, {"targets": [{"area": "51"}]})
    assert refused.json()["field"] == "targets"
    await world.ok("An", "POST", f"{path}/withdraw")
    again = await world.ok("An", "POST", f"/inbox-items/{item}/pick", {})  # withdrawn: once more
    assert again["schedule"]["id"] != made["schedule"]["id"]
    assert await world.sounds() == [("12-28 17:00:00", "Tiêm phòng", (f"area/{AN}",))]


async def test_a_picked_schedule_stays_within_its_use_whatever_is_changed(world: World) -> None:
    (item,) = await world.send(await world.bulletin(), AN, until="2024-12-30T18:00:00+07:00")
    body = {"starts_at": "2024-12-28T17:00:00+07:00", "rrule": "FREQ=DAILY"}
    made = await world.ok("An", "POST", f"/inbox-items/{item['id']}/pick", body)
    path = f"/schedules/{made['schedule']['id']}"
    before = await world.sounds()
    assert [at[:5] for at, *_ in before] == ["12-28", "12-29", "12-30"]
    page = await world.ok("Lan", "GET", f"/occurrences?schedule={made['schedule']['id']}")
    last = f"/occurrences/{page['items'][2]['id']}"
    changes: list[tuple[str, dict[str, object], str]] = [
        (path, {"rrule": "FREQ=DAILY"}, "rrule"),
        (path, {"rrule": "FREQ=WEEKLY;INTERVAL=9;COUNT=2"}, "rrule"),
        (path, {"dates": ["2025-02-01T17:00:00+07:00"]}, "rrule"),
        (path, {"starts_at": "2024-12-31T17:00:00+07:00", "rrule": None}, "starts_at"),
        (last, {"starts_at": "2024-12-30T18:00:01+07:00"}, "starts_at"),
    ]
    for at, change, field in changes:
        refused = await world.ask("An", "PATCH", at, change)
        assert (refused.status_code, refused.json()["field"]) == (422, field), change
        assert "18:00 30/12/2024" in refused.json()["detail"]
    assert await world.sounds() == before
    await world.ok("An", "PATCH", last, {"starts_at": "2024-12-30T18:00:00+07:00"})


async def test_a_schedule_from_before_the_inbox_keeps_sounding_and_is_not_widened(
    world: World,
) -> None:
    item = await world.item()
    made = await world.ok("An", "POST", f"/inbox-items/{item}/pick", {})
    async with db.transaction(world.engine) as session:  # as the province made it then
        await session.execute(sa.update(Schedule).values(targets=[{"area": "51"}]))
    path = f"/schedules/{made['schedule']['id']}"
    await world.ok("Lan", "PATCH", path, {"starts_at": "2024-12-28T18:00:00+07:00"})
    assert await world.sounds() == [("12-28 18:00:00", "Tiêm phòng", ("area/51",))]


async def test_after_a_merger_the_inbox_is_that_of_the_new_commune(world: World) -> None:
    bulletin = await world.bulletin()
    items = {each["commune_code"]: each["id"] for each in await world.send(bulletin, AN, PHU)}
    world.now += timedelta(days=5)
    assert await world.inbox("An") == {}  # until somebody confirms the grant in the new commune
    await world.employ("Mới", Role.COMMUNE_BROADCASTER, AN)
    assert set(await world.inbox("Mới")) == set(items.values())
    picked = await world.ok("Mới", "POST", f"/inbox-items/{items[PHU]}/pick", {})
    assert picked["schedule"]["targets"] == [{"area": AN}]
    # Both were one bulletin to one station: it is answered once.
    assert set((await world.inbox("Mới")).values()) == {"picked"}
    second = await world.ask("Mới", "POST", f"/inbox-items/{items[AN]}/pick", {})
    assert second.status_code == 409
    assert len(await world.sounds()) == 1


async def test_what_is_sent_is_checked(world: World) -> None:
    body = {"bulletin_id": await world.bulletin(), "areas": [AN], "useful_until": "2025-01-20"}
    changes: list[tuple[dict[str, object], str]] = [
        ({"areas": ["99999"]}, "areas.0"),
        ({"useful_until": "2024-12-01"}, "useful_until"),
        ({"useful_until": "2027-12-01"}, "useful_until"),
    ]
    for change, field in changes:
        refused = await world.ask("Lan", "POST", "/inbox-items", body | change)
        assert refused.json()["field"] == field, refused.text


async def test_only_from_above_and_only_what_waits_or_is_placed(world: World) -> None:
    body = {"areas": [AN], "useful_until": "2025-01-20"}
    of_commune = {"bulletin_id": await world.bulletin(AN)}
    emergency = {"bulletin_id": await world.bulletin("51", BulletinClass.EMERGENCY)}
    for each, who in ((of_commune, "Lan"), (emergency, "Quản")):
        refused = await world.ask(who, "POST", "/inbox-items", body | each)
        assert refused.json()["field"] == "bulletin_id", refused.text
    mine = {"bulletin_id": await world.bulletin(PHU)}
    assert (await world.ask("An", "POST", "/inbox-items", body | mine)).status_code == 404
    unknown = await world.ask("Lan", "POST", "/inbox-items", body | {"bulletin_id": MISSING})
    assert unknown.status_code == 404
