"""Rows of occurrences: the same however often and in whatever order they are materialised."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.bulletins.model import RevisionState
from broadcast.schedules.cancellation import (
    CANCELLED_SINGLY,
    CHANGED,
    WITHDRAWN,
    cancel_unapproved,
)
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleException,
    ScheduleState,
)
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.starts import occurrence_id
from tests.callers import LAN
from tests.schedules import province
from tests.schedules.province import NOW, local

HORIZON = timedelta(days=8)
DAY = timedelta(days=1)


@pytest.fixture
async def daily(session: AsyncSession, tmp_path: Path) -> Schedule:
    """Every day at 17:00 at Nghĩa Phú, materialised."""
    await province.build(session)
    bulletin, _ = await province.approved(session, tmp_path)
    schedule = await province.schedule(session, bulletin.id, rrule="FREQ=DAILY")
    assert await materialise(session, NOW, HORIZON) == 8
    return schedule


async def rows(session: AsyncSession) -> list[Occurrence]:
    statement = sa.select(Occurrence).order_by(Occurrence.starts_at, Occurrence.id)
    return list(await session.scalars(statement))


async def clean(session: AsyncSession) -> None:
    """As the dispatcher leaves them."""
    await session.execute(sa.update(Occurrence).values(dirty=False))


async def dirty(session: AsyncSession) -> list[datetime]:
    found = await session.scalars(
        sa.select(Occurrence.starts_at).where(Occurrence.dirty).order_by(Occurrence.starts_at)
    )
    return list(found)


async def leave_out(session: AsyncSession, schedule: Schedule, *at: datetime) -> None:
    for when in at:
        await move(session, schedule, when, None)


async def move(
    session: AsyncSession, schedule: Schedule, at: datetime, to: datetime | None
) -> None:
    exception = ScheduleException(
        schedule_id=schedule.id, recurrence_at=at, moved_to=to, changed_by=LAN, changed_at=NOW
    )
    await session.merge(exception)
    await session.flush()


async def test_an_occurrence_has_all_that_a_device_needs(
    session: AsyncSession, daily: Schedule
) -> None:
    [first, *_] = await rows(session)
    assert first.id == occurrence_id(daily.id, local("2024-12-28T17:00"))
    assert first.starts_at == first.recurrence_at == local("2024-12-28T17:00")
    assert first.ends_by == first.starts_at + timedelta(seconds=300 + 61.5 + 30)
    assert (first.class_.value, first.priority, first.bulletin_revision) == ("normal", 64, 1)
    assert first.scopes == ["area/21253"]
    assert first.dirty


async def test_after_the_merger_the_documents_of_the_villages_carry_it(
    session: AsyncSession, daily: Schedule
) -> None:
    scopes = {
        f"{row.starts_at.astimezone(local('2024-12-28').tzinfo):%m-%d}": row.scopes
        for row in await rows(session)
    }
    assert scopes["12-31"] == ["area/21253"]
    assert scopes["01-01"] == ["area/T-1"]


async def test_materialising_again_changes_nothing(session: AsyncSession, daily: Schedule) -> None:
    await clean(session)
    assert await materialise(session, NOW, HORIZON) == 0
    assert await materialise(session, NOW + timedelta(hours=1), HORIZON) == 0
    assert await dirty(session) == []
    assert await materialise(session, NOW + DAY, HORIZON) == 1
    assert await dirty(session) == [local("2025-01-05T17:00")]


async def test_a_change_of_topology_touches_only_what_it_reaches(
    session: AsyncSession, daily: Schedule
) -> None:
    await clean(session)
    await session.execute(sa.text("UPDATE clusters SET name = 'Nhà văn hóa mới'"))
    await touch(session)
    assert await materialise(session, NOW, HORIZON) == 0
    # C-2 comes to serve T-1 too: the same document, another cluster that must answer for it.
    await session.execute(sa.text("UPDATE cluster_villages SET grade = 'primary'"))
    await touch(session)
    assert await materialise(session, NOW, HORIZON) == 8
    assert len(await dirty(session)) == 8


async def test_a_moved_occurrence_keeps_its_id_also_beyond_the_horizon(
    session: AsyncSession, daily: Schedule
) -> None:
    at = local("2024-12-29T17:00")
    for to in (local("2024-12-29T18:30"), local("2025-03-01T06:00"), local("2024-12-28T09:00")):
        await clean(session)
        await move(session, daily, at, to)
        assert await materialise(session, NOW, HORIZON) == 1
        row = await session.get_one(Occurrence, occurrence_id(daily.id, at))
        assert (row.recurrence_at, row.starts_at) == (at, to)
        assert (row.state, row.dirty) == (OccurrenceState.PLANNED, True)
        assert row.ends_by > to
    assert len(await rows(session)) == 8


async def test_a_move_beyond_the_horizon_that_is_undone_leaves_nothing_there(
    session: AsyncSession, daily: Schedule
) -> None:
    at, to = local("2025-02-01T17:00"), local("2025-03-01T06:00")
    await move(session, daily, at, to)
    assert await materialise(session, NOW, HORIZON) == 1
    await session.execute(sa.delete(ScheduleException))
    assert await materialise(session, NOW, HORIZON) == 1
    row = await session.get_one(Occurrence, occurrence_id(daily.id, at))
    assert (row.state, row.cancel_reason) == (OccurrenceState.CANCELLED, CHANGED)
    assert await materialise(session, at - HORIZON / 2, HORIZON) == 8
    assert (row.state, row.starts_at) == (OccurrenceState.PLANNED, at)


async def test_what_was_left_out_stays_out(session: AsyncSession, daily: Schedule) -> None:
    await leave_out(session, daily, local("2024-12-29T17:00"), local("2024-12-30T17:00"))
    assert await materialise(session, NOW, HORIZON) == 2
    assert await materialise(session, NOW, HORIZON) == 0
    out = [row for row in await rows(session) if row.state is OccurrenceState.CANCELLED]
    assert [row.cancel_reason for row in out] == [CANCELLED_SINGLY, CANCELLED_SINGLY]
    assert [row.starts_at for row in out] == [local("2024-12-29T17:00"), local("2024-12-30T17:00")]


async def test_a_changed_rule_cancels_what_no_longer_comes_and_revives_what_does_again(
    session: AsyncSession, daily: Schedule
) -> None:
    daily.rrule = "FREQ=WEEKLY;BYDAY=SA"
    assert await materialise(session, NOW, HORIZON) == 7 - 1
    states = [(row.state, row.cancel_reason) for row in await rows(session)]
    assert states.count((OccurrenceState.CANCELLED, CHANGED)) == 6
    daily.rrule = "FREQ=DAILY"
    assert await materialise(session, NOW, HORIZON) == 6
    assert {row.state for row in await rows(session)} == {OccurrenceState.PLANNED}


async def test_what_has_started_is_never_changed(session: AsyncSession, daily: Schedule) -> None:
    [first, *_] = await rows(session)
    before = (first.starts_at, first.title, first.state)
    await clean(session)
    daily.rrule, daily.title = "FREQ=DAILY;BYHOUR=6", "Bản tin khác"
    await materialise(session, first.starts_at + timedelta(seconds=1), HORIZON)
    await session.refresh(first)
    assert (first.starts_at, first.title, first.state) == before
    assert not first.dirty


async def test_nothing_unapproved_becomes_an_occurrence(
    session: AsyncSession, tmp_path: Path
) -> None:
    await province.build(session)
    for state in set(RevisionState) - {RevisionState.APPROVED}:
        bulletin, _ = await province.approved(session, tmp_path, title=state, state=state)
        await province.schedule(session, bulletin.id, rrule="FREQ=DAILY")
    assert await materialise(session, NOW, HORIZON) == 0
    assert await rows(session) == []


async def test_a_withdrawn_revision_takes_its_schedules_and_what_sounds_with_it(
    session: AsyncSession, daily: Schedule
) -> None:
    [first, *others] = await rows(session)
    await clean(session)
    now = first.starts_at + timedelta(seconds=20)
    assert await cancel_unapproved(session, now) == 0
    await session.execute(sa.text("UPDATE bulletin_revisions SET state = 'withdrawn'"))
    assert await cancel_unapproved(session, now) == 1
    for row in (first, *others):
        await session.refresh(row)
        assert (row.state, row.cancel_reason) == (OccurrenceState.CANCELLED, WITHDRAWN)
        assert row.dirty
    assert daily.state is ScheduleState.WITHDRAWN
    assert await cancel_unapproved(session, now) == 0
    assert await materialise(session, now, HORIZON) == 0


async def test_what_sounds_of_an_earlier_revision_is_stopped_when_that_is_withdrawn(
    session: AsyncSession, daily: Schedule, tmp_path: Path
) -> None:
    bulletin, second = await province.approved(session, tmp_path, title="khác")
    [first, *_] = await rows(session)
    daily.bulletin_id, daily.bulletin_revision = bulletin.id, second.number
    now = first.starts_at + timedelta(seconds=20)
    await materialise(session, now, HORIZON)
    await session.execute(
        sa.text("UPDATE bulletin_revisions SET state = 'withdrawn' WHERE bulletin_id = :id"),
        {"id": first.bulletin_id},
    )
    assert await cancel_unapproved(session, now) == 0
    await session.refresh(first)
    assert first.cancel_reason == WITHDRAWN
    assert daily.state is ScheduleState.ACTIVE
    states = {row.state for row in await rows(session) if row.starts_at > now}
    assert states == {OccurrenceState.PLANNED}


async def test_a_schedule_ends_with_its_last_start(session: AsyncSession, tmp_path: Path) -> None:
    await province.build(session)
    bulletin, _ = await province.approved(session, tmp_path)
    once = await province.schedule(session, bulletin.id)
    twice = await province.schedule(
        session, bulletin.id, rrule="FREQ=WEEKLY;COUNT=2", targets=[{"area": "21262"}]
    )
    leap = await province.schedule(
        session, bulletin.id, rrule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"
    )
    await materialise(session, NOW, HORIZON)
    states = [once.state, twice.state, leap.state]
    assert states == [ScheduleState.ACTIVE] * 3
    later = NOW + timedelta(days=2)
    await materialise(session, later, HORIZON)
    assert [once.state, twice.state] == [ScheduleState.ENDED, ScheduleState.ACTIVE]
    await materialise(session, later + timedelta(days=6), HORIZON)
    assert twice.state is ScheduleState.ENDED
    assert leap.state is ScheduleState.ACTIVE


async def test_after_a_standstill_the_misses_are_rows_too(
    session: AsyncSession, daily: Schedule
) -> None:
    later = NOW + timedelta(days=12)
    assert await materialise(session, later, HORIZON, since=NOW) == 8 + 4
    starts = [row.starts_at for row in await rows(session)]
    assert starts == [local("2024-12-28T17:00") + n * DAY for n in range(20)]
    daily.changed_at = later
    later += timedelta(days=12)
    assert await materialise(session, later, HORIZON, since=later - timedelta(days=30)) == 12


async def test_the_name_of_an_occurrence_never_changes(daily: Schedule) -> None:
    at = local("2024-12-28T17:00")
    assert occurrence_id(daily.id, at) == occurrence_id(daily.id, at.astimezone())
    fixed = UUID("5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11")
    assert str(occurrence_id(fixed, at)) == "669dd3f3-0f4f-5c08-ac41-366d6fdfc954"
