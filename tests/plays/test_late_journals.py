"""Journals that come weeks late restate the right month, with its history, in bounded time."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.devices.model import Installation
from broadcast.kit.clock import LOCAL
from broadcast.plays import closer
from broadcast.plays.closer import OVERDUE, close_due
from broadcast.plays.model import JournalRecord, Play
from broadcast.plays.reports import UNPLANNED
from broadcast.schedules.model import Occurrence, OccurrenceState
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.examples import examples
from tests.plays.world import SECONDS, WAIT, World, ended, started

DAY = timedelta(days=1)
numbers = itertools.count(1)


def local(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=LOCAL)  # type: ignore[arg-type, misc]


async def partition(world: World, occurrence: Occurrence, cluster: str = "C-1") -> str:
    """Table in which a play really lies."""
    found = await world.session.scalar(
        sa.text("""
            SELECT tableoid::regclass::text FROM plays
            WHERE occurrence_id = :occurrence AND cluster_id = :cluster
        """),
        {"occurrence": occurrence.id, "cluster": world.clusters[cluster].id},
    )
    return str(found)


BORDERS = st.sampled_from(
    [
        local(2025, 6, 30, 23, 30), local(2025, 7, 1, 0, 0), local(2025, 7, 1, 0, 30),
        local(2025, 7, 1, 6, 59), local(2025, 7, 1, 7, 0), local(2025, 12, 31, 23, 59, 59),
        local(2026, 1, 1, 0, 0), local(2028, 2, 29, 23, 30), local(2025, 3, 1, 0, 30),
        local(2025, 1, 31, 23, 45),
    ]
) | st.datetimes(
    datetime(2025, 1, 10), datetime(2028, 12, 31), timezones=st.just(LOCAL)  # noqa: DTZ001
)  # fmt: skip


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    starts_at=BORDERS,
    late=st.timedeltas(timedelta(hours=1), 60 * DAY),
    swapped=st.sampled_from([None, "before", "between"]),
)
async def test_late_journal_restates_the_month_of_its_play(
    starts_at: Any, late: timedelta, swapped: Any, world: World
) -> None:
    """Whenever it comes, and whatever hangs on the pole by then."""
    number = next(numbers)
    hung_at = starts_at - (DAY if swapped != "between" else -timedelta(minutes=30))
    await hang(world, "D-1" if swapped != "before" else "D-3", starts_at - 2 * DAY)
    if swapped == "between":
        await hang(world, "D-3", hung_at)
    occurrence = await world.occurrence(starts_at, recurrence_at=starts_at + number * SECOND)
    month = (starts_at + number * SECOND).astimezone(LOCAL)
    await world.plan([occurrence], starts_at - DAY)
    assert await partition(world, occurrence) == f"plays_{month:%Y%m}"

    closed_at = occurrence.ends_by + WAIT
    await close_due(world.session, closed_at, WAIT)
    missed = await world.play(occurrence)
    assert (missed.state, missed.settled_at, missed.restated) == ("missed", closed_at, 0)
    reason = missed.reason

    device = "D-3" if swapped == "before" else "D-1"
    told_at = closed_at + late
    records = [started(1, occurrence, starts_at), ended(2, occurrence, starts_at + 2 * MINUTE)]
    for _ in range(2):
        await world.report(*records, device=device, at=told_at, journal=f"j{number}")
    play = await world.play(occurrence)
    assert (play.state, play.reason, play.restated) == ("played", "", 1)
    assert (play.device_id, play.settled_at) == (world.devices[device].id, closed_at)
    assert await partition(world, occurrence) == f"plays_{month:%Y%m}"
    assert await world.changes(occurrence) == [("missed", reason, "played", "", "report")]
    assert (await world.play(occurrence, "C-2")).state == "missed"


async def hang(world: World, device: str, at: datetime) -> None:
    """Hang a device on C-1, taking it and what hung there away first."""
    await world.session.execute(
        sa.delete(Installation).where(
            sa.or_(
                Installation.device_id == world.devices[device].id,
                sa.and_(
                    Installation.cluster_id == world.clusters["C-1"].id,
                    Installation.installed_at >= at,
                ),
            )
        )
    )
    await world.swap(device, "C-1", at)


async def test_record_of_a_month_that_is_gone_is_kept_and_confirmed(world: World) -> None:
    """The ledger of the month has been put away; the proof itself is stored all the same."""
    old = local(2025, 1, 31, 23, 30)
    await hang(world, "D-1", old - DAY)
    occurrence = await world.occurrence(old)
    await world.plan([occurrence], old - DAY)
    await world.session.execute(sa.text("DROP TABLE plays_202501"))
    before = UNPLANNED._value.get()
    outcome = await world.report(
        started(1, occurrence, old), ended(2, occurrence, old + 2 * MINUTE), at=EIGHT
    )
    assert [(told.journal_id, told.upto_seq) for told in outcome.confirmed] == [("j", 2)]
    assert UNPLANNED._value.get() == before + 2
    stored = (await world.session.scalars(sa.select(JournalRecord))).all()
    assert {record.cluster_id for record in stored} == {world.clusters["C-1"].id}


ROWS_READ = sa.text("""
    SELECT sum(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0))::int
    FROM pg_stat_xact_user_tables
""")


async def test_device_that_comes_back_after_weeks_reads_no_more_rows_for_its_last_record(
    world: World, engine: AsyncEngine
) -> None:
    """100 records a message, and no message reads more rows than the first ones: neither by the
    plan that was made while the tables were small, nor by statistics that call them empty."""
    template = await world.planned()
    count = 2000
    first = EIGHT - 60 * DAY
    await world.session.execute(
        sa.text("""
            INSERT INTO occurrences
            SELECT (jsonb_populate_record(o, jsonb_build_object(
                'id', gen_random_uuid(), 'recurrence_at', :first + n * interval '40 minutes',
                'starts_at', :first + n * interval '40 minutes',
                'ends_by', :first + n * interval '40 minutes' + interval '5 minutes'
            ))).* FROM occurrences AS o, generate_series(1, :count) AS n WHERE o.id = :template
        """).bindparams(sa.bindparam("first", first, sa.DateTime(timezone=True))),
        {"count": count, "template": template.id},
    )
    await hang(world, "D-1", first - DAY)
    rows = await world.session.scalars(
        sa.select(Occurrence).where(Occurrence.id != template.id).order_by(Occurrence.starts_at)
    )
    occurrences = rows.all()
    await world.plan(occurrences, first - DAY)
    now = EIGHT + DAY
    while await close_due(world.session, now, WAIT) == closer.BATCH:
        pass

    records = [
        record
        for number, occurrence in enumerate(occurrences)
        for record in (
            started(2 * number + 1, occurrence, occurrence.starts_at),
            ended(2 * number + 2, occurrence, occurrence.starts_at + SECONDS * SECOND),
        )
    ]
    assert len(records) == 2 * count
    read = []
    for place in range(0, len(records), 100):
        if place == count:
            await look_empty(engine, "journal_records", "occurrences", "installations")
        before = await world.session.scalar(ROWS_READ) or 0
        outcome = await world.report(*records[place : place + 100], at=now)
        read.append((await world.session.scalar(ROWS_READ) or 0) - before)
        assert outcome.confirmed[0].upto_seq == place + 100
    states = await world.session.execute(
        sa.select(Play.state, Play.restated, sa.func.count())
        .where(Play.cluster_id == world.clusters["C-1"].id, Play.occurrence_id != template.id)
        .group_by(Play.state, Play.restated)
    )
    assert [tuple(row) for row in states] == [("played", 1, count)]
    assert max(read[-10:]) < 1000, read


async def look_empty(engine: AsyncEngine, *tables: str) -> None:
    """Statistics as autovacuum makes them while the rows are not committed yet."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for table in tables:
            await connection.execute(sa.text(f"ANALYZE {table}"))


# --- nothing stays open ------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["report", "start only", "close", "close, killed", "cancel", "wait"]),
        st.integers(0, 5),
    ),
    max_size=12,
)


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_closer_leaves_nothing_open(steps: Any, world: World) -> None:
    """Whatever was reported, killed or restarted before."""
    at = EIGHT + next(numbers) * 40 * DAY
    made = [await world.planned(starts_at=at + n * timedelta(hours=1)) for n in range(6)]
    now = at
    for seq, (step, which) in enumerate(steps):
        occurrence = made[which]
        name = f"{occurrence.id.hex}-{seq}"
        if step == "report":
            begun = occurrence.starts_at
            records = (started(1, occurrence, begun), ended(2, occurrence, begun + 2 * MINUTE))
            await world.report(*records, at=now, journal=name)
        elif step == "start only":
            await world.report(started(1, occurrence, now), at=now, journal=name)
        elif step == "close":
            await close_due(world.session, now, WAIT)
        elif step == "close, killed":
            killed = await world.session.begin_nested()
            await close_due(world.session, now, WAIT)
            await killed.rollback()
        elif step == "cancel":
            occurrence.state, occurrence.cancel_reason = OccurrenceState.CANCELLED, "x"
            await world.session.flush()
            await world.plan([occurrence], now)
        else:
            now += timedelta(hours=1)
    end = max(now, made[-1].ends_by) + WAIT
    while await close_due(world.session, end, WAIT):
        pass
    open_plays = await world.session.scalar(
        sa.select(sa.func.count())
        .select_from(Play)
        .where(Play.state.in_(["planned", "playing"]), Play.ends_by <= end - WAIT)
    )
    assert open_plays == 0
    assert OVERDUE._value.get() == 0


async def test_play_that_cannot_be_settled_is_overdue_and_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closer, "BATCH", 4)
    one, two = await world.planned(), await world.planned(starts_at=EIGHT + timedelta(hours=1))
    await world.session.execute(sa.text("SET LOCAL session_replication_role = replica"))
    await world.session.execute(sa.delete(Occurrence).where(Occurrence.id == one.id))
    assert await close_due(world.session, EIGHT + DAY, WAIT) == 2
    assert OVERDUE._value.get() == 2
    assert {state for state, _ in (await world.plays(two)).values()} == {"missed"}
