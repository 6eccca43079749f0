"""What a person was told is done stays done, whatever the dispatcher was about to write.

Each step of a turn is held before each of its statements while an edit runs to its commit (or to
a lock that the step holds). However the two fall together, the rows then say what the edit said,
and the documents say what the rows say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.devices import enrolment
from broadcast.devices.schemas import DeviceIn
from broadcast.kit import db
from broadcast.schedules import edits, occurrence_edits, queries, revision_use
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule
from broadcast.wire.fields import Codec
from tests.bulletins import make
from tests.callers import caller
from tests.delivery.interleaving import Held, held
from tests.delivery.world import World

LAN = caller("Lan", Role.PROVINCE_APPROVER)
DAILY = "FREQ=DAILY;COUNT=4"

Edit = Callable[[World, AsyncSession, UUID], Awaitable[None]]


async def first(session: AsyncSession, schedule_id: UUID) -> Occurrence:
    return (
        await session.scalars(
            sa.select(Occurrence)
            .where(Occurrence.schedule_id == schedule_id)
            .order_by(Occurrence.recurrence_at)
        )
    ).first()  # type: ignore[return-value]


async def withdraw(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    await edits.withdraw(session, schedule, LAN, world.now)


async def leave_out(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    await occurrence_edits.cancel_occurrence(
        session, await first(session, schedule_id), LAN, world.now
    )


async def move(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    row = await first(session, schedule_id)
    later = row.starts_at + timedelta(minutes=30)
    await occurrence_edits.move(session, row, later, LAN, world.settings.rules, world.now)


async def change(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    wanted = {"starts_at": schedule.starts_at + timedelta(hours=1), "volume": 33}
    await edits.change(session, schedule, wanted, LAN, world.settings.rules, world.now)


async def aim_elsewhere(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    wanted = {"targets": [{"area": "V1"}]}
    await edits.change(session, schedule, wanted, LAN, world.settings.rules, world.now)


async def split(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    at = schedule.starts_at + timedelta(days=2)
    await edits.split(session, schedule, at, {"volume": 11}, LAN, world.settings.rules, world.now)


async def withdraw_the_revision(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    schedule = await session.get_one(Schedule, schedule_id)
    await revision_use.withdraw(session, (schedule.bulletin_id, 1), LAN, "", world.now)


async def go_on_with_revision_2(world: World, session: AsyncSession, schedule_id: UUID) -> None:
    schedule = await session.get_one(Schedule, schedule_id)
    key = (schedule.bulletin_id, 2)
    await revision_use.move_here(session, key, None, LAN, world.settings.rules, world.now)


EDITS = [
    withdraw, leave_out, move, change, aim_elsewhere, split, withdraw_the_revision,
    go_on_with_revision_2,
]  # fmt: skip


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    await world.build()
    return world


@pytest.fixture
async def interleaved(world: World) -> AsyncIterator[tuple[World, Held]]:
    stepping = held(world.engine)
    world.engine_of_steps = stepping.engine
    world.restart()
    yield world, stepping
    await stepping.dispose()


Rows = dict[str, tuple[object, ...]]


async def rows_of(engine: AsyncEngine, schedules: set[UUID]) -> Rows:
    """Occurrences of schedules as people see them, by their first start."""
    async with db.transaction(engine) as session:
        rows = await session.scalars(
            sa.select(Occurrence).where(Occurrence.schedule_id.in_(schedules))
        )
        return {
            f"{row.schedule_id} {row.recurrence_at}": (
                row.starts_at, row.state, row.cancel_reason, row.scopes, row.volume,
                row.bulletin_revision,
            )
            for row in rows
        }  # fmt: skip


async def schedules_of(world: World, bulletin_id: UUID) -> set[UUID]:
    async with db.transaction(world.engine) as session:
        of = sa.select(Schedule.id).where(Schedule.bulletin_id == bulletin_id)
        return set(await session.scalars(of))


async def carried(world: World) -> dict[str, set[tuple[str, object]]]:
    """What the rows say that the programmes hold: the planned occurrences, by scope."""
    wanted: dict[str, set[tuple[str, object]]] = {}
    async with db.transaction(world.engine) as session:
        planned = Occurrence.state == OccurrenceState.PLANNED
        for row in await session.scalars(sa.select(Occurrence).where(planned)):
            for scope in row.scopes:
                wanted.setdefault(scope, set()).add((str(row.id), row.starts_at))
    return wanted


DECIDING = {"unapproved", "horizon", "roll", "occurrences", "documents"}
"""Steps that read what people edit and write what follows from it."""


async def deciding(world: World, *others: str) -> bool:
    """One turn of the steps that decide, and of these."""
    every = world.dispatcher.steps
    world.dispatcher.steps = [step for step in every if step.name in DECIDING.union(others)]
    try:
        return await world.dispatcher.turn(world.now)
    finally:
        world.dispatcher.steps = every


async def published(world: World) -> None:
    """Turns until nothing is left to be decided or published."""
    world.now += timedelta(seconds=1)
    while await deciding(world, "publish"):
        pass


@pytest.mark.timeout(600)  # hundreds of turns
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
async def test_an_edit_stands_wherever_in_a_turn_it_falls(
    interleaved: tuple[World, Held], edit: Edit
) -> None:
    world, steps = interleaved
    bulletin_id = await world.bulletin()
    async with db.transaction(world.engine) as session:
        bulletin = await session.get_one(Bulletin, bulletin_id)
        sound = make.prepared(world.content_dir, opus=b"anew" * 20_000)
        await make.revision(session, bulletin, sound, RevisionState.APPROVED)
    await world.turn()
    at, reached = 0, True
    while reached:
        async with db.transaction(world.engine) as session:
            await session.execute(sa.update(Revision).values(state=RevisionState.APPROVED))
        schedule_id = await world.schedule(bulletin_id, {"area": "21001"}, rrule=DAILY)
        await deciding(world)
        async with db.transaction(world.engine) as session:
            await touch(session)
        after: Rows = {}

        async def edited(schedule_id: UUID = schedule_id, after: Rows = after) -> None:
            async with db.transaction(world.engine) as session:
                await edit(world, session, schedule_id)
            after |= await rows_of(world.engine, await schedules_of(world, bulletin_id))

        reached = await steps.run(lambda: deciding(world), at, edited)
        found = await rows_of(world.engine, await schedules_of(world, bulletin_id))
        assert found == after, f"before statement {at}"
        await published(world)
        assert await rows_of(world.engine, await schedules_of(world, bulletin_id)) == after, at
        said = {
            scope: {(item.occurrence_id, item.starts_at) for item in items}
            for scope, items in world.items().items()
        }
        assert said == await carried(world), f"before statement {at}"
        async with db.transaction(world.engine) as session:
            for each in await schedules_of(world, bulletin_id):
                schedule = await queries.get_schedule(session, each, lock=True)
                await edits.withdraw(session, schedule, LAN, world.now)
        at += 1
    assert at > 20


async def test_a_withdrawal_stands_beside_every_other_step(
    interleaved: tuple[World, Held],
) -> None:
    """Publishing, settling, presence, incidents, folding: none brings back what is withdrawn."""
    world, steps = interleaved
    bulletin_id = await world.bulletin()
    at, reached = 0, True
    while reached:
        schedule_id = await world.schedule(bulletin_id, {"area": "21001"})
        await deciding(world)
        world.now += timedelta(hours=1)  # every step is due

        async def withdrawn(schedule_id: UUID = schedule_id) -> None:
            async with db.transaction(world.engine) as session:
                await withdraw(world, session, schedule_id)

        async def others() -> None:
            every = world.dispatcher.steps
            world.dispatcher.steps = [step for step in every if step.name not in DECIDING]
            await world.dispatcher.turn(world.now)
            world.dispatcher.steps = every

        reached = await steps.run(others, at, withdrawn)
        await world.turn()
        assert world.items() == await carried(world) == {}, at
        at += 1
    assert at > 20


async def test_a_device_is_told_its_newest_settings_wherever_they_change(
    interleaved: tuple[World, Held],
) -> None:
    world, steps = interleaved
    await world.turn()
    at, reached = 0, True
    while reached:
        async with db.transaction(world.engine) as session:
            await touch(session)
        volume = 10 + at

        async def set_volume(volume: int = volume) -> None:
            async with db.transaction(world.engine) as session:
                device = await enrolment.find_device(session, "D-V1")
                assert device is not None
                body = DeviceIn(codecs={Codec.OPUS}, volume=volume)
                await enrolment.change(session, device, body)

        reached = await steps.run(lambda: deciding(world), at, set_volume)
        await world.turn()
        assert world.broker.document("device/D-V1/state/config").volume == volume, at
        at += 1
    assert at > 20


async def test_what_was_brought_back_for_a_withdrawn_schedule_is_cancelled_again(
    world: World,
) -> None:
    """By a restored backup, or by hand: the pass looks at withdrawn schedules, too."""
    schedule_id = await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    await world.withdraw(schedule_id)
    await world.turn()
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(Occurrence).values(state=OccurrenceState.PLANNED, dirty=True)
        )
    await world.turn(after=timedelta(hours=1))
    assert world.items() == {}
    async with db.transaction(world.engine) as session:
        states = set(await session.scalars(sa.select(Occurrence.state)))
    assert states == {OccurrenceState.CANCELLED}
