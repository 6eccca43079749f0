from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa

from broadcast.areas.topology import touch
from broadcast.plays.ledger import month_of
from broadcast.plays.model import Play
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.stations.model import ClusterVillage
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.plays.world import BEFORE, COMMUNE, World, ended, started

PLANNED = ("planned", "")


async def change(world: World, occurrence: Occurrence, **columns: object) -> None:
    for name, value in columns.items():
        setattr(occurrence, name, value)
    await world.session.flush()


async def lose(world: World, cluster: str) -> None:
    """The cluster serves no village any more."""
    gone = ClusterVillage.cluster_id == world.clusters[cluster].id
    await world.session.execute(sa.delete(ClusterVillage).where(gone))
    await touch(world.session)


async def regain(world: World, cluster: str, village: str) -> None:
    world.session.add(
        ClusterVillage(cluster_id=world.clusters[cluster].id, village_code=village,
                       valid_from=date(2025, 1, 1), grade="primary")
    )  # fmt: skip
    await world.session.flush()
    await touch(world.session)


async def test_every_targeted_cluster_gets_one_row(world: World) -> None:
    occurrence = await world.planned()
    assert await world.plays(occurrence) == {"C-1": PLANNED, "C-2": PLANNED}
    await world.plan([occurrence], EIGHT - MINUTE)
    assert await world.plays(occurrence) == {"C-1": PLANNED, "C-2": PLANNED}
    play = await world.play(occurrence)
    assert (play.starts_at, play.ends_by, play.month) == (
        EIGHT, EIGHT + 5 * MINUTE, date(2025, 7, 1),
    )  # fmt: skip
    assert await world.changes(occurrence) == []


async def test_month_is_that_of_the_local_day(world: World) -> None:
    assert month_of(EIGHT.replace(day=1, month=7, hour=16, minute=59)) == date(2025, 7, 1)
    assert month_of(EIGHT.replace(day=31, month=7, hour=17)) == date(2025, 8, 1)


async def test_partition_that_is_missing_is_made(world: World) -> None:
    far = EIGHT + timedelta(days=200)
    occurrence = await world.planned(starts_at=far)
    assert set(await world.plays(occurrence)) == {"C-1", "C-2"}


async def test_cluster_that_leaves_the_targets_is_cancelled_and_may_return(world: World) -> None:
    occurrence = await world.planned()
    await lose(world, "C-2")
    await world.plan([occurrence], EIGHT - MINUTE)
    assert await world.plays(occurrence) == {
        "C-1": PLANNED, "C-2": ("cancelled", "not_targeted"),
    }  # fmt: skip
    await regain(world, "C-2", "V-2")
    await world.plan([occurrence], EIGHT - SECOND)
    assert await world.plays(occurrence) == {"C-1": PLANNED, "C-2": PLANNED}
    assert await world.changes(occurrence) == [
        ("planned", "", "cancelled", "not_targeted", "targets"),
        ("cancelled", "not_targeted", "planned", "", "planned"),
    ]
    assert (await world.play(occurrence, "C-2")).settled_at is None


async def test_targets_are_fixed_once_it_has_started(world: World) -> None:
    occurrence = await world.planned()
    await lose(world, "C-2")
    await world.plan([occurrence], EIGHT)
    assert await world.plays(occurrence) == {"C-1": PLANNED, "C-2": PLANNED}


async def test_cluster_that_comes_after_the_start_is_not_expected_to_play(world: World) -> None:
    await lose(world, "C-2")
    occurrence = await world.planned()
    await regain(world, "C-2", "V-2")
    await world.plan([occurrence], EIGHT + SECOND)
    assert await world.plays(occurrence) == {"C-1": PLANNED}


async def test_occurrence_that_is_planned_late_gets_its_rows_all_the_same(world: World) -> None:
    occurrence = await world.occurrence()
    await world.plan([occurrence], EIGHT + SECOND)
    assert await world.plays(occurrence) == {"C-1": PLANNED, "C-2": PLANNED}


async def test_moved_occurrence_keeps_its_rows(world: World) -> None:
    occurrence = await world.planned()
    later = EIGHT + timedelta(hours=2)
    await change(world, occurrence, starts_at=later, ends_by=later + 5 * MINUTE)
    await world.plan([occurrence], EIGHT - MINUTE)
    play = await world.play(occurrence)
    assert (play.starts_at, play.ends_by) == (later, later + 5 * MINUTE)


async def test_cancelled_occurrence_cancels_what_has_not_sounded(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence), at=EIGHT + SECOND)
    await change(
        world, occurrence, state=OccurrenceState.CANCELLED, cancel_reason="trùng lịch họp"
    )
    await world.plan([occurrence], EIGHT + MINUTE)
    assert await world.plays(occurrence) == {
        "C-1": ("playing", ""), "C-2": ("cancelled", "trùng lịch họp"),
    }  # fmt: skip
    await world.report(ended(2, occurrence, played=60, reason="withdrawn"))
    assert (await world.plays(occurrence))["C-1"] == ("partial", "withdrawn")


async def test_cancelled_occurrence_that_sounded_after_all_says_so(world: World) -> None:
    occurrence = await world.planned()
    await change(world, occurrence, state=OccurrenceState.CANCELLED, cancel_reason="x")
    await world.plan([occurrence], EIGHT - MINUTE)
    await world.report(started(1, occurrence), ended(2, occurrence))
    assert await world.plays(occurrence) == {"C-1": ("played", ""), "C-2": ("cancelled", "x")}
    assert (await world.changes(occurrence))[-1] == ("cancelled", "x", "played", "", "report")


async def test_revived_occurrence_is_planned_again(world: World) -> None:
    occurrence = await world.planned()
    await change(world, occurrence, state=OccurrenceState.CANCELLED, cancel_reason="x")
    await world.plan([occurrence], BEFORE)
    await change(world, occurrence, state=OccurrenceState.PLANNED, cancel_reason=None)
    await world.plan([occurrence], BEFORE)
    assert await world.plays(occurrence) == {"C-1": PLANNED, "C-2": PLANNED}


async def test_many_occurrences_are_planned_together(world: World) -> None:
    made = [await world.occurrence(EIGHT + n * timedelta(days=1)) for n in range(8)]
    await world.plan(made, BEFORE)
    count = await world.session.scalar(sa.select(sa.func.count()).select_from(Play))
    assert count == 16
    assert world.schedule.targets == [{"area": COMMUNE}]
