"""Evidence whose time cannot be true: marked, never on time, and told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from broadcast.plays import texts
from broadcast.plays.closer import close_due
from broadcast.plays.explain import explain
from broadcast.plays.records import classified
from broadcast.plays.settle import Facts, PlayState, Report, settle
from broadcast.plays.summary import summary
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.model import DevicePresence, Fault
from broadcast.telemetry.presence import Presence
from broadcast.wire.events import Clock, EndReason, Heartbeat, Skipped, SkipReason
from tests.devices.fleet import EIGHT, MINUTE, SECOND, record_all
from tests.plays.test_settle import FACTS, LATE, SOON, WAIT, ended, outcome, skipped, started
from tests.plays.world import CLOSED, World
from tests.plays.world import ended as ended_record
from tests.plays.world import skipped as skipped_record
from tests.plays.world import started as started_record

WRONG = (PlayState.PARTIAL, "clock_wrong")


def fast(seconds: float) -> list[Report]:
    """A play by a clock that is so much fast, told as it happens."""
    return [
        started(1, 0, received_at=EIGHT + (1 - seconds) * SECOND),
        ended(2, 120, 120, received_at=EIGHT + (121 - seconds) * SECOND),
    ]


def told(reports: list[Report]) -> Facts:
    return replace(FACTS, reports=reports)


@pytest.mark.parametrize("seconds", [12, 90, 3600, 86_400 * 400])
def test_a_play_told_before_it_can_have_happened_is_never_on_time(seconds: float) -> None:
    settlement = settle(told(fast(seconds)), SOON, WAIT)
    assert (settlement.state, settlement.reason) == WRONG
    assert settlement.started_at == EIGHT + (1 - seconds) * SECOND
    assert settlement.start_error_ms is not None
    assert settlement.start_error_ms <= -(min(seconds, 2_000_000) - 1) * 1000
    assert settlement.played_seconds == 120
    assert "không đúng giờ" in texts.verdict(settlement, 120.0)
    assert "sớm" in texts.verdict(settlement, 120.0)


@pytest.mark.parametrize("seconds", [0, 2, 9.9])
def test_a_coarse_clock_is_believed(seconds: float) -> None:
    assert outcome(*fast(1 + seconds)) == (PlayState.PLAYED, "")


@given(st.integers(120, 10**9))
def test_a_slow_clock_cannot_be_told_from_a_late_journal(late: int) -> None:
    at = EIGHT + timedelta(seconds=late)
    reports = [started(1, 0, received_at=at), ended(2, 120, 120, received_at=at)]
    assert classified(reports).plausible == reports


def test_a_skip_told_before_it_was_due_says_nothing_of_the_play() -> None:
    early = skipped(1, "powered_off", received_at=EIGHT - 3600 * SECOND)
    assert outcome(early) == (PlayState.PLANNED, "")
    assert outcome(early, now=LATE) == (PlayState.MISSED, "clock_wrong")


def test_a_skip_by_a_clock_that_nobody_trusts_is_true_all_the_same() -> None:
    early = skipped(1, "clock_untrusted", received_at=EIGHT - 3600 * SECOND)
    assert outcome(early) == (PlayState.MISSED, "clock_untrusted")


def test_what_was_skipped_by_a_fast_clock_and_played_by_the_right_one_is_played() -> None:
    early = skipped(1, "late", received_at=EIGHT - 3600 * SECOND)
    assert outcome(early, started(2), ended(3, 120, 120)) == (PlayState.PLAYED, "")
    assert outcome(early, skipped(2, "no_audio")) == (PlayState.MISSED, "no_audio")


@pytest.mark.parametrize(
    "reports",
    [
        pytest.param([started(1, 100), ended(2, 20, 15)], id="an end before its start"),
        pytest.param([started(1, 0), ended(2, 60, 120)], id="more sound than time"),
        pytest.param(
            [started(1, 0), ended(2, 50, 50, "preempted"), started(3, 60, 50), ended(4, 80, 120)],
            id="more sound than time after going on",
        ),
    ],
)
def test_times_that_contradict_each_other_are_wrong(reports: list[Report]) -> None:
    late = [replace(report, received_at=LATE) for report in reports]
    assert outcome(*late, now=LATE) == WRONG


def test_another_journal_whose_times_are_true_speaks_first() -> None:
    other = [
        started(1, 0, journal_id="k", device_id=8),
        ended(2, 120, 120, journal_id="k", device_id=8),
    ]
    settlement = settle(told([*fast(3600), *other]), SOON, WAIT)
    assert (settlement.state, settlement.device_id, settlement.start_error_ms) == (
        PlayState.PLAYED, 8, 0,
    )  # fmt: skip
    assert settlement.fresh_starts == 2, "it was heard twice"


@given(
    skew=st.integers(-10_000, 10_000),
    delays=st.lists(st.integers(0, 10_000), min_size=2, max_size=2),
    heard=st.integers(1, 120),
)
def test_only_the_impossible_is_marked_and_all_of_it(
    skew: int, delays: list[int], heard: int
) -> None:
    """Device time = true time + skew; a message takes its time."""
    begun, over = sorted((0, heard))
    reports = [
        started(1, begun + skew, received_at=EIGHT + (begun + delays[0]) * SECOND),
        ended(2, over + skew, heard, received_at=EIGHT + (over + delays[1]) * SECOND),
    ]
    marked = bool(classified(reports).mistimed)
    assert marked == any(skew > delay + 10 for delay in delays)


# In the database ---------------------------------------------------------------------------------


async def fault(world: World) -> Fault | None:
    found: Fault | None = await world.session.scalar(
        sa.select(Fault)
        .where(Fault.kind == "clock_wrong")
        .execution_options(populate_existing=True)
    )
    return found


async def beat(world: World, seq: int, sent_at: datetime, received_at: datetime) -> None:
    message = Heartbeat(session=1, seq=seq, sent_at=sent_at, clock=Clock(trusted=True))
    arrival = Arrival(world.devices["D-1"].id, "D-1", message)
    await record_all(world.session, (), [arrival], (), received_at, live=True)


@pytest.mark.parametrize("seconds", [90, 3600])
async def test_the_fault_opens_with_the_first_proof_and_ends_with_a_right_heartbeat(
    world: World, seconds: int
) -> None:
    occurrence = await world.planned()
    await world.presence((Presence.ONLINE, EIGHT - 2 * seconds * SECOND))
    early = EIGHT - seconds * SECOND
    await world.report(started_record(1, occurrence), at=early + SECOND)
    opened = await fault(world)
    assert opened is not None
    assert (opened.opened_at, opened.closed_at) == (early + SECOND, None)
    await beat(world, 5, EIGHT + 30 * SECOND, early + 30 * SECOND)
    await world.report(ended_record(2, occurrence), at=early + 121 * SECOND)
    assert (await world.plays(occurrence))["C-1"] == ("partial", "clock_wrong")
    again = await fault(world)
    assert again is not None
    assert again.closed_at is None
    await beat(world, 6, EIGHT + MINUTE, EIGHT + MINUTE)
    closed = await fault(world)
    assert closed is not None
    assert closed.closed_at == EIGHT + MINUTE
    row = await world.session.get_one(
        DevicePresence, world.devices["D-1"].id, populate_existing=True
    )
    assert not row.clock_wrong


async def test_a_heartbeat_that_is_ninety_seconds_fast_opens_the_fault(world: World) -> None:
    await beat(world, 1, EIGHT + 90 * SECOND, EIGHT)
    opened = await fault(world)
    assert opened is not None
    assert opened.opened_at == EIGHT


async def test_it_is_told_in_the_explanation_and_in_the_summary(world: World) -> None:
    occurrence = await world.planned()
    early = EIGHT - MINUTE
    await world.report(started_record(1, occurrence), at=early)
    await world.report(ended_record(2, occurrence), at=early + 2 * MINUTE)
    record = Skipped(seq=1, occurrence_id=str(occurrence.id), at=EIGHT + MINUTE,
                     reason=SkipReason.POWERED_OFF)  # fmt: skip
    await world.report(record, device="D-2", at=EIGHT - MINUTE)
    await close_due(world.session, CLOSED, WAIT)
    assert await world.plays(occurrence) == {
        "C-1": ("partial", "clock_wrong"), "C-2": ("missed", "clock_wrong"),
    }  # fmt: skip
    figures = await summary(world.session, EIGHT, EIGHT + MINUTE)
    assert (figures.played, figures.partial, figures.missed, figures.clock_wrong) == (0, 1, 1, 2)
    explained = await explain(world.session, occurrence.id, "C-1")
    entries = [entry for entry in explained.timeline if entry.kind == "journal"]
    assert [entry.at for entry in entries] == [early, early + 2 * MINUTE]
    assert "đồng hồ thiết bị sai" in entries[0].text


async def test_what_no_play_was_planned_for_accuses_nobody(world: World) -> None:
    """An alert sounds by a clock that is not trusted, and may bear any time."""
    await world.presence((Presence.ONLINE, EIGHT))
    await world.report(started_record(1, "alert-7", EIGHT + timedelta(days=900)), at=EIGHT)
    assert await fault(world) is None


async def test_a_skip_by_an_untrusted_clock_accuses_nobody(world: World) -> None:
    occurrence = await world.planned()
    await world.presence((Presence.ONLINE, EIGHT))
    await world.report(skipped_record(1, occurrence, "clock_untrusted"), at=EIGHT)
    assert await fault(world) is None
    assert (await world.plays(occurrence))["C-1"] == ("missed", "clock_untrusted")


def test_reasons_of_ends_do_not_matter() -> None:
    for reason in EndReason:
        early = ended(2, 120, 60, reason.value, received_at=EIGHT - 3600 * SECOND)
        assert outcome(started(1, received_at=EIGHT - 3700 * SECOND), early, now=LATE) == WRONG
