"""A bulletin for single villages: their commune answers, and nobody else in it hears it."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from broadcast.areas.model import Level
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.kit import db
from broadcast.stations.model import Plant
from broadcast.wire.fields import BulletinClass
from tests.inbox.conftest import AN, PHU, World, as_local
from tests.province import area, cluster, device, installation, service

P, N = BulletinClass.PRIORITY, BulletinClass.NORMAL


async def second_village(world: World) -> None:
    """T-3 in Nghĩa An, with a loudspeaker of its own."""
    async with db.transaction(world.engine) as session:
        plant = await session.scalar(sa.select(Plant))
        assert plant is not None
        pole, box = cluster("C-3", plant), device("D-3", world.now)
        session.add_all([area("T-3", Level.VILLAGE, AN), pole, box])
        await session.flush()
        session.add_all([service(pole, "T-3"), installation(box, pole, world.now)])
        await touch(session)


async def test_a_priority_bulletin_sounds_in_the_villages_alone(world: World) -> None:
    await second_village(world)
    await world.own("2024-12-28T17:00:00+07:00", P, "Chợ phiên")
    (item,) = await world.send(await world.bulletin(class_=P), "T-2")
    assert (item["commune_code"], item["villages"], item["state"]) == (AN, ["T-2"], "placed")
    schedule = await world.ok("Lan", "GET", f"/schedules/{item['schedule_id']}")
    assert schedule["targets"] == [{"area": "T-2"}]
    # What the whole commune hears is not moved for one of its villages.
    sounds = await world.sounds()
    assert ("12-28 17:00:00", "Chợ phiên", (f"area/{AN}",)) in sounds
    assert [scopes for _, title, scopes in sounds if title == "Tiêm phòng"] == [("area/T-2",)]


async def test_a_commune_picks_it_for_these_villages_or_fewer(world: World) -> None:
    await second_village(world)
    (item,) = await world.send(await world.bulletin(), "T-2")
    path = f"/inbox-items/{item['id']}/pick"
    for targets in ([{"area": AN}], [{"area": "T-3"}], [{"area": "T-2"}, {"area": "T-3"}]):
        refused = await world.ask("An", "POST", path, {"targets": targets})
        assert refused.status_code == 422, refused.text
        assert refused.json()["field"] == "targets"
    picked = await world.ok("An", "POST", path, {})
    assert picked["schedule"]["targets"] == [{"area": "T-2"}]
    assert {scopes for _, _, scopes in await world.sounds()} == {("area/T-2",)}


async def test_what_is_sent_again_is_for_the_villages_of_both(world: World) -> None:
    await second_village(world)
    bulletin = await world.bulletin()
    (first,) = await world.send(bulletin, "T-2")
    (again,) = await world.send(bulletin, "T-3")
    assert (again["id"], again["villages"]) == (first["id"], ["T-2", "T-3"])
    both = await world.send(bulletin, "51")
    assert {each["commune_code"]: each["villages"] for each in both} == {AN: [], PHU: []}
    (still,) = await world.send(bulletin, "T-2")
    assert still["villages"] == []


async def test_what_was_answered_for_some_villages_is_not_sent_to_others(world: World) -> None:
    await second_village(world)
    bulletin = await world.bulletin()
    (item,) = await world.send(bulletin, "T-2")
    await world.ok("An", "POST", f"/inbox-items/{item['id']}/pick", {})
    (same,) = await world.send(bulletin, "T-2")
    assert (same["id"], same["state"]) == (item["id"], "picked")
    body = {"bulletin_id": bulletin, "areas": ["T-3"], "useful_until": "2025-01-20"}
    for areas in (["T-3"], ["T-2", "T-3"], [AN]):
        refused = await world.ask("Lan", "POST", "/inbox-items", body | {"areas": areas})
        assert refused.status_code == 409, refused.text
        assert "một số thôn" in refused.json()["detail"]


async def test_a_village_takes_what_was_sent_to_it_into_a_merger(world: World) -> None:
    bulletin = await world.bulletin()
    found = await world.send(bulletin, "T-1", "T-2")
    assert [(each["commune_code"], each["villages"]) for each in found] == [
        (PHU, ["T-1"]), (AN, ["T-2"])
    ]  # fmt: skip
    world.now = datetime(2025, 1, 2, 1, tzinfo=UTC)
    await world.employ("Mới", Role.COMMUNE_BROADCASTER, AN)
    picked = await world.ok("Mới", "POST", f"/inbox-items/{found[0]['id']}/pick", {})
    assert picked["schedule"]["targets"] == [{"area": "T-1"}, {"area": "T-2"}]
    assert as_local(picked["schedule"]["starts_at"]).startswith("01-0")


async def test_nobody_sends_to_a_village_that_is_not_theirs(world: World) -> None:
    bulletin = await world.bulletin()
    body = {"bulletin_id": bulletin, "areas": ["T-1"], "useful_until": "2025-01-20"}
    assert (await world.ask("An", "POST", "/inbox-items", body)).status_code in {403, 404}
    wrong = await world.ask("Lan", "POST", "/inbox-items", body | {"areas": ["T-9"]})
    assert wrong.status_code == 422
