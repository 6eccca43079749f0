"""A province of 3,000 devices on a bad day: the right incidents and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.incidents.causes import Cause
from broadcast.incidents.grouping import Kind
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import Cluster
from tests.devices.fleet import EIGHT, MINUTE
from tests.incidents.world import World

LINE = "471-E16.1"
FEED = [*range(300, 320), *range(330, 348)]
"""38 clusters of two communes that hang on one line."""
SINGLES = [6, 610, 1251, 1498, 2020, 2776]
"""Each in a commune of its own, none of the operator that fails."""


@pytest.fixture
async def world(session: AsyncSession) -> World:
    for day in range(2):
        await db.ensure_partitions(session, (EIGHT + timedelta(days=day)).astimezone(LOCAL).date())
    world = World(session, each=30)
    await world.build(100, operators=("VIETTEL", "VINAPHONE", "Mobi fone"))
    await session.execute(
        sa.update(Cluster)
        .where(Cluster.code.in_([f"C-{number}" for number in FEED]))
        .values(power_feed=LINE)
    )
    await touch(session)
    return world


async def test_line_operator_and_single_failures_at_the_same_time(world: World) -> None:
    mobi = set(range(2, 3000, 3))
    await world.run(1, step=MINUTE)
    await world.fall({*mobi, *FEED, *SINGLES})
    await world.run(5, step=MINUTE)
    operator, line = sorted(await world.incidents(), key=lambda row: -row.devices_count)
    assert (operator.kind, operator.name, operator.cause) == (
        Kind.OPERATOR, "MOBI FONE", Cause.NETWORK,
    )  # fmt: skip
    assert await world.members(operator) == mobi
    assert (line.kind, line.code, line.cause) == (Kind.POWER_FEED, LINE, Cause.POWER)
    assert await world.members(line) == set(FEED) - mobi
    assert (operator.communes_count, line.communes_count) == (100, 2)

    await world.run(7, step=MINUTE)
    incidents = {row.id: row for row in await world.incidents()}
    alone = [row for row in incidents.values() if row.kind is Kind.DEVICE]
    assert sorted(row.code for row in alone) == sorted(f"D-{number}" for number in SINGLES)
    assert len(incidents) == 2 + len(SINGLES)

    # The line is back, all but one cluster; the operator an hour later; that one the next day.
    late, *soon = sorted(set(FEED) - mobi)
    await world.rise(soon, "power_on")
    await world.run(60, step=5 * MINUTE)
    assert [row.down_count for row in await world.incidents() if row.id == line.id] == [1]
    await world.rise(mobi, "reconnect")
    await world.run(25, step=MINUTE)
    (over,) = await world.incidents(closed=True)
    assert (over.id, over.down_count, over.cause) == (operator.id, 0, Cause.NETWORK)
    still = {row.code: row.down_count for row in await world.incidents()}
    assert still == {LINE: 1} | {f"D-{number}": 1 for number in SINGLES}
    await world.rise([late, *SINGLES], "power_on")
    returned_at = world.now
    await world.run(25, step=MINUTE)
    assert await world.incidents() == []
    closed = {row.id: row for row in await world.incidents(closed=True)}
    assert len(closed) == 2 + len(SINGLES)
    assert (closed[line.id].closed_at, closed[line.id].cause) == (returned_at, Cause.POWER)


async def test_server_that_was_away_makes_no_incident_of_three_thousand(world: World) -> None:
    await world.run(2, step=MINUTE)
    world.now += 45 * MINUTE
    world.started_at = world.now
    await world.run(20, step=MINUTE)
    assert await world.incidents() == []
    assert await world.incidents(closed=True) == []


async def test_five_hundred_that_fall_at_once_are_one_incident_after_one_pass(
    world: World,
) -> None:
    fallen = set(range(2, 1500, 3))
    await world.run(1, step=MINUTE)
    await world.fall(fallen)
    await world.run(5, step=5 * MINUTE)
    (incident,) = await world.incidents()
    assert (incident.devices_count, incident.kind) == (500, Kind.OPERATOR)
    count = "SELECT count(*) FROM incidents"
    assert await world.session.scalar(sa.text(count)) == 1
