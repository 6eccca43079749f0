"""Placing a priority bulletin after it was sent: once a commune, whatever happens between."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.audit.entry import decode
from broadcast.audit.model import AuditEntry
from broadcast.auth.permissions import Role
from broadcast.inbox import placement
from broadcast.inbox.placement import Placer
from broadcast.kit import db, failures
from broadcast.kit.notify import Channel, listen
from broadcast.schedules.neighbours import Kept
from broadcast.wire.fields import BulletinClass
from tests.delivery.world import World as Leader
from tests.inbox.conftest import AN, PHU, World, place_all

P = BulletinClass.PRIORITY
RULES = config.Rules()


async def sent(world: World, *communes: str, until: str = "2025-01-20") -> dict[str, str]:
    """A priority bulletin that is to be placed: its items by commune."""
    bulletin = await world.bulletin(class_=P, title="Phòng dịch")
    made = await world.send_only(bulletin, *(communes or (AN, PHU)), until=until)
    return {each["commune_code"]: each["id"] for each in made}


async def item(world: World, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = await world.ok("Lan", "GET", f"/inbox-items/{id_}")
    return found


async def test_sending_only_marks_it_and_wakes_the_leader(world: World) -> None:
    woken = asyncio.Event()
    async with world.engine.connect() as connection:
        await listen(connection, Channel.INBOX, lambda _: woken.set())
        items = await sent(world)
        async with asyncio.timeout(30):
            await woken.wait()
    assert set((await world.inbox("Lan")).values()) == {"placing"}
    assert await world.sounds() == []
    leader = Leader(world.engine, world.content_dir).dispatcher
    while await leader.inbox.run(world.now):
        pass
    assert set((await world.inbox("Lan")).values()) == {"placed"}
    placed = await item(world, items[AN])
    assert placed["answered_by"]["name"] == "Lan"  # who has sent it
    assert len(await world.sounds()) == 2


async def test_the_audit_says_who_has_sent_it_and_what_was_moved_for_it(world: World) -> None:
    await world.own("2024-12-28T17:00:00+07:00", BulletinClass.NORMAL, "Mùa vụ")
    items = await sent(world, AN)
    await place_all(world.engine, world.now)
    async with db.transaction(world.engine) as session:
        lines = await session.scalars(
            sa.select(AuditEntry.entry).where(AuditEntry.action == "inbox placed")
        )
        (entry,) = [decode(line) for line in lines]
    assert entry.who.name == "Lan"
    assert AN in entry.areas
    kinds = {change.kind for change in entry.changes}
    assert kinds == {"inbox_items", "schedules", "occurrences"}
    assert f"inbox_items/{items[AN]}" in entry.objects


@pytest.mark.parametrize(
    ("path", "body", "state"),
    [("pick", {}, "picked"), ("decline", {"reason": "Đã phát"}, "declined")],
)
async def test_what_the_commune_has_answered_first_holds(
    world: World, path: str, body: dict[str, str], state: str
) -> None:
    items = await sent(world, AN)
    await world.ok("An", "POST", f"/inbox-items/{items[AN]}/{path}", body)
    before = await world.sounds()
    await place_all(world.engine, world.now)
    assert (await item(world, items[AN]))["state"] == state
    assert await world.sounds() == before


async def test_what_was_withdrawn_is_not_placed(world: World) -> None:
    items = await sent(world)
    bulletin = (await item(world, items[AN]))["bulletin_id"]
    await world.ok("Quản", "POST", f"/bulletins/{bulletin}/revisions/1/withdraw", {"note": "Sai"})
    await place_all(world.engine, world.now)
    assert set((await world.inbox("Lan")).values()) == {"withdrawn"}
    assert await world.sounds() == []
    async with db.transaction(world.engine) as session:
        assert await placement.waiting(session) == []


async def test_what_is_of_no_use_any_more_is_not_placed(world: World) -> None:
    items = await sent(world, AN, until="2024-12-28T17:30:00+07:00")
    world.now += timedelta(hours=10)
    assert (await item(world, items[AN]))["state"] == "expired"
    await place_all(world.engine, world.now)
    found = await item(world, items[AN])
    assert (found["state"], found["not_placed"]) == ("expired", "")
    assert await world.sounds() == []


async def test_where_no_time_is_left_the_commune_is_told_why_and_picks_one(world: World) -> None:
    items = await sent(world, AN, until="2024-12-28T08:12:00+07:00")
    await place_all(world.engine, world.now)
    found = await item(world, items[AN])
    assert found["state"] == "waiting"
    assert "không còn giờ trống" in found["not_placed"]
    await place_all(world.engine, world.now)  # it is left to the commune
    body = {"starts_at": "2024-12-28T08:11:00+07:00"}
    await world.ok("An", "POST", f"/inbox-items/{items[AN]}/pick", body)
    assert (await item(world, items[AN]))["state"] == "picked"


async def test_it_goes_on_where_a_process_has_ended_and_places_nothing_twice(
    world: World,
) -> None:
    items = await sent(world)
    turns = iter([False, True])
    assert await Placer(world.engine, RULES).step(world.now, lambda: next(turns))
    assert sorted((await world.inbox("Lan")).values()) == ["placed", "placing"]

    def killed() -> bool:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Placer(world.engine, RULES).step(world.now, killed)
    await place_all(world.engine, world.now)
    await place_all(world.engine, world.now)
    assert {scopes for *_, scopes in await world.sounds()} == {(f"area/{AN}",), (f"area/{PHU}",)}
    made = {(await item(world, each))["schedule_id"] for each in items.values()}
    assert len(made) == len(await world.sounds()) == 2


async def test_two_who_place_at_once_place_it_once(world: World) -> None:
    await sent(world)
    await asyncio.gather(*(place_all(world.engine, world.now) for _ in range(2)))
    assert set((await world.inbox("Lan")).values()) == {"placed"}
    assert len(await world.sounds()) == 2


async def test_an_item_that_cannot_be_processed_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = await sent(world)
    place = placement.place

    async def broken(
        session: AsyncSession, item_id: UUID, kept: Kept, rules: config.Rules, now: datetime
    ) -> None:
        await place(session, item_id, kept, rules, now)
        if str(item_id) == items[AN]:
            raise ValueError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(placement, "place", broken)
        await place_all(world.engine, world.now)
        await place_all(world.engine, world.now)
    states = await world.inbox("Lan")
    assert (states[items[AN]], states[items[PHU]]) == ("placing", "placed")
    async with db.transaction(world.engine) as session:
        assert await failures.waiting(session, placement.STEP, world.now) == {items[AN]}
    world.now += failures.FIRST_RETRY
    await place_all(world.engine, world.now)
    assert (await item(world, items[AN]))["state"] == "placed"
    async with db.transaction(world.engine) as session:
        assert await failures.steps(session) == set()


async def test_communes_that_have_merged_meanwhile_hear_it_once(world: World) -> None:
    items = await sent(world)
    world.now += timedelta(days=5)
    await world.employ("Mới", Role.COMMUNE_BROADCASTER, AN)
    await place_all(world.engine, world.now)
    assert await world.inbox("Mới") == dict.fromkeys(items.values(), "placed")
    made = {(await item(world, each))["schedule_id"] for each in items.values()}
    assert len(made) == 1
    assert [scopes for *_, scopes in await world.sounds()] == [(f"area/{AN}",)]


async def test_rights_are_those_of_the_moment_when_it_was_sent(world: World) -> None:
    items = await sent(world, AN)
    await _revoke(world, "Lan")
    await place_all(world.engine, world.now)
    found = await world.ok("An", "GET", f"/inbox-items/{items[AN]}")
    assert (found["state"], found["answered_by"]["name"]) == ("placed", "Lan")


async def _revoke(world: World, name: str) -> None:
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.text(
                "UPDATE grants SET revoked_at = now() FROM accounts"
                " WHERE accounts.id = grants.account_id AND accounts.name = :name"
            ),
            {"name": name},
        )
