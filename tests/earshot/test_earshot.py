"""Groups of a province, their starts as devices told them, and what people correct."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.permissions import Role
from broadcast.console.earshot import HEIGHT, WIDTH, plan_of
from broadcast.earshot.answers import group_of, list_groups
from broadcast.earshot.corrections import forget, pair_of, say
from broadcast.earshot.schemas import PairIn
from broadcast.earshot.spread import Cause, Verdict
from broadcast.kit.errors import Forbidden, InvalidInput, NotFound
from broadcast.wire.events import Started
from tests.callers import caller
from tests.devices.fleet import EIGHT, MINUTE
from tests.plays.world import World, ended, make

REACH = 600
NOW = EIGHT + 10 * MINUTE
ADMIN = caller("Tâm", Role.PROVINCE_ADMIN)


@pytest.fixture
async def world(session: AsyncSession) -> World:
    made = await make(session)
    for code, latitude in (("C-1", 15.1), ("C-2", 15.103)):
        made.clusters[code].latitude, made.clusters[code].longitude = latitude, 108.8
    await session.flush()
    return made


async def sounded(world: World) -> None:
    """Both begin; the second keeps to an NTP that is 120 ms fast."""
    occurrence = await world.planned()
    for device, late, offset, doubt in (("D-1", 12, 0, 20), ("D-2", 5, 120, 15)):
        began = Started(
            seq=1, occurrence_id=str(occurrence.id), at=EIGHT + timedelta(milliseconds=late),
            clock_offset_ms=offset, clock_uncertainty_ms=doubt,
        )  # fmt: skip
        await world.report(began, ended(2, occurrence), device=device)


async def test_a_group_tells_how_far_apart_it_began_and_who_was_out(world: World) -> None:
    await sounded(world)
    found = await group_of(world.session, "C-2", REACH, NOW)
    assert (found.cluster, found.clusters_count) == ("C-1", 2)
    (link,) = found.links
    assert (link.heard, link.said, round(link.metres or 0)) == (True, False, 334)
    (it,) = found.spreads
    assert (it.width_ms, it.doubt_ms) == (127, 35)
    worst, best = it.starts
    assert (worst.cluster, worst.late_ms, worst.verdict, worst.cause) == (
        "C-2", -115, Verdict.OUT, Cause.CLOCK_OFF
    )  # fmt: skip
    assert "NTP" in worst.remedy
    assert (best.cluster, best.verdict) == ("C-1", Verdict.IN)
    assert "127 ms" in found.answer
    assert "1 cụm lệch quá 50 ms" in found.answer
    assert [each.cluster for each in await list_groups(world.session, REACH, NOW)] == ["C-1"]


async def test_who_stands_farther_is_a_group_by_itself_until_somebody_says_so(
    world: World,
) -> None:
    session = world.session
    assert await list_groups(session, 300, NOW) == []
    assert (await group_of(session, "C-1", 300, NOW)).clusters_count == 1
    said = await say(session, "C-2", "C-1", PairIn(heard=True, note="cùng một xóm"), ADMIN, NOW)
    assert (said.heard, said.note, said.set_by.id) == (True, "cùng một xóm", ADMIN.account_id)
    assert (await group_of(session, "C-1", 300, NOW)).clusters_count == 2
    await say(session, "C-1", "C-2", PairIn(heard=False), ADMIN, NOW)
    (link,) = (await group_of(session, "C-1", REACH, NOW)).links
    assert (link.heard, link.said) == (False, True)
    await forget(session, "C-1", "C-2", ADMIN)
    with pytest.raises(NotFound):
        await pair_of(session, "C-1", "C-2")
    assert (await group_of(session, "C-1", REACH, NOW)).clusters_count == 2


async def test_a_pair_is_two_clusters_of_places_that_one_may_change(world: World) -> None:
    with pytest.raises(InvalidInput):
        await say(world.session, "C-1", "C-1", PairIn(heard=True), ADMIN, NOW)
    with pytest.raises(NotFound):
        await say(world.session, "C-1", "C-9", PairIn(heard=True), ADMIN, NOW)
    monitor = caller("Lan", Role.PROVINCE_MONITOR)
    with pytest.raises((Forbidden, NotFound)):
        await say(world.session, "C-1", "C-2", PairIn(heard=True), monitor, NOW)


async def test_the_plan_shows_who_stands_where(world: World) -> None:
    await sounded(world)
    plan = plan_of(await group_of(world.session, "C-1", REACH, NOW))
    one, two = plan.dots
    assert two.y < one.y, "north is at the top"
    assert (one.kind, two.kind, len(plan.strokes)) == ("ok", "bad", 1)
    assert all(0 < dot.x < WIDTH and 0 < dot.y < HEIGHT for dot in plan.dots)
    assert plan.bar_metres * 2 < 334 < plan.bar_metres * 12
    world.clusters["C-1"].latitude = None
    world.clusters["C-2"].longitude = None
    await world.session.flush()
    assert plan_of(await group_of(world.session, "C-1", REACH, NOW)).dots == []
