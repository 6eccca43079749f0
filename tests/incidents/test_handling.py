"""What people do about incidents, and that they and the server never overwrite one another."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.auth.model import Grant
from broadcast.auth.permissions import Role
from broadcast.incidents import handling, history, queries
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import ClosingReason, Incident, IncidentStep, StepKind
from broadcast.incidents.schemas import CloseIn, IncidentOut
from broadcast.incidents.texts import State
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput, NotFound
from tests.callers import HUNG, LAN, MAI, TAM, caller
from tests.devices.fleet import EIGHT
from tests.incidents.world import World
from tests.waiting import HANG_SECONDS

ADMIN = caller("Tâm", Role.PROVINCE_ADMIN)
DONE = CloseIn(reason=ClosingReason.REPAIRED, note="Thay cầu chì")
WAITS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def build(session: AsyncSession) -> World:
    """Two communes of ten devices; eight on the feed of the first have lost contact."""
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
    world = World(session, each=10)
    await world.build(2)
    await world.fall(range(8))
    await world.run(4)
    return world


@pytest.fixture
async def world(session: AsyncSession) -> World:
    return await build(session)


async def the_incident(world: World) -> Incident:
    (incident,) = await world.session.scalars(
        sa.select(Incident)
        .where(Incident.kind == Kind.POWER_FEED)
        .execution_options(populate_existing=True)
    )
    return incident


async def shown(world: World) -> IncidentOut:
    incident = await the_incident(world)
    return await queries.show_one(world.session, incident.id, EIGHT.astimezone(LOCAL).date())


async def told(world: World) -> list[str]:
    """What the history says, the newest first."""
    incident = await the_incident(world)
    found = await history.show_history(world.session, incident.id, EIGHT.astimezone(LOCAL).date())
    return [each.text for each in found.items]


async def test_an_incident_is_taken_noted_closed_and_reopened(world: World) -> None:
    incident = await the_incident(world)
    session, now = world.session, world.now
    taken = await handling.assign(session, ADMIN, incident.id, ADMIN.account_id, now)
    assert taken.assignee is not None
    assert taken.assignee.name == "Tâm"
    await handling.note(session, ADMIN, incident.id, "Đã hỏi Điện lực", now)
    closed = await handling.close(session, ADMIN, incident.id, DONE, now)
    assert (closed.state, closed.version) == (State.CLOSED, taken.version + 2)
    assert closed.closing is not None
    assert (closed.closing.reason_text, closed.closing.note) == ("đã sửa xong", "Thay cầu chì")
    assert closed.advice.startswith("Còn 8 cụm mất liên lạc. Đã có người đóng")
    with pytest.raises(Conflict, match="đã có người đóng"):
        await handling.close(session, ADMIN, incident.id, DONE, now)
    opened = await handling.reopen(session, ADMIN, incident.id, now)
    assert (opened.state, opened.closing) == (State.OPEN, None)
    released = await handling.release(session, ADMIN, incident.id, now)
    assert released.assignee is None
    assert await told(world) == [
        "thôi phụ trách", "mở lại sự cố", "đóng sự cố: đã sửa xong", "ghi chú", "nhận việc",
        "phát hiện 8 cụm loa mất liên lạc",
    ]  # fmt: skip


async def test_what_cannot_be_is_refused_in_words(world: World) -> None:
    incident = await the_incident(world)
    session, now = world.session, world.now
    with pytest.raises(NotFound, match="Không có sự cố số 999"):
        await handling.note(session, ADMIN, 999, "x", now)
    with pytest.raises(Conflict, match="Chưa có ai"):
        await handling.release(session, ADMIN, incident.id, now)
    with pytest.raises(Conflict, match="đang mở"):
        await handling.reopen(session, ADMIN, incident.id, now)
    with pytest.raises(InvalidInput, match="ghi rõ lý do"):
        await handling.close(session, ADMIN, incident.id, CloseIn(reason=ClosingReason.OTHER), now)
    with pytest.raises(InvalidInput, match="không được xử lý sự cố ở địa bàn đó"):
        await handling.assign(session, ADMIN, incident.id, MAI, now)
    with pytest.raises(Conflict, match="vừa thay đổi"):
        await handling.close(session, ADMIN, incident.id, DONE, now, seen=incident.version + 1)
    incident.recovered_at = incident.closed_at = now
    with pytest.raises(Conflict, match="chỉ còn ghi chú được"):
        await handling.close(session, ADMIN, incident.id, DONE, now)
    await handling.note(session, ADMIN, incident.id, "Cầu chì cũ", now)
    incident.superseded, incident.superseded_by = True, incident.id
    with pytest.raises(Conflict, match=f"xử lý ở sự cố số {incident.id}"):
        await handling.assign(session, ADMIN, incident.id, ADMIN.account_id, now)


async def test_only_who_may_see_to_it_in_all_its_places_is_offered_and_may_decide(
    world: World,
) -> None:
    incident = await the_incident(world)
    session, now = world.session, world.now
    day = EIGHT.astimezone(LOCAL).date() - timedelta(days=30)

    def grant(account_id: int, role: Role, area: str | None, **more: object) -> Grant:
        given = {"valid_from": day, "valid_until": None, "granted_by": None, "granted_at": EIGHT,
                 "revoked_at": None}  # fmt: skip
        return Grant(account_id=account_id, role=role, area_code=area, **given | more)

    session.add_all([
        grant(LAN, Role.COMMUNE_BROADCASTER, "21000"),
        grant(HUNG, Role.TECHNICIAN, None),
        grant(MAI, Role.COMMUNE_BROADCASTER, "21001"),
        grant(TAM, Role.PROVINCE_MONITOR, None),
        grant(MAI, Role.TECHNICIAN, None, revoked_at=now),
        grant(MAI, Role.TECHNICIAN, None, valid_until=day + timedelta(days=1)),
    ])  # fmt: skip
    await session.flush()
    able = await handling.handlers(session, incident.id, now)
    assert [each.id for each in able] == [HUNG, LAN]
    own = caller("Lan", Role.COMMUNE_BROADCASTER, "21000")
    given = await handling.assign(session, own, incident.id, HUNG, now)
    assert given.assignee is not None
    assert given.assignee.name == "Hùng"
    other = caller("Mai", Role.COMMUNE_BROADCASTER, "21001")
    assert await handling.may_handle(session, own, incident.id)
    assert not await handling.may_handle(session, other, incident.id)
    with pytest.raises(Forbidden):
        await handling.close(session, other, incident.id, DONE, now)
    with pytest.raises(Forbidden):
        await handling.note(session, other, incident.id, "x", now)


async def test_who_has_a_part_of_its_places_may_note_and_not_decide(world: World) -> None:
    await world.fall(range(8, 20))
    await world.run(6)
    wide = next(each for each in await world.incidents() if each.communes_count == 2)
    half = caller("Lan", Role.COMMUNE_BROADCASTER, "21001")
    await handling.note(world.session, half, wide.id, "Ở xã tôi mất điện", world.now)
    with pytest.raises(Forbidden):
        await handling.close(world.session, half, wide.id, DONE, world.now)


# --- people and the server -----------------------------------------------------------------------


async def test_a_closing_lapses_visibly_when_another_device_is_lost(world: World) -> None:
    await world.run(15)
    incident = await the_incident(world)
    await handling.assign(world.session, ADMIN, incident.id, ADMIN.account_id, world.now)
    await handling.close(world.session, ADMIN, incident.id, DONE, world.now)
    await world.run(5)
    assert (await shown(world)).state is State.CLOSED
    await world.fall([8])
    await world.run(5)
    after = await shown(world)
    assert (after.state, after.devices_count, after.closing) == (State.OPEN, 9, None)
    assert after.assignee is not None
    assert (await told(world))[0] == "mở lại sự cố: thêm 1 cụm loa mất liên lạc"


async def test_a_closing_lapses_when_a_device_that_was_back_is_lost_again(world: World) -> None:
    await world.run(15)
    await world.rise([0])
    await world.run(1)
    incident = await the_incident(world)
    await handling.close(world.session, ADMIN, incident.id, DONE, world.now)
    await world.fall([0])
    await world.run(5)
    assert (await shown(world)).state is State.OPEN


async def test_returns_alone_do_not_reopen_and_the_end_is_the_servers(world: World) -> None:
    await world.run(15)
    incident = await the_incident(world)
    await handling.close(world.session, ADMIN, incident.id, DONE, world.now)
    await world.rise(range(8))
    await world.run(20)
    after = await shown(world)
    assert (after.state, after.down_count) == (State.CLOSED, 0)
    assert after.closing is not None
    assert (await the_incident(world)).closed_at is not None


async def test_who_saw_to_what_was_taken_over_sees_to_the_whole(session: AsyncSession) -> None:
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
    world = World(session, each=20)
    await world.build(4)
    await world.fall([20])
    await world.run(11)
    (single,) = await world.incidents()
    await handling.assign(session, ADMIN, single.id, ADMIN.account_id, world.now)
    await world.fall(range(21, 40))
    await world.run(5)
    taken = await session.get_one(Incident, single.id, populate_existing=True)
    if taken.superseded:
        assert taken.superseded_by is not None
        taken = await session.get_one(Incident, taken.superseded_by)
    assert taken.assignee_id == ADMIN.account_id


async def until_somebody_waits(engine: AsyncEngine) -> None:
    """Another transaction stands behind a lock."""
    async with asyncio.timeout(HANG_SECONDS), engine.connect() as connection:
        while not await connection.scalar(sa.text(WAITS)):
            await connection.rollback()
            await asyncio.sleep(0.02)


async def test_a_pass_waits_for_a_closing_and_opens_again_what_it_did_not_know(
    engine: AsyncEngine,
) -> None:
    """The pass began before the closing was there; it must not store what it knew before."""
    async with db.transaction(engine) as session:
        world = await build(session)
        await world.run(15)
        incident = await the_incident(world)
        await world.fall([8])
    async with AsyncSession(engine) as person, AsyncSession(engine) as server:
        await handling.assign(person, ADMIN, incident.id, ADMIN.account_id, world.now)
        await handling.close(person, ADMIN, incident.id, DONE, world.now)
        world.session = server
        passing = asyncio.create_task(world.run(5))
        await until_somebody_waits(engine)
        assert not passing.done()
        await person.commit()
        await passing
        await server.commit()
    async with AsyncSession(engine) as session:
        world.session = session
        after = await shown(world)
        assert (after.state, after.devices_count) == (State.OPEN, 9)
        assert after.assignee is not None
        events = await told(world)
        assert events[0] == "mở lại sự cố: thêm 1 cụm loa mất liên lạc"
        assert "đóng sự cố: đã sửa xong" in events


async def test_a_closing_waits_for_a_pass_and_is_refused_what_it_has_not_seen(
    engine: AsyncEngine,
) -> None:
    async with db.transaction(engine) as session:
        world = await build(session)
        await world.run(15)
        incident = await the_incident(world)
        seen = incident.version
        await world.fall([8])
    async with AsyncSession(engine) as person, AsyncSession(engine) as server:
        world.session = server
        await world.run(5)
        closing = asyncio.create_task(
            handling.close(person, ADMIN, incident.id, DONE, world.now, seen=seen)
        )
        await until_somebody_waits(engine)
        await server.commit()
        with pytest.raises(Conflict, match="vừa thay đổi"):
            await closing
        await person.rollback()
    async with AsyncSession(engine) as session:
        world.session = session
        assert (await shown(world)).state is State.OPEN


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_people_and_devices_do_in_turn_nothing_is_overwritten(
    world: World, seed: int
) -> None:
    """After any script: who was assigned last is, and nothing is closed that lost more since."""
    chance = random.Random(seed)
    session = world.session
    assignee: int | None = None
    notes = 0
    for _ in range(12):
        incident = await the_incident(world)
        step = chance.choice(["take", "release", "note", "close", "reopen", "lose", "rise"])
        by_hand = incident.closed_by_hand_at is not None
        if step == "take":
            await handling.assign(session, ADMIN, incident.id, ADMIN.account_id, world.now)
            assignee = ADMIN.account_id
        elif step == "release" and assignee is not None:
            await handling.release(session, ADMIN, incident.id, world.now)
            assignee = None
        elif step == "note":
            await handling.note(session, ADMIN, incident.id, "x", world.now)
            notes += 1
        elif step == "close" and not by_hand:
            await handling.close(session, ADMIN, incident.id, DONE, world.now)
        elif step == "reopen" and by_hand:
            await handling.reopen(session, ADMIN, incident.id, world.now)
        elif step in {"lose", "rise"}:
            before = await the_incident(world)
            lost_before, was_closed = before.devices_count, by_hand
            if step == "lose":
                await world.fall([chance.choice([8, 9])])
            else:
                await world.rise([chance.choice([*sorted(world.down & {8, 9}), 7])])
            await world.run(4)
            after = await the_incident(world)
            lapsed = was_closed and after.closed_by_hand_at is None
            assert lapsed or after.devices_count == lost_before or not was_closed
        incident = await the_incident(world)
        assert incident.assignee_id == assignee
    steps = await session.scalars(
        sa.select(IncidentStep.kind).where(IncidentStep.incident_id == incident.id)
    )
    assert list(steps).count(StepKind.NOTED) == notes
