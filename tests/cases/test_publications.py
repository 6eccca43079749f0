"""What a changed schedule costs: documents that are published, and statements, by devices."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.topology import touch
from broadcast.kit import db
from broadcast.plays.model import Play
from broadcast.stations.model import Plant
from tests import province
from tests.delivery.world import NOW, World


async def grow(world: World, first: int, last: int) -> None:
    """More clusters with devices in the first village."""
    since = NOW - timedelta(days=1)
    async with db.transaction(world.engine) as session:
        plant = (await session.scalars(sa.select(Plant))).one()
        for number in range(first, last):
            cluster = province.cluster(f"M-{number}", plant)
            device = province.device(f"MD-{number}", since)
            session.add_all([cluster, device])
            await session.flush()
            session.add_all([
                province.service(cluster, "V1"), province.installation(device, cluster, since)
            ])  # fmt: skip
        await touch(session)


async def test_a_changed_schedule_is_published_to_its_own_areas_however_many_there_are(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    world = World(engine, tmp_path)
    await world.build()
    ours = await world.schedule(await world.bulletin(), {"area": "V1"}, rrule="FREQ=DAILY")
    await world.schedule(await world.bulletin(b"other"), {"area": "V2"}, rrule="FREQ=DAILY")
    await world.schedule(await world.bulletin(b"third"), {"area": "21001"}, hours=4)
    costs = []
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    for first, last in ((0, 3), (3, 40)):
        await grow(world, first, last)
        for _ in range(2):  # what is done from time to time is due in all of the turns, or in none
            await world.turn(after=timedelta(minutes=10))
        world.broker.publishes.clear()
        sa.event.listen(engine.sync_engine, "before_cursor_execute", count)
        statements = 0
        await world.move_some(ours, timedelta(minutes=1))
        await world.turn(after=timedelta(seconds=10))
        sa.event.remove(engine.sync_engine, "before_cursor_execute", count)
        costs.append((list(world.broker.publishes), statements))
    async with db.transaction(engine) as session:
        planned = await session.scalar(
            sa.select(sa.func.count(sa.distinct(Play.cluster_id))).where(Play.starts_at > NOW)
        )
    assert planned == 42, "all of them are to play it"
    (few, cheap), (many, dear) = costs
    assert few == many == ["area/V1/state/programme"]
    assert dear == cheap, "37 more devices, and not a statement more"
