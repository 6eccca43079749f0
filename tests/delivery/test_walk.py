"""The walk of a bulletin in docs/architecture.md is the one that it takes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.kit import db
from broadcast.schedules import edits
from tests.callers import caller
from tests.delivery.world import World
from tests.walks import Walk

LAN = caller("Lan", Role.PROVINCE_EDITOR)


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    await world.build()
    return world


async def test_a_bulletin_goes_from_its_row_to_the_broker_as_written_down(world: World) -> None:
    walk = Walk.read("A bulletin, row → broker")
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()  # its audio is at the broker, and the fast path is open
    starts_at = world.now.replace(microsecond=0) + timedelta(hours=1)
    columns = {"starts_at": starts_at, "targets": [{"area": "21001"}], "late_limit_seconds": 300}
    with walk.traced() as called:
        async with db.transaction(world.engine) as session:
            await edits.create(session, bulletin_id, columns, LAN, world.settings.rules, world.now)
        await world.turn()
    assert called == walk.functions
    starts = [item.starts_at for item in world.broker.programme("area/21001").items]
    assert starts[0] == starts_at
    assert len(starts) == 2
