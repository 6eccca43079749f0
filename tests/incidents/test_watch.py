"""Incidents in the database, from presence as the sweep leaves it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.devices.model import Installation
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.incidents.watch import Watch
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import Cluster
from broadcast.telemetry import faults
from broadcast.telemetry.faults import Report
from tests.devices.fleet import EIGHT, MINUTE
from tests.incidents.world import RULES, World


@pytest.fixture
async def world(session: AsyncSession) -> World:
    """Four communes of twenty devices."""
    for day in range(2):
        await db.ensure_partitions(session, (EIGHT + timedelta(days=day)).astimezone(LOCAL).date())
    world = World(session, each=20)
    await world.build(4)
    return world


async def test_feed_that_falls_is_one_incident_of_its_power(world: World) -> None:
    await world.run(2)
    await world.fall(world.feed(3))
    fell_at = world.now
    await world.run(4)
    (incident,) = await world.incidents()
    assert (incident.kind, incident.code, incident.cause) == (Kind.POWER_FEED, "F-3", Cause.POWER)
    assert (incident.devices_count, incident.down_count) == (10, 10)
    assert (incident.villages_count, incident.communes_count) == (2, 1)
    assert fell_at - MINUTE <= incident.opened_at <= fell_at < incident.noticed_at
    assert await world.members(incident) == set(world.feed(3))


async def test_incident_closes_when_all_are_back_and_says_when_that_was(world: World) -> None:
    await world.fall(world.feed(3))
    await world.run(20)
    await world.rise(world.feed(3)[1:], "power_on")
    await world.run(5)
    await world.rise(world.feed(3)[:1], "power_on")
    returned_at = world.now
    await world.run(10)
    (incident,) = await world.incidents()
    assert (incident.down_count, incident.recovered_at) == (0, returned_at)
    await world.run(10)
    assert await world.incidents() == []
    (over,) = await world.incidents(closed=True)
    assert (over.id, over.closed_at) == (incident.id, returned_at)


async def test_flapping_device_stays_in_its_incident_and_a_later_fall_opens_another(
    world: World,
) -> None:
    await world.fall([7])
    await world.run(12)
    (first,) = await world.incidents()
    for _ in range(3):
        await world.rise([7])
        await world.run(4)
        await world.fall([7])
        await world.run(12)
    assert [row.id for row in await world.incidents()] == [first.id]
    await world.rise([7])
    await world.run(20)
    await world.fall([7])
    await world.run(12)
    (second,) = await world.incidents()
    assert [row.id for row in await world.incidents(closed=True)] == [first.id]
    assert second.id != first.id


@pytest.mark.parametrize(
    ("heartbeat", "fault", "cause"),
    [
        ({}, False, Cause.AREA),
        ({"mains": False}, False, Cause.POWER),
        ({}, True, Cause.POWER),
    ],
)
async def test_cause_is_what_the_devices_said_when_they_fell(
    world: World, heartbeat: dict[str, object], fault: bool, cause: Cause
) -> None:
    await world.fall(world.commune(1), **heartbeat)
    if fault:
        last = [
            Report(world.devices[n].id, "power_lost", True, world.now)
            for n in world.commune(1)[::4]
        ]
        await faults.keep(world.session, last)
    await world.run(4)
    (incident,) = await world.incidents()
    assert (incident.kind, incident.code, incident.cause) == (Kind.COMMUNE, "21001", cause)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [("power_on", Cause.POWER), ("reconnect", Cause.NETWORK), ("update", Cause.AREA)],
)
async def test_cause_is_refined_when_devices_return(
    world: World, reason: str, cause: Cause
) -> None:
    await world.fall(world.commune(1))
    await world.run(4)
    await world.rise(world.commune(1), reason)
    await world.run(1)
    (incident,) = await world.incidents()
    assert incident.cause is cause


async def test_operator_in_one_commune_is_named_where_the_others_are_fine(world: World) -> None:
    viettel = world.commune(2)[::2]
    await world.fall(viettel)
    await world.run(4)
    (incident,) = await world.incidents()
    assert (incident.kind, incident.code, incident.within) == (Kind.OPERATOR, "VIETTEL", "21002")
    assert (incident.name, incident.cause) == ("VIETTEL, xã Nghĩa 2", Cause.NETWORK)


async def test_incident_that_grows_keeps_its_number_and_takes_over_the_singles(
    world: World,
) -> None:
    # Without a feed on record two singles are all there is, until the whole village falls.
    await world.fall([20, 21])
    await world.run(11)
    singles = await world.incidents()
    assert [row.kind for row in singles] == [Kind.DEVICE] * 2
    await world.fall([22, 23, 24])
    at = singles[0].opened_at
    await world.session.execute(
        sa.text(
            "UPDATE device_presence SET last_seen_at = :at, silent_after = :at"
            " WHERE device_id = ANY(:ids)"
        ),
        {"at": at, "ids": [world.devices[n].id for n in (22, 23, 24)]},
    )
    await world.run(1)
    (village,) = await world.incidents()
    assert (village.kind, village.name, village.down_count) == (Kind.VILLAGE, "thôn Thôn 0", 5)
    assert village.id == singles[0].id
    taken = await world.session.get_one(Incident, singles[1].id)
    assert (taken.superseded, taken.superseded_by) == (True, village.id)
    assert taken.closed_at is not None


async def test_while_the_server_was_away_nothing_opens_and_nothing_closes(world: World) -> None:
    await world.fall(world.feed(3))
    await world.run(20)
    (open_,) = await world.incidents()
    await world.rise(world.feed(3))
    await world.watch.judge(world.session, world.now)
    # For two hours nobody is heard because nobody listens; then everybody is, at once.
    world.now += 120 * MINUTE
    await world.watch.judge(world.session, world.now)
    assert [row.id for row in await world.incidents()] == [open_.id]
    world.started_at = world.now
    await world.run(30)
    assert await world.incidents() == []
    assert [row.id for row in await world.incidents(closed=True)] == [open_.id]


async def test_device_taken_from_its_cluster_leaves_its_incident(world: World) -> None:
    await world.fall([7])
    await world.run(12)
    await world.session.execute(
        sa.update(Installation)
        .where(Installation.device_id == world.devices[7].id)
        .values(removed_at=world.now)
    )
    await touch(world.session)
    await world.run(20)
    assert await world.incidents() == []


async def test_return_and_fall_that_nobody_watched_are_two_incidents(world: World) -> None:
    await world.fall([7])
    await world.run(12)
    (first,) = await world.incidents()
    await world.rise([7])
    returned_at = world.now
    await world.run(60, step=MINUTE, watched=False)
    await world.fall([7])
    await world.run(12, step=MINUTE, watched=False)
    watch = Watch(RULES)
    assert [await watch.judge(world.session, world.now) for _ in range(3)] == [True, True, False]
    (second,) = await world.incidents()
    (over,) = await world.incidents(closed=True)
    assert (over.id, over.closed_at) == (first.id, returned_at)
    assert second.opened_at > returned_at + 59 * MINUTE


async def test_new_leader_finds_the_same_incidents(world: World) -> None:
    await world.fall([*world.feed(3), 7])
    await world.run(12)
    before = [(row.id, row.code, row.down_count) for row in await world.incidents()]
    assert len(before) == 2
    world.watch = Watch(RULES)
    assert await world.watch.judge(world.session, world.now)
    assert [(row.id, row.code, row.down_count) for row in await world.incidents()] == before


async def test_nothing_is_looked_at_twice(world: World) -> None:
    await world.fall([*world.feed(3), 7])
    await world.run(4)
    assert not await world.watch.judge(world.session, world.now)
    await world.rise(world.feed(3)[:1])
    assert await world.watch.judge(world.session, world.now)
    assert not await world.watch.judge(world.session, world.now)


async def test_metrics_say_what_is_open(world: World) -> None:
    def opened() -> float:
        labels = {"kind": "power_feed"}
        return REGISTRY.get_sample_value("broadcast_incidents_opened_total", labels) or 0.0

    before = opened()
    await world.fall([*world.feed(3), 7])
    await world.run(12)
    labels = {"kind": "power_feed", "cause": "power"}
    assert REGISTRY.get_sample_value("broadcast_incidents_open", labels) == 1
    assert opened() == before + 1
    await world.rise([*world.feed(3), 7])
    await world.run(30)
    assert REGISTRY.get_sample_value("broadcast_incidents_open", labels) in {None, 0}


async def test_evidence_of_the_power_stands_whatever_comes_later(world: World) -> None:
    await world.fall([7], mains=False)
    await world.run(12)
    await world.rise([7], "reconnect")
    await world.run(1)
    fall = await world.session.scalar(sa.select(IncidentLoss))
    assert fall is not None
    assert fall.evidence is Evidence.POWER


async def test_a_feed_may_be_put_on_record_later(world: World) -> None:
    await world.session.execute(sa.update(Cluster).values(power_feed=None))
    await touch(world.session)
    await world.fall(world.feed(2))
    await world.run(4)
    (incident,) = await world.incidents()
    assert (incident.kind, incident.cause) == (Kind.COMMUNE, Cause.AREA)


async def test_incident_of_a_feed_that_was_recorded_wrongly_dissolves(world: World) -> None:
    fallen = [0, 20, 40, 60]  # one in each commune
    codes = Cluster.code.in_([f"C-{number}" for number in fallen])
    wrong = sa.update(Cluster).where(codes)
    await world.session.execute(wrong.values(power_feed="X"))
    await touch(world.session)
    await world.fall(fallen)
    await world.run(5)
    (incident,) = await world.incidents()
    assert (incident.code, incident.down_count) == ("X", 4)
    await world.session.execute(wrong.values(power_feed=None))
    await touch(world.session)
    await world.fall([70])
    await world.run(4)
    assert await world.incidents() == []
    assert (incident.superseded, incident.superseded_by) == (True, None)
    assert await world.members(incident) == set()
    await world.run(10)
    singles = await world.incidents()
    assert sorted(row.code for row in singles) == sorted(f"D-{n}" for n in [*fallen, 70])


_ASTRAY = sa.text("""
    SELECT p.device_id, count(i.id)
    FROM device_presence AS p
    LEFT JOIN incident_falls AS f ON f.device_id = p.device_id AND f.returned_at IS NULL
    LEFT JOIN incidents AS i ON i.id = f.incident_id AND i.closed_at IS NULL
    GROUP BY p.device_id, p.presence
    HAVING count(i.id) > 1
        OR (p.presence = 'offline' AND count(i.id) = 0)
        OR (p.presence = 'online' AND count(i.id) > 0)
""")
"""Devices that are offline and in no open incident, online and down in one, or in two."""

_WRONG = sa.text("""
    SELECT i.id
    FROM incidents AS i
    LEFT JOIN incident_falls AS f ON f.incident_id = i.id
    WHERE NOT i.superseded
    GROUP BY i.id
    HAVING i.devices_count <> count(DISTINCT f.device_id)
        OR i.down_count <> count(f.device_id) FILTER (WHERE f.returned_at IS NULL)
        OR i.opened_at <> min(f.fell_at)
        OR (i.closed_at IS NOT NULL AND i.closed_at <> max(f.returned_at))
        OR (i.closed_at IS NULL AND i.down_count = 0 AND max(f.returned_at) < :forgotten)
""")


@pytest.mark.parametrize("seed", range(4))
async def test_through_hours_of_falls_and_returns_the_rows_agree(world: World, seed: int) -> None:
    chance = random.Random(seed)
    closed: dict[int, object] = {}
    for _ in range(25):
        some = chance.choice([
            world.feed(chance.randrange(8)),
            world.commune(chance.randrange(4)),
            world.commune(chance.randrange(4))[chance.randrange(2) :: 2],
            [chance.randrange(80)],
            chance.sample(range(80), 6),
        ])  # fmt: skip
        if chance.random() < 0.5:
            await world.fall(some)
        else:
            back = sorted(set(some) & world.down)
            await world.rise(back, chance.choice([None, "power_on", "reconnect"]))
        if chance.random() < 0.2:
            world.watch = Watch(RULES)
        await world.run(chance.choice([0.5, 2, 4, 12, 40]), step=MINUTE)
        assert (await world.session.execute(_ASTRAY)).all() == []
        forgotten = world.now - RULES.incident_calm - 5 * MINUTE
        wrong = await world.session.execute(_WRONG, {"forgotten": forgotten})
        assert wrong.all() == []
        now_closed = {row.id: row.closed_at for row in await world.incidents(closed=True)}
        assert closed.items() <= now_closed.items()
        closed = now_closed
    assert closed
