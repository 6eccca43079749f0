from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast.plays.closer import close_due
from broadcast.plays.model import JournalRecord
from broadcast.plays.reports import Confirmed
from broadcast.wire import events
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.examples import examples
from tests.plays.world import BEFORE, CLOSED, WAIT, World, ended, skipped, started


async def test_report_settles_its_play_at_once(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence, EIGHT + 0.4 * SECOND), at=EIGHT + 2 * SECOND)
    assert await world.plays(occurrence) == {"C-1": ("playing", ""), "C-2": ("planned", "")}
    await world.report(ended(2, occurrence))
    play = await world.play(occurrence)
    assert (play.state, play.start_error_ms, play.played_seconds, play.fresh_starts) == (
        "played", 400, 120, 1,
    )  # fmt: skip
    assert (play.device_id, play.evidence) == (world.devices["D-1"].id, "device")
    assert (play.settled_at, play.restated) == (EIGHT + 3 * MINUTE, 0)
    assert await world.changes(occurrence) == []


async def test_skip_is_a_miss_with_the_devices_reason(world: World) -> None:
    occurrence = await world.planned()
    await world.report(skipped(1, occurrence, "no_audio"))
    assert (await world.plays(occurrence))["C-1"] == ("missed", "no_audio")


async def test_late_journal_restates_with_history(world: World) -> None:
    occurrence = await world.planned()
    assert await close_due(world.session, CLOSED, WAIT) == 2
    before = await world.play(occurrence)
    assert (before.state, before.settled_at) == ("missed", CLOSED)
    reason = before.reason
    week = EIGHT + timedelta(days=7)
    await world.report(started(1, occurrence), ended(2, occurrence), at=week)
    play = await world.play(occurrence)
    assert (play.state, play.reason, play.restated, play.settled_at) == ("played", "", 1, CLOSED)
    assert await world.changes(occurrence) == [("missed", reason, "played", "", "report")]
    await world.report(started(1, occurrence), ended(2, occurrence), at=week + MINUTE)
    assert (await world.play(occurrence)).restated == 1


async def test_what_came_after_the_planned_start_tells_nothing_of_a_play(world: World) -> None:
    """The box of a swap is told not to go on with it, and is not asked."""
    occurrence = await world.planned()
    await world.swap("D-3", "C-1", EIGHT + 30 * SECOND)
    cut = ended(2, occurrence, EIGHT + 29 * SECOND, 29, "power_cut")
    await world.report(started(1, occurrence), cut, at=EIGHT + 9 * MINUTE)
    resumed = events.Started(
        seq=1, occurrence_id=str(occurrence.id), at=EIGHT + 60 * SECOND, offset_seconds=29
    )
    await world.report(resumed, ended(2, occurrence, EIGHT + 151 * SECOND), device="D-3")
    await close_due(world.session, CLOSED, WAIT)
    play = await world.play(occurrence)
    assert (play.state, play.device_id, play.fresh_starts, play.started_at) == (
        "partial", world.devices["D-1"].id, 1, EIGHT,
    )  # fmt: skip


async def test_record_under_a_clock_that_was_wrong_counts_where_the_device_hangs(
    world: World,
) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence, EIGHT - timedelta(days=20_000)))
    assert (await world.plays(occurrence))["C-1"] == ("playing", "")


@pytest.mark.parametrize("name", ["alert-7", "28f5c9be-12be-4229-ba00-a3e07e6be596"])
async def test_record_of_what_this_server_never_planned_is_kept(world: World, name: str) -> None:
    outcome = await world.report(started(1, name))
    assert outcome.confirmed == [Confirmed("D-1", "j", 1)]
    kept = (await world.session.scalars(sa.select(JournalRecord))).one()
    assert (kept.occurrence_id, kept.cluster_id) == (name, world.clusters["C-1"].id)


async def test_device_that_hangs_nowhere_is_confirmed_too(world: World) -> None:
    occurrence = await world.planned()
    outcome = await world.report(started(1, occurrence), device="D-3")
    assert outcome.confirmed == [Confirmed("D-3", "j", 1)]
    assert set((await world.plays(occurrence)).values()) == {("planned", "")}


async def test_gap_is_never_confirmed_over(world: World) -> None:
    one = str(uuid4())
    assert (await world.report(started(2, one), started(3, one))).confirmed[0].upto_seq == 0
    assert (await world.report(started(6, one))).confirmed[0].upto_seq == 0
    assert (await world.report(started(1, one))).confirmed[0].upto_seq == 3
    assert (await world.report(started(5, one), started(4, one))).confirmed[0].upto_seq == 6


async def test_journals_are_confirmed_each_by_itself(world: World) -> None:
    one = str(uuid4())
    for journal, device in (("j", "D-1"), ("k", "D-1"), ("j", "D-2")):
        outcome = await world.report(started(1, one), journal=journal, device=device)
        assert outcome.confirmed == [Confirmed(device, journal, 1)]


async def test_what_a_device_has_freed_is_not_waited_for(world: World) -> None:
    one = str(uuid4())
    first = await world.report(started(152, one), oldest=151)
    assert first.confirmed[0].upto_seq == 150
    assert (await world.report(started(151, one), oldest=151)).confirmed[0].upto_seq == 152


async def test_started_without_an_end_is_closed_as_partial(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started(1, occurrence))
    assert await close_due(world.session, CLOSED - SECOND, WAIT) == 0
    await close_due(world.session, CLOSED, WAIT)
    assert (await world.plays(occurrence))["C-1"] == ("partial", "no_end")
    await world.report(ended(2, occurrence), at=CLOSED + MINUTE)
    assert (await world.plays(occurrence))["C-1"] == ("played", "")


# --- any order, repetition and loss ------------------------------------------------------------


def record(seq: int, kind: str, second: int, reason: str, played: int) -> Any:
    at = EIGHT + second * SECOND
    if kind == "started":
        return lambda of: started(seq, of, at)
    if kind == "ended":
        return lambda of: ended(seq, of, at, played, reason)
    return lambda of: skipped(seq, of, "late")


numbers = itertools.count()


@st.composite
def journals(draw: st.DrawFn) -> list[Any]:
    """A journal about one occurrence, oldest first."""
    kinds = draw(
        st.lists(st.sampled_from(["started", "ended", "skipped"]), min_size=1, max_size=5)
    )
    seconds = sorted(draw(st.lists(st.integers(0, 290), min_size=len(kinds), max_size=len(kinds))))
    reasons = st.sampled_from([reason.value for reason in events.EndReason])
    return [
        record(seq, kind, second, draw(reasons), draw(st.integers(0, 120)))
        for seq, (kind, second) in enumerate(zip(kinds, seconds, strict=True), start=1)
    ]


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(journal=journals(), data=st.data())
async def test_any_order_repetition_and_loss_end_in_the_same_ledger(
    world: World, journal: list[Any], data: st.DataObject
) -> None:
    """D-1 reports in order, once; what D-2 reports is repeated, shuffled, lost and sent again."""
    occurrence = await world.planned(recurrence_at=EIGHT + next(numbers) * SECOND)
    name = occurrence.id.hex
    in_order = [make(occurrence) for make in journal]
    told_by = CLOSED - MINUTE
    await world.report(*in_order, journal=name, at=told_by)

    messages = data.draw(st.lists(st.lists(st.sampled_from(in_order), min_size=1), max_size=4))
    lost = data.draw(st.sets(st.integers(0, 3)))
    close_after = data.draw(st.integers(0, 4))
    for place, records in enumerate(messages):
        if place == close_after:
            await close_due(world.session, CLOSED, WAIT)
        if place not in lost:
            at = CLOSED + MINUTE if place >= close_after else told_by
            await world.report(*records, device="D-2", journal=name, at=at)
    again = await world.report(
        *data.draw(st.permutations(in_order)), device="D-2", journal=name, at=CLOSED + MINUTE
    )
    assert again.confirmed == [Confirmed("D-2", name, len(journal))]
    assert again.conflicts == []
    await close_due(world.session, CLOSED + MINUTE, WAIT)

    one, two = [await world.play(occurrence, code) for code in ("C-1", "C-2")]
    columns = (
        "state", "reason", "started_at", "ended_at", "played_seconds", "start_error_ms",
        "fresh_starts", "evidence",
    )  # fmt: skip
    assert [getattr(one, c) for c in columns] == [getattr(two, c) for c in columns]
    assert one.settled_at > BEFORE


@pytest.mark.parametrize(
    ("heard", "state"), [(118.0, ("played", "")), (60.0, ("partial", "ends_by"))]
)
async def test_a_relay_counts_by_what_was_to_be_relayed(
    world: World, heard: float, state: tuple[str, str]
) -> None:
    """Stream and fallback together; how much was the stream is kept."""
    occurrence = await world.planned(relay_seconds=120)
    end = events.Ended(
        seq=2, occurrence_id=str(occurrence.id), at=EIGHT + 2 * MINUTE,
        reason=events.EndReason.ENDS_BY, played_seconds=heard, relayed_seconds=heard - 20,
    )  # fmt: skip
    await world.report(started(1, occurrence), end)
    play = await world.play(occurrence)
    assert (play.state, play.reason) == state
    assert (play.played_seconds, play.relayed_seconds) == (heard, heard - 20)
