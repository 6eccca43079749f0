"""The rolled-up days equal the evidence, whatever comes in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.indicators import rollup
from broadcast.indicators.figures import Cache, load_province, load_raw_province
from broadcast.indicators.model import ClusterDay, Invalidation, Restatement, RolledUpDay
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.plays.model import PlayState
from tests.examples import examples
from tests.indicators.happenings import (
    BEFOREHAND,
    DAY,
    DAYS,
    FIRST,
    HAPPENINGS,
    INSTALLATIONS_CORRECTED,
    MINUTE,
    NOW,
    RULE,
    TODAY,
    VILLAGES_CORRECTED,
    Action,
    Commune,
    Happenings,
    settle_down,
)
from tests.indicators.recount import Recount, read
from tests.plays.world import COMMUNE, PROVINCE


@pytest.fixture
async def commune(session: AsyncSession) -> Commune:
    return await settle_down(session)


@hypothesis.settings(
    max_examples=examples(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    beforehand=BEFOREHAND,
    # Corrections of the register also among themselves: anything else may hide what they change.
    happenings=st.lists(st.tuples(HAPPENINGS, st.booleans()), min_size=8, max_size=25)
    | st.lists(st.tuples(INSTALLATIONS_CORRECTED, st.booleans()), min_size=4, max_size=12)
    | st.lists(st.tuples(VILLAGES_CORRECTED, st.booleans()), min_size=4, max_size=12),
)
async def test_whatever_happens_in_whatever_order_the_days_are_as_if_read_again(
    commune: Commune, beforehand: tuple[Action, ...], happenings: list[tuple[Action, bool]]
) -> None:
    before = await commune.session.begin_nested()
    try:
        all_of_it = Happenings(commune)
        for happening in beforehand:
            await happening(all_of_it)
        await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
        for happening, looked_at in happenings:
            await happening(all_of_it)
            if looked_at:
                await all_of_it.look(TODAY)
        for as_of in DAYS[2:]:
            for server in range(2):
                await all_of_it.look(as_of, server=server)
        tables = await read(commune.session)
        for as_of in DAYS[2:]:
            recount = Recount(tables, as_of, RULE, NOW)
            ours = await load_province(
                commune.session, as_of, PROVINCE, RULE, NOW, all_of_it.cache
            )
            for cluster in ours.clusters.values():
                minutes = cluster.expected_minutes, cluster.online_minutes
                assert minutes == recount.minutes(cluster.id)
    finally:
        await before.rollback()
        commune.session.expunge_all()


# --- one thing at a time -------------------------------------------------------------------------


async def test_a_late_heartbeat_is_in_the_figure_at_once_and_recorded_as_a_restatement(
    commune: Commune,
) -> None:
    all_of_it = Happenings(commune)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    five = datetime.combine(TODAY - DAY, time(5), LOCAL)
    await all_of_it.beat("D-1", five, 4, late=1)
    cluster = commune.clusters["C-1"]
    for _ in range(2):
        ours = await load_province(commune.session, TODAY, PROVINCE, RULE, NOW, all_of_it.cache)
        assert ours.clusters[cluster].online_minutes == 4
    (row,) = (await commune.session.scalars(sa.select(Restatement))).all()
    assert (row.day, row.restated_on, row.cause) == (TODAY - DAY, TODAY, "online_minutes")
    assert (row.cluster_days, row.restated_at) == (1, NOW)


async def test_a_village_that_lay_elsewhere_when_the_power_was_cut_changes_that_day(
    commune: Commune,
) -> None:
    all_of_it = Happenings(commune)
    day = TODAY - DAY
    five = datetime.combine(day, time(5), LOCAL)
    await all_of_it.cut(COMMUNE, five, 4)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    cluster = commune.clusters["C-1"]
    before = await load_province(commune.session, day, PROVINCE, RULE, NOW, all_of_it.cache)
    await all_of_it.move("V-1", day)
    await all_of_it.look(day)
    after = await load_province(commune.session, day, PROVINCE, RULE, NOW, all_of_it.cache)
    expected = [each.clusters[cluster].expected_minutes for each in (before, after)]
    assert expected[1] - expected[0] == 4
    (row,) = (await commune.session.scalars(sa.select(Restatement))).all()
    assert (row.day, row.cause, row.cluster_days) == (day, "areas", 1)


async def test_evidence_of_today_leaves_no_invalidation(commune: Commune) -> None:
    all_of_it = Happenings(commune)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    await all_of_it.apply_invalidations()
    await all_of_it.beat("D-1", NOW - 5 * MINUTE, 3, late=0)
    await all_of_it.broadcast("C-1", NOW)
    await all_of_it.settle(0, PlayState.PLAYED)
    await all_of_it.cut("C-1", NOW, 10)
    invalidations = sa.select(Invalidation).where(Invalidation.day.is_not(None))
    assert (await commune.session.scalars(invalidations)).all() == []


async def test_a_day_rolled_up_once_more_is_not_cached_as_it_was(commune: Commune) -> None:
    """The shortest case of what the property above once found."""
    all_of_it = Happenings(commune)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    await all_of_it.look(TODAY)
    await all_of_it.never_installed(0)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    ours = await load_province(commune.session, TODAY, PROVINCE, RULE, NOW, all_of_it.cache)
    assert ours.clusters[commune.clusters["C-1"]].expected_minutes == 0
    await all_of_it.look(TODAY)


async def test_a_figure_by_other_hours_leaves_the_invalidations_of_days_rolled_up_by_these(
    commune: Commune,
) -> None:
    all_of_it = Happenings(commune)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    await all_of_it.beat("D-1", datetime.combine(TODAY - DAY, time(5), LOCAL), 4, late=1)
    await all_of_it.look_by_other_hours(TODAY - DAY)
    ours = await load_province(commune.session, TODAY, PROVINCE, RULE, NOW, all_of_it.cache)
    assert ours.clusters[commune.clusters["C-1"]].online_minutes == 4
    (row,) = (await commune.session.scalars(sa.select(Restatement))).all()
    assert (row.day, row.cause) == (TODAY - DAY, "online_minutes")


async def test_what_changes_nothing_is_no_restatement(commune: Commune) -> None:
    all_of_it = Happenings(commune)
    five = datetime.combine(TODAY - DAY, time(5), LOCAL)
    await all_of_it.beat("D-1", five, 4, late=1)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    await all_of_it.beat("D-1", five, 4, late=2)
    await all_of_it.move("V-1", FIRST)
    await all_of_it.apply_invalidations()
    assert (await commune.session.scalars(sa.select(Restatement))).all() == []


async def test_days_rolled_up_by_other_broadcast_hours_are_not_used_and_rolled_up_again(
    commune: Commune,
) -> None:
    all_of_it = Happenings(commune)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    other = replace(RULE, broadcast_hours=((time(5), time(5, 30)),))
    ours = await load_province(commune.session, TODAY, PROVINCE, other, NOW, all_of_it.cache)
    assert ours == await load_raw_province(commune.session, TODAY, PROVINCE, other, NOW)
    await rollup.announce_days(commune.session, NOW, other)
    kept = set(await commune.session.scalars(sa.select(RolledUpDay.hours)))
    assert kept == {"05:00-05:30"}


async def test_days_that_no_window_needs_are_forgotten(commune: Commune) -> None:
    all_of_it = Happenings(commune)
    await all_of_it.announce_and_roll_up(set(DAYS[:-1]))
    years_later = NOW + timedelta(days=400)
    await rollup.announce_days(commune.session, years_later, RULE)
    oldest = await commune.session.scalar(sa.select(sa.func.min(RolledUpDay.day)))
    assert oldest == years_later.astimezone(LOCAL).date() - rollup.KEPT_DAYS * DAY
    assert (await commune.session.scalars(sa.select(ClusterDay))).all() == []


# --- several at a time ---------------------------------------------------------------------------


@pytest.mark.postgres
async def test_a_day_is_not_rolled_up_past_a_transaction_that_may_have_missed_its_announcement(
    engine: AsyncEngine,
) -> None:
    """Without waiting for it the change below would never be in a figure."""
    async with db.transaction(engine) as session:
        commune = await settle_down(session)
        device = commune.devices["D-1"]
    insert = sa.text(
        "INSERT INTO online_minutes (device_id, day, minutes)"
        " VALUES (:device, :day, repeat('1', 1440)::bit(1440))"
    )
    yesterday = TODAY - DAY
    async with AsyncSession(engine) as slow:
        await slow.begin()
        await slow.execute(insert, {"device": device, "day": yesterday})
        async with db.transaction(engine) as session:
            await rollup.announce_days(session, NOW, RULE)
        async with db.transaction(engine) as session:
            assert await rollup.ready_days(session, RULE, 200) == []
            await rollup.note_horizon(session)
        async with db.transaction(engine) as session:
            assert await rollup.ready_days(session, RULE, 200) == []
        await slow.commit()
    async with db.transaction(engine) as session:
        days = await rollup.ready_days(session, RULE, 200)
        assert yesterday in days
        await rollup.roll_up_days(session, days, RULE, NOW)
        ours = await load_province(session, TODAY, PROVINCE, RULE, NOW, Cache())
        assert ours == await load_raw_province(session, TODAY, PROVINCE, RULE, NOW)
        assert ours.clusters[commune.clusters["C-1"]].online_minutes == 20


@pytest.mark.postgres
async def test_a_change_between_announcing_and_rolling_up_and_one_after_it_are_both_seen(
    engine: AsyncEngine,
) -> None:
    async with db.transaction(engine) as session:
        commune = await settle_down(session)
    for step in (rollup.announce_days, None, rollup.roll_up_days):
        async with db.transaction(engine) as session:
            all_of_it = Happenings(commune._replace(session=session))
            all_of_it.seq = minute = {rollup.announce_days: 0, None: 2, rollup.roll_up_days: 4}[
                step
            ]
            at = datetime.combine(TODAY - DAY, time(5, minute), LOCAL)
            await all_of_it.beat("D-1", at, 2, late=1)
        async with db.transaction(engine) as session:
            if step is None:
                await rollup.note_horizon(session)
            elif step is rollup.announce_days:
                await rollup.announce_days(session, NOW, RULE)
            else:
                days = await rollup.ready_days(session, RULE, 200)
                assert TODAY - DAY in days
                await rollup.roll_up_days(session, days, RULE, NOW)
    async with db.transaction(engine) as session:
        ours = await load_province(session, TODAY, PROVINCE, RULE, NOW, Cache())
        assert ours == await load_raw_province(session, TODAY, PROVINCE, RULE, NOW)
        assert ours.clusters[commune.clusters["C-1"]].online_minutes == 6
