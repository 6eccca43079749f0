"""Schedules that are kept between transactions are those that would be read anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.bulletins.model import Revision, RevisionState
from broadcast.kit import db
from broadcast.schedules.model import Schedule, ScheduleException, ScheduleState
from broadcast.schedules.neighbours import Kept, Neighbours, neighbours
from tests.callers import LAN
from tests.delivery.world import NOW, World


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    await world.build()
    return world


def seen(others: Neighbours) -> tuple[dict[UUID, Any], set[UUID]]:
    """All that comparisons look at."""
    columns = [each.key for each in sa.inspect(Schedule).column_attrs if each.key not in DEFERRED]
    return (
        {
            each.schedule.id: (
                each.rule, each.seconds, each.exceptions,
                [getattr(each.schedule, name) for name in columns],
            )
            for each in others.readable
        },
        {each.id for each in others.unreadable},
    )  # fmt: skip


DEFERRED = {"on_preempt", "state"}


async def move(session: AsyncSession, schedule_id: UUID, chance: random.Random) -> None:
    at = NOW + timedelta(hours=chance.randrange(3))
    row = await session.get(ScheduleException, (schedule_id, at))
    if row is None:
        row = ScheduleException(
            schedule_id=schedule_id, recurrence_at=at, changed_by=LAN, changed_at=NOW
        )
        session.add(row)
    row.moved_to = chance.choice([None, at + timedelta(minutes=chance.randrange(1, 60))])
    await session.flush()


async def put_back(session: AsyncSession, schedule_id: UUID, _: random.Random) -> None:
    await session.execute(
        sa.delete(ScheduleException).where(ScheduleException.schedule_id == schedule_id)
    )


def setting(**columns: Callable[[random.Random], Any]) -> Any:
    async def change(session: AsyncSession, schedule_id: UUID, chance: random.Random) -> None:
        values = {name: value(chance) for name, value in columns.items()}
        await session.execute(
            sa.update(Schedule).where(Schedule.id == schedule_id).values(**values)
        )

    return change


async def approve(session: AsyncSession, schedule_id: UUID, chance: random.Random) -> None:
    state = chance.choice([RevisionState.APPROVED, RevisionState.WITHDRAWN])
    of = sa.select(Schedule.bulletin_id).where(Schedule.id == schedule_id).scalar_subquery()
    await session.execute(
        sa.update(Revision)
        .where(Revision.bulletin_id == of)
        .values(state=state, seconds=chance.choice([30.0, 60.0]))
    )


CHANGES = [
    move,
    put_back,
    approve,
    setting(volume=lambda chance: chance.randrange(100)),
    setting(starts_at=lambda chance: NOW + timedelta(minutes=chance.randrange(600))),
    setting(state=lambda chance: chance.choice([ScheduleState.ACTIVE, ScheduleState.WITHDRAWN])),
    setting(rrule=lambda chance: chance.choice(["FREQ=DAILY", "FREQ=NEVER", None])),
]


async def test_they_are_as_read_anew_whatever_was_changed_in_however_many_steps(
    world: World,
) -> None:
    """Also in the middle of a transaction, after a row was changed twice, and after a rollback."""
    chance, kept = random.Random(1), Kept()
    ids = [
        await world.schedule(await world.bulletin(bytes([number])), {"area": "21001"}, number + 1)
        for number in range(4)
    ]
    for number in range(40):
        async with db.transaction(world.engine) as session:
            for _ in range(chance.randint(1, 3)):
                await chance.choice(CHANGES)(session, chance.choice(ids), chance)
                assert seen(await kept.read(session)) == seen(await neighbours(session))
            if chance.random() < 0.2:
                await session.rollback()
        async with db.transaction(world.engine) as session:
            assert seen(await kept.read(session)) == seen(await neighbours(session)), number


async def test_what_nobody_changed_is_not_read_again(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    kept, statements = Kept(), []
    async with db.transaction(world.engine) as session:
        await kept.read(session)
    event.listen(
        world.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, text, *_: statements.append(text),
    )
    async with db.transaction(world.engine) as session:
        assert len((await kept.read(session)).readable) == 1
    assert len(statements) == 1
