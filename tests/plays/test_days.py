"""The occurrences of a day, each with the clusters counted by what was heard."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from broadcast.auth.permissions import Role
from broadcast.kit.errors import InvalidInput
from broadcast.plays import days
from broadcast.plays.closer import close_due
from broadcast.plays.days import LONGEST, occurrences_between
from broadcast.plays.model import Play
from broadcast.plays.results import result_of
from broadcast.plays.soundings import Sounding
from broadcast.schedules.model import Occurrence, OccurrenceState
from tests import province
from tests.callers import caller
from tests.devices.fleet import EIGHT
from tests.plays.world import CLOSED, WAIT, World, ended, skipped, started

DAY = timedelta(days=1)


async def test_an_occurrence_is_counted_as_its_page_counts_it(world: World) -> None:
    occurrence = await world.planned()
    (planned,) = await occurrences_between(world.session, EIGHT, EIGHT + DAY)
    assert (planned.clusters_count, planned.counts) == (2, {Sounding.WAITING: 2})
    await world.report(started(1, occurrence), ended(2, occurrence))
    await world.report(skipped(1, occurrence, "powered_off"), device="D-2")
    await close_due(world.session, CLOSED, WAIT)
    (found,) = await occurrences_between(world.session, EIGHT, EIGHT + DAY)
    assert found.counts == {Sounding.SOUNDED: 1, Sounding.SILENT: 1}
    page = await result_of(world.session, occurrence.id, caller("Lan", Role.PROVINCE_MONITOR))
    assert found.clusters_count == len(page.clusters)
    assert (found.title, found.audio_seconds) == (page.title, page.audio_seconds)


async def test_the_span_has_its_begin_and_not_its_end(world: World) -> None:
    occurrence = await world.planned()
    starts_at = occurrence.starts_at
    assert await occurrences_between(world.session, starts_at - DAY, starts_at) == []
    (found,) = await occurrences_between(world.session, starts_at, starts_at + DAY)
    assert found.occurrence_id == occurrence.id


async def test_who_was_taken_out_of_the_audience_counts_for_nothing(world: World) -> None:
    occurrence = await world.planned()
    await world.session.execute(
        sa.update(Play)
        .where(Play.cluster_id == world.clusters["C-2"].id)
        .values(state="cancelled")
    )
    (found,) = await occurrences_between(world.session, EIGHT, EIGHT + DAY)
    assert (found.clusters_count, found.counts) == (1, {Sounding.WAITING: 1})
    await world.session.execute(
        sa.update(Occurrence)
        .where(Occurrence.id == occurrence.id)
        .values(state=OccurrenceState.CANCELLED)
    )
    (cancelled,) = await occurrences_between(world.session, EIGHT, EIGHT + DAY)
    assert cancelled.counts == {Sounding.WAITING: 1, Sounding.CANCELLED: 1}


async def test_a_span_is_not_without_end(world: World) -> None:
    with pytest.raises(InvalidInput, match="42 ngày"):
        await occurrences_between(world.session, EIGHT, EIGHT + LONGEST + DAY)


async def test_what_is_asked_for_is_not_cut_by_what_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "MOST", 1)
    other = province.schedule(
        world.schedule.bulletin_id, EIGHT, EIGHT - DAY, title="Nơi khác",
        targets=[{"area": "V-2"}], targets_on=world.schedule.targets_on, priority=100,
        late_limit_seconds=60,
    )  # fmt: skip
    world.session.add(other)
    await world.session.flush()
    elsewhere = province.occurrence(other, EIGHT - DAY / 24)
    world.session.add(elsewhere)
    asked = await world.planned()
    span = EIGHT - DAY, EIGHT + DAY
    (found,) = await occurrences_between(world.session, *span)
    assert (found.occurrence_id, found.clusters_count) == (elsewhere.id, 0)
    (there,) = await occurrences_between(world.session, *span, area="V-1")
    (mine,) = await occurrences_between(world.session, *span, schedule_id=world.schedule.id)
    for found in (there, mine):
        assert (found.occurrence_id, found.clusters_count) == (asked.id, 2)
