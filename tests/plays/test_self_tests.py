"""What proves that a play sounded, with self-tests before and after it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast.commands import answers
from broadcast.plays import explain, self_tests
from broadcast.plays.closer import close_due
from broadcast.plays.settle import Grade, PlayState, SelfTest, grade, settle
from broadcast.plays.settling import settle_plays
from broadcast.telemetry.arrival import Arrival
from broadcast.wire import events
from tests.devices.fleet import EIGHT, MINUTE, SECOND
from tests.examples import examples
from tests.plays.test_settle import FACTS, SOON, ended, skipped, started
from tests.plays.world import WAIT, World
from tests.plays.world import ended as ended_record
from tests.plays.world import started as started_record

HOUR = timedelta(hours=1)
SOUND = [started(1), ended(2, 120, 120)]


def tone(hours: float, *, heard: bool = True, device_id: int = 7) -> SelfTest:
    return SelfTest(device_id=device_id, at=EIGHT + hours * HOUR, heard=heard)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        pytest.param([], Grade.DEVICE, id="only the device says so"),
        pytest.param([tone(-2)], Grade.SELF_TEST, id="heard before"),
        pytest.param([tone(20)], Grade.SELF_TEST, id="heard after"),
        pytest.param([tone(-24)], Grade.SELF_TEST, id="just within a day of the start"),
        pytest.param([tone(-24.01)], Grade.DEVICE, id="too long before"),
        pytest.param([tone(24.03)], Grade.SELF_TEST, id="within a day of the end"),
        pytest.param([tone(24.04)], Grade.DEVICE, id="too long after"),
        pytest.param([tone(-1, heard=False)], Grade.DEVICE, id="failed"),
        pytest.param([tone(-1), tone(2, heard=False)], Grade.SELF_TEST, id="nearer: heard"),
        pytest.param([tone(-3), tone(2, heard=False)], Grade.DEVICE, id="nearer: failed"),
        pytest.param([tone(-1), tone(-1, heard=False)], Grade.DEVICE, id="both at once"),
        pytest.param([tone(-1, device_id=8)], Grade.DEVICE, id="another device's"),
    ],
)
def test_self_test_nearest_in_time_decides(tests: Any, expected: Any) -> None:
    assert grade(SOUND, tests) is expected


@pytest.mark.parametrize("measured", [Grade.AMPLIFIER, Grade.MICROPHONE])
def test_what_was_measured_during_the_play_outweighs_any_test(measured: Grade) -> None:
    sound = [started(1), ended(2, 60, 60, "preempted"), started(3, 90, 60),
             ended(4, 160, 120, evidence=measured.value)]  # fmt: skip
    assert grade(sound, [tone(-1)]) is measured
    assert grade(sound, [tone(-1, heard=False)]) is measured


def test_play_that_did_not_sound_is_proven_by_no_test() -> None:
    facts = replace(FACTS, reports=[skipped(1, "late")], self_tests=[tone(-1)])
    settlement = settle(facts, SOON, WAIT)
    assert (settlement.state, settlement.evidence) == (PlayState.MISSED, Grade.NONE)


numbers = itertools.count()


async def told(world: World, result: str, heard: Any, hours: float, device: str = "D-1") -> None:
    """A device answers a self-test, as the inbound path takes it."""
    at = EIGHT + hours * HOUR
    message = events.CommandResult(
        sent_at=at, command_id=f"c{next(numbers)}", result=result, kind="self_test", heard=heard
    )  # type: ignore[arg-type]
    arrivals = [Arrival(world.devices[device].id, device, message)]
    await answers.record_results(world.session, arrivals, at + SECOND)
    keys = await self_tests.touched(world.session, arrivals)
    await settle_plays(world.session, keys, at + SECOND, WAIT, "self_test")


async def test_self_test_after_the_play_raises_it_and_is_no_restatement(world: World) -> None:
    occurrence = await world.planned()
    await world.report(started_record(1, occurrence), ended_record(2, occurrence))
    assert (await world.play(occurrence)).evidence == "device"
    await told(world, "done", "amplifier", 20)
    play = await world.play(occurrence)
    assert (play.evidence, play.state, play.restated) == ("self_test", "played", 0)
    assert (await world.play(occurrence, "C-2")).evidence == "none"
    assert await world.changes(occurrence) == []
    explanation = await explain.explain(world.session, occurrence.id, "C-1")
    assert explanation.evidence == "self_test"
    assert explanation.evidence_text == "thiết bị tự báo, phép thử loa gần đó nghe thấy tiếng"
    (entry,) = [entry for entry in explanation.timeline if entry.kind == "self_test"]
    assert entry.text == "Thiết bị D-1 tự thử: tăng âm có dòng tải"
    await told(world, "failed", None, 1)
    assert (await world.play(occurrence)).evidence == "device"


@pytest.mark.parametrize(
    ("result", "heard", "kind"),
    [("done", None, "self_test"), ("refused", "amplifier", "self_test"), ("done", None, "reboot")],
)
async def test_answer_that_says_nothing_of_the_horns_is_no_evidence(
    result: Any, heard: Any, kind: Any, world: World
) -> None:
    occurrence = await world.planned()
    await told(world, "done", "amplifier", -2)
    message = events.CommandResult(
        sent_at=EIGHT - MINUTE, command_id="x", result=result, heard=heard, kind=kind
    )
    arrival = Arrival(world.devices["D-1"].id, "D-1", message)
    await answers.record_results(world.session, [arrival], EIGHT)
    await world.report(started_record(1, occurrence), ended_record(2, occurrence))
    assert (await world.play(occurrence)).evidence == "self_test"


async def test_test_on_another_cluster_proves_nothing_here(world: World) -> None:
    occurrence = await world.planned()
    await told(world, "done", "microphone", -2, device="D-3")
    await world.swap("D-3", "C-1", EIGHT - HOUR)
    await world.report(started_record(1, occurrence), ended_record(2, occurrence), device="D-3")
    assert (await world.play(occurrence)).evidence == "device"
    await told(world, "done", "microphone", 2, device="D-3")
    assert (await world.play(occurrence)).evidence == "self_test"


ACTS = ("report", "heard", "failed", "close")


@settings(max_examples=examples(24), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(ACTS))
async def test_grade_is_the_same_in_any_order(order: Any, world: World) -> None:

    at = EIGHT + next(numbers) * 3 * timedelta(days=1)
    occurrence = await world.planned(starts_at=at)
    shift = (at - EIGHT) / HOUR
    for act in order:
        if act == "report":
            name = occurrence.id.hex
            records = (
                started_record(1, occurrence, at),
                ended_record(2, occurrence, at + 2 * MINUTE),
            )
            await world.report(*records, journal=name, at=at + 3 * MINUTE)
        elif act == "close":
            await close_due(world.session, at + HOUR, WAIT)
        else:
            hours = shift - 3 if act == "heard" else shift + 5
            await told(world, "done" if act == "heard" else "failed", "amplifier", hours)
    play = await world.play(occurrence)
    assert (play.state, play.evidence) == ("played", "self_test")
