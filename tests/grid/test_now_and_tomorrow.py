"""Play now, and how a day sounds in each village, over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from broadcast.bulletins.model import Revision
from broadcast.kit import db
from broadcast.wire.fields import BulletinClass
from tests.inbox.conftest import AN, World

P, N = BulletinClass.PRIORITY, BulletinClass.NORMAL


async def now(world: World, bulletin: str, when: str, who: str = "An") -> Any:
    body = {"bulletin_id": bulletin, "targets": [{"area": "T-2"}], "when": when}
    return await world.ask(who, "POST", "/play-now", body)


async def test_it_interrupts_its_class_or_waits_until_nothing_sounds(world: World) -> None:
    await world.own("2024-12-28T08:10:00+07:00", N, "Mùa vụ")
    await world.own("2024-12-28T08:11:20+07:00", N, "Họp dân")
    world.now += timedelta(minutes=10, seconds=20)
    made = await now(world, await world.bulletin(AN, N, "Lạc trẻ"), "at_once")
    assert (made.status_code, made.json()["priority"]) == (201, 65)
    assert made.json()["starts_at"] == "2024-12-28T08:10:30+07:00"
    assert [each["outcome"] for each in made.json()["plan"]["overlaps"]] == ["preempts"] * 2
    made = await now(world, await world.bulletin(AN, N, "Mất ví", seconds=10), "after")
    assert made.json()["starts_at"] == "2024-12-28T08:12:24+07:00"
    (village,) = await world.ok("Dõi", "GET", "/heard?area=T-2&on=2024-12-28")
    (ear,) = village["ears"]
    heard = [
        (each["title"], [span["begins_at"][14:19] for span in each["spans"]], each["outcome"])
        for each in ear["items"]
    ]
    assert heard == [
        ("Mùa vụ", ["10:00", "11:31"], "whole"),
        ("Lạc trẻ", ["10:30"], "whole"),
        ("Họp dân", ["12:03"], "whole"),
        ("Mất ví", ["13:04"], "whole"),
    ]
    assert [each["text"] for each in ear["items"]] == [
        "bị “Lạc trẻ” chen, rồi phát tiếp", "", "phát sau khi “Mùa vụ” hết",
        "phát sau khi “Họp dân” hết",
    ]  # fmt: skip


async def test_what_is_joined_of_languages_waits_for_as_long_as_it_is_on_the_air(
    world: World,
) -> None:
    await world.own("2024-12-28T08:10:00+07:00", N, "Mùa vụ")
    await world.own("2024-12-28T08:13:20+07:00", N, "Họp dân")
    world.now += timedelta(minutes=10, seconds=20)
    bulletin = await world.bulletin(AN, N, "Lạc trẻ")
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(Revision)
            .where(Revision.bulletin_id == UUID(bulletin))
            .values(longest_seconds=200)
        )
    made = await now(world, bulletin, "after")
    assert (made.status_code, made.json()["starts_at"]) == (201, "2024-12-28T08:14:24+07:00")
    made = await now(world, bulletin, "at_once")
    assert (made.status_code, made.json()["priority"]) == (201, 65)
    assert {each["outcome"] for each in made.json()["plan"]["overlaps"]} == {"preempts"}


async def test_it_waits_for_what_is_higher_and_keeps_quiet_hours_and_places(world: World) -> None:
    await world.own("2024-12-28T08:10:00+07:00", P, "Vỡ đê")
    world.now += timedelta(minutes=10, seconds=20)
    mine = await world.bulletin(AN, N, "Lạc trẻ")
    refused = await now(world, mine, "at_once")
    assert refused.status_code == 409
    assert "Vỡ đê" in refused.json()["detail"]
    assert (await now(world, mine, "at_once", "Phú")).status_code in {403, 404}
    assert (await now(world, mine, "at_once", "Dõi")).status_code == 403
    world.now += timedelta(hours=14)
    refused = await now(world, mine, "after")
    assert (refused.status_code, refused.json()["field"]) == (422, "starts_at")


async def rule(world: World, **provisions: Any) -> dict[str, Any]:
    body = {
        "area_code": AN, "number": "1/QC-UBND", "signed_on": "2024-12-20",
        "valid_from": "2024-12-28", "silences": True,
    }  # fmt: skip
    made: dict[str, Any] = await world.ok("Ân", "POST", "/regulations", body | provisions)
    return made


async def test_play_now_keeps_the_hours_and_the_quotas_of_the_commune(world: World) -> None:
    mine = await world.bulletin(AN, N, "Lạc trẻ")
    await world.own("2024-12-28T17:00:00+07:00", N, "Mùa vụ")
    made = await rule(world, silent=[{"from": "07:00", "until": "09:00"}])
    for when in ("at_once", "after"):
        refused = await now(world, mine, when)
        assert (refused.status_code, refused.json()["field"]) == (422, "starts_at")
        assert "07:00" in refused.json()["detail"]
    made = await rule(world, replaces=made["id"], sessions_per_day=1)
    for when in ("at_once", "after"):
        refused = await now(world, mine, when)
        assert (refused.status_code, refused.json()["quota"]) == (409, "sessions_per_day")
    made = await rule(world, replaces=made["id"], sessions_per_day=2, minutes_per_day=1)
    assert (await now(world, mine, "at_once")).json()["quota"] == "minutes_per_day"
    await rule(world, replaces=made["id"], sessions_per_day=2)
    assert (await now(world, mine, "at_once")).status_code == 201
    world.now += timedelta(minutes=30)
    # what has begun today counts, and the evening's session is still to come
    other = await world.bulletin(AN, N, "Mất ví")
    assert (await now(world, other, "at_once")).json()["quota"] == "sessions_per_day"


async def test_tomorrow_is_silent_where_the_commune_allows_no_more(world: World) -> None:
    await world.own("2024-12-29T06:00:00+07:00", N, "Bản tin sáng")
    await world.own("2024-12-29T12:00:00+07:00", N, "Bản tin trưa")
    await world.own("2024-12-29T17:00:00+07:00", N, "Bản tin chiều")

    async def heard() -> list[tuple[str, str]]:
        (village,) = await world.ok("An", "GET", "/heard?area=T-2&on=2024-12-29")
        (ear,) = village["ears"]
        return [(each["outcome"], each["text"]) for each in ear["items"]]

    assert await heard() == [("whole", "")] * 3
    quiet = [{"from": "16:30", "until": "18:00"}]
    await rule(world, valid_from="2024-12-29", sessions_per_day=1, silent=quiet)
    silent = ("none", "không phát vì Quy chế không cho phát lúc này")
    over = ("none", "vượt hạn mức của Quy chế nên không phát")
    assert await heard() == [("whole", ""), over, silent]


async def test_a_calendar_keeps_silent_what_it_names(world: World) -> None:
    await world.own("2024-12-29T05:00:00+07:00", N, "Ca nhạc")
    (village,) = await world.ok("An", "GET", "/heard?area=T-2")
    assert [each["text"] for each in village["ears"][0]["items"]] == [""]
    mourning = {
        "kind": "mourning", "name": "Quốc tang", "area_code": AN, "first_on": "2024-12-29",
        "last_on": "2024-12-29",
    }  # fmt: skip
    await world.ok("An", "POST", "/calendar-days", mourning)
    (village,) = await world.ok("An", "GET", "/heard?area=T-2")
    (item,) = village["ears"][0]["items"]
    assert (item["outcome"], item["spans"]) == ("none", [])
    assert item["text"] == "không phát vì là ngày tang, chỉ lời nói được phát"
    elsewhere = await world.ask("Phú", "GET", "/heard?area=T-2")
    assert elsewhere.status_code == 404
    assert (await world.ask("Lan", "GET", "/heard?area=99999")).status_code == 404
