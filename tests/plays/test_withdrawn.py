"""What proves that a withdrawn start was not heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broadcast.plays.withdrawn import Proof, Seen, WithdrawnOut, proof_of, withdrawn_starts
from broadcast.schedules.cancellation import WITHDRAWN
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.telemetry.model import HealthHour, Heartbeat, Receipt
from tests.devices.fleet import EIGHT, MINUTE
from tests.plays.world import BEFORE, COMMUNE, World, started

HOUR = timedelta(hours=1)
NOTHING = Seen("D-1", True, None, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Proof.OPEN),
        ({"dropped_at": BEFORE}, Proof.DROPPED),
        ({"dropped_at": BEFORE, "told_at": EIGHT + HOUR}, Proof.SILENT),
        ({"told_at": EIGHT + HOUR}, Proof.SILENT),
        ({"told_at": EIGHT + HOUR, "sounded_at": EIGHT}, Proof.SOUNDED),
        ({"device": None}, Proof.NO_DEVICE),
        ({"device": None, "sounded_at": EIGHT}, Proof.SOUNDED),
    ],
)
def test_a_record_proves_more_than_its_absence(changes: dict[str, Any], expected: Proof) -> None:
    assert proof_of(NOTHING._replace(**changes)) is expected


async def withdraw(world: World, occurrence: Occurrence) -> None:
    occurrence.state, occurrence.cancel_reason = OccurrenceState.CANCELLED, WITHDRAWN
    await world.plan([occurrence], BEFORE + HOUR)


async def beat(world: World, at: datetime, seq: int, pending: int) -> None:
    world.session.add(
        Heartbeat(
            received_on=at.astimezone(UTC).date(), device_id=world.devices["D-1"].id, session=1,
            seq=seq, sent_at=at, received_at=at,
            body={"journal_pending": pending} if pending else {},
        )
    )  # fmt: skip
    await world.session.flush()


async def told(world: World) -> WithdrawnOut:
    (found,) = await withdrawn_starts(world.session, world.schedule.bulletin_id)
    return found


async def test_case_19_a_withdrawn_start_is_proven_silent_by_the_journal_of_the_device(
    world: World,
) -> None:
    occurrence = await world.planned()
    await world.published(occurrence)
    await world.received()
    await world.ready(occurrence)
    assert await withdrawn_starts(world.session, world.schedule.bulletin_id) == []
    await withdraw(world, occurrence)
    found = await told(world)
    assert found.counts == {Proof.OPEN: 2}
    assert {each.code: each.fetched for each in found.clusters} == {"C-1": True, "C-2": False}
    newer = Receipt(
        device_id=world.devices["D-1"].id, document=f"area/{COMMUNE}/programme", revision=2000,
        received_at=EIGHT - HOUR,
    )  # fmt: skip
    world.session.add(newer)
    await world.session.flush()
    # Before its latest start, or with records on their way, nothing is proven.
    await beat(world, EIGHT + timedelta(seconds=30), 1, 0)
    await beat(world, EIGHT + 2 * MINUTE, 2, 3)
    first = (await told(world)).clusters[-1]
    assert (first.code, first.proof, first.dropped_at) == ("C-1", Proof.DROPPED, EIGHT - HOUR)
    await beat(world, EIGHT + 3 * MINUTE, 3, 0)
    proven = (await told(world)).clusters[-1]
    assert (proven.proof, proven.told_at) == (Proof.SILENT, EIGHT + 3 * MINUTE)
    assert "nhật ký của loa đủ đến 08:03 thứ Ba 1/7" in proven.text
    await world.report(started(1, occurrence), at=EIGHT + HOUR)
    heard = (await told(world)).clusters[0]
    assert (heard.code, heard.proof, heard.sounded_at) == ("C-1", Proof.SOUNDED, EIGHT)


async def test_what_an_hour_tells_is_enough_when_its_heartbeats_are_gone(world: World) -> None:
    occurrence = await world.planned()
    await withdraw(world, occurrence)
    for hour, pending in ((EIGHT, 0), (EIGHT + HOUR, 4), (EIGHT + 2 * HOUR, 0)):
        world.session.add(
            HealthHour(
                device_id=world.devices["D-1"].id, hour=hour, beats=60, minutes=60, sessions=1,
                playing_beats=0, untrusted_beats=0, unpowered_beats=0,
                journal_pending_max=pending, line="ok",
            )
        )  # fmt: skip
    await world.session.flush()
    proven = (await told(world)).clusters[-1]
    assert (proven.proof, proven.told_at) == (Proof.SILENT, EIGHT + 2 * HOUR)


async def test_what_was_cancelled_for_another_reason_is_none_of_them(world: World) -> None:
    occurrence = await world.planned()
    occurrence.state, occurrence.cancel_reason = OccurrenceState.CANCELLED, "mourning"
    await world.plan([occurrence], BEFORE + HOUR)
    assert await withdrawn_starts(world.session, world.schedule.bulletin_id) == []
