"""Clashes of the coming days are told, whatever brought them there."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from broadcast.plays.clashes import clashes
from broadcast.plays.model import Play
from broadcast.schedules.model import Occurrence, OccurrenceState
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.plays.world import World

WEEK = EIGHT + timedelta(days=8)


async def test_what_meets_at_equal_priority_is_named_with_its_clusters(world: World) -> None:
    begin = EIGHT + timedelta(days=1)
    one = await world.planned(starts_at=begin)
    two = await world.planned(starts_at=begin + 30 * SECOND)
    other = await world.planned(starts_at=begin + 10 * SECOND)
    other.priority = one.priority + 1
    later = await world.planned(starts_at=begin + 30 * MINUTE)
    await world.session.flush()
    [found] = await clashes(world.session, EIGHT, WEEK)
    assert (found.occurrence_id, found.other_occurrence_id) == (one.id, two.id)
    assert (found.starts_at, found.cluster_count) == (begin, 2)
    assert later.id not in {found.occurrence_id, found.other_occurrence_id}
    assert await clashes(world.session, begin + MINUTE, WEEK) == []

    await world.session.execute(
        sa.delete(Play).where(
            Play.occurrence_id == two.id, Play.cluster_id == world.clusters["C-1"].id
        )
    )
    assert [each.cluster_count for each in await clashes(world.session, EIGHT, WEEK)] == [1]
    await world.session.execute(
        sa.update(Occurrence)
        .where(Occurrence.id == two.id)
        .values(state=OccurrenceState.CANCELLED)
    )
    assert await clashes(world.session, EIGHT, WEEK) == []
