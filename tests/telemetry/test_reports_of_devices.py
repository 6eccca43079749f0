"""Faults, readiness, refusals, results, dead letters, and who is enrolled."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.commands import answers
from broadcast.commands.model import CommandResult
from broadcast.devices import enrolment
from broadcast.devices.model import Device
from broadcast.devices.schemas import NewDeviceIn
from broadcast.ingest import enrolment_cache as cache_module
from broadcast.ingest.enrolment_cache import EnrolmentCache
from broadcast.telemetry import dead_letters, faults, readiness
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.dead_letters import KEPT_BYTES, Budget, DeadLetter, RejectReason
from broadcast.telemetry.faults import Report
from broadcast.telemetry.model import DeadLetterRow, Fault, Readiness, Refusal
from broadcast.wire import events
from broadcast.wire.fields import Codec
from tests.devices.fleet import EIGHT, MINUTE, SECOND, Everyone, enrol, planned


async def spans(session: AsyncSession) -> list[tuple[Any, ...]]:
    rows = await session.execute(
        sa.select(Fault.kind, Fault.opened_at, Fault.closed_at).order_by(Fault.opened_at)
    )
    return [tuple(row) for row in rows]


def fault(device: Device, minute: int, is_open: bool) -> Report:
    return Report(device.id, "line_open", is_open, EIGHT + minute * MINUTE, "")


async def test_fault_lasts_from_its_opening_to_its_end(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await faults.keep(session, [fault(device, 0, True)])
    await faults.keep(session, [fault(device, 5, False)])
    await faults.keep(session, [fault(device, 9, True)])
    assert await spans(session) == [
        ("line_open", EIGHT, EIGHT + 5 * MINUTE),
        ("line_open", EIGHT + 9 * MINUTE, None),
    ]


async def test_fault_that_opens_and_ends_in_one_batch_is_one_span(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    reports = [fault(device, 2, True), fault(device, 1, False), fault(device, 0, True)]
    await faults.keep(session, reports)
    assert await spans(session) == [
        ("line_open", EIGHT, EIGHT + MINUTE),
        ("line_open", EIGHT + 2 * MINUTE, None),
    ]


async def test_repeated_opening_does_not_open_a_fault_again(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    for report in (fault(device, 0, True), fault(device, 5, False), fault(device, 0, True)):
        await faults.keep(session, [report])
    assert await spans(session) == [("line_open", EIGHT, EIGHT + 5 * MINUTE)]


async def test_end_of_an_older_fault_does_not_close_a_newer_one(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    await faults.keep(session, [fault(device, 9, True)])
    await faults.keep(session, [fault(device, 5, False)])
    assert await spans(session) == [("line_open", EIGHT + 9 * MINUTE, None)]


async def test_a_fault_whose_end_came_first_is_over(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    for report in (fault(device, 5, False), fault(device, 0, True), fault(device, 9, True)):
        await faults.keep(session, [report])
    assert await spans(session) == [
        ("line_open", EIGHT, EIGHT + 5 * MINUTE),
        ("line_open", EIGHT + 9 * MINUTE, None),
    ]


@pytest.mark.parametrize("order", [*permutations(range(4))], ids=str)
async def test_in_no_order_is_a_fault_left_open(
    session: AsyncSession, order: tuple[int, ...]
) -> None:
    (device,) = await enrol(session, "A")
    reports = [fault(device, minute, minute % 2 == 0) for minute in range(4)]
    for index in (*order, *order):
        await faults.keep(session, [reports[index]])
    found = await spans(session)
    assert found[0][1] == EIGHT
    assert max(closed for _, _, closed in found) == EIGHT + 3 * MINUTE
    assert None not in {closed for _, _, closed in found}


def ready(
    device: Device, occurrence: str, state: Any, sent_at: datetime = EIGHT
) -> Arrival[events.Readiness]:
    item = events.Ready(occurrence_id=occurrence, bulletin_revision=1, state=state)
    return Arrival(device.id, device.code, events.Readiness(sent_at=sent_at, items=[item]))


async def test_newest_word_on_an_occurrence_stands_in_any_order(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    one = await planned(session)
    said = [
        ready(device, one, "ready", EIGHT + 2 * MINUTE),
        ready(device, one, "waiting", EIGHT + MINUTE),
    ]
    await readiness.record(session, said, EIGHT + 3 * MINUTE)
    await readiness.record(session, [ready(device, one, "no_codec", EIGHT)], EIGHT + 4 * MINUTE)
    row = await session.get_one(Readiness, (UUID(one), device.id))
    assert (row.state, row.sent_at) == ("ready", EIGHT + 2 * MINUTE)


async def test_word_from_the_future_does_not_stand_for_ever(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    one = await planned(session)
    future = ready(device, one, "waiting", EIGHT + timedelta(days=999))
    await readiness.record(session, [future], EIGHT)
    await readiness.record(session, [ready(device, one, "ready", EIGHT + MINUTE)], EIGHT + MINUTE)
    row = await session.get_one(Readiness, (UUID(one), device.id))
    assert row.state == "ready"


async def test_word_on_what_is_no_occurrence_is_left_out(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    issued = await planned(session)
    for name in (
        str(uuid4()),
        "alert-7",
        issued.upper(),
        issued.replace("-", ""),
        f"urn:uuid:{issued}",
    ):
        await readiness.record(session, [ready(device, name, "ready")], EIGHT)
    assert await session.scalar(sa.select(sa.func.count()).select_from(Readiness)) == 0


async def test_answers_that_come_twice_are_kept_once(session: AsyncSession) -> None:
    (device,) = await enrol(session, "A")
    refusal = events.Refusal(sent_at=EIGHT, topic="area/51/state/programme", reason="signature")
    result = events.CommandResult(sent_at=EIGHT, command_id="c1", result="done")
    for _ in range(2):
        await answers.record_refusals(session, [Arrival(device.id, "A", refusal)], EIGHT)
        await answers.record_results(session, [Arrival(device.id, "A", result)], EIGHT)
    assert (await session.scalars(sa.select(Refusal))).one().reason == "signature"
    assert (await session.scalars(sa.select(CommandResult))).one().result == "done"


async def test_dead_letter_keeps_its_beginning_and_its_true_size(session: AsyncSession) -> None:
    letter = DeadLetter(
        RejectReason.TOO_LARGE, "t\0opic", "A", b"x" * 10**6, "quá lớn \ud800", "$.a"
    )
    await dead_letters.keep(session, [letter], EIGHT, Budget(Everyone()))
    row = (await session.scalars(sa.select(DeadLetterRow))).one()
    assert (row.size_bytes, len(row.payload)) == (10**6, KEPT_BYTES)
    assert (row.topic, row.reason, row.field) == (
        "t\N{REPLACEMENT CHARACTER}opic",
        "quá lớn ?",
        "$.a",
    )


def letter(
    sender: str | None, size: int = 10, why: RejectReason = RejectReason.MALFORMED
) -> DeadLetter:
    return DeadLetter(why, "t", sender, b"x" * size, "r")


async def bury(
    session: AsyncSession, letters: list[DeadLetter], budget: Budget, at: datetime
) -> None:
    (await dead_letters.keep(session, letters, at, budget))()


async def buried(session: AsyncSession) -> list[tuple[Any, ...]]:
    columns = DeadLetterRow.device_code, DeadLetterRow.more
    return [tuple(row) for row in await session.execute(sa.select(*columns).order_by("id"))]


async def test_first_letters_of_a_sender_are_kept_and_the_others_counted(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "KEPT_EACH", 2)
    budget = Budget(Everyone())
    await bury(session, [letter("noisy")] * 5 + [letter("quiet")], budget, EIGHT)
    await bury(session, [letter("noisy"), letter("quiet")] * 4, budget, EIGHT + 59 * MINUTE)
    kept = [("noisy", 0), ("noisy", 7), ("quiet", 0), ("quiet", 3)]
    assert await buried(session) == kept
    await bury(session, [letter("noisy")] * 3, budget, EIGHT + 60 * MINUTE)
    assert await buried(session) == [*kept, ("noisy", 0), ("noisy", 1)]


async def test_a_batch_that_is_tried_again_spends_nothing(session: AsyncSession) -> None:
    budget = Budget(Everyone())
    for _ in range(100):
        async with session.begin_nested() as attempt:
            await dead_letters.keep(session, [letter("A")] * 10, EIGHT, budget)
            await attempt.rollback()
    await bury(session, [letter("A")] * 10, budget, EIGHT)
    assert await buried(session) == [("A", 0)] * 10


@pytest.mark.slow
def test_an_hour_of_floods_stays_within_its_size_and_hides_nobody() -> None:
    """Every device and any number of strangers, as fast as they like."""
    enrolled = {f"D-{number}" for number in range(2000)}
    budget, kept = Budget(enrolled), []
    for minute in range(59):
        said = [letter(f"D-{n}", 10**5) for n in range(300) for _ in range(7)]
        said += [letter(f"stranger-{minute}-{n}", 10**5) for n in range(500)]
        plan = budget.plan(said, EIGHT + minute * MINUTE)
        budget.spend(plan, {})
        kept += plan.kept
    last = budget.plan([letter("D-1999", why=RejectReason.KIND)] * 50, EIGHT + 59 * MINUTE)
    assert len(last.kept) >= 1
    of_ours = [each for each in kept if each.sender in enrolled]
    assert sum(each.size for each in of_ours) <= dead_letters.KEPT_TOTAL_BYTES + 5 * 2**10
    assert len(kept) - len(of_ours) <= dead_letters.KEPT_STRANGERS


def test_one_device_stays_within_a_hundred_kilobytes_an_hour() -> None:
    budget, size = Budget(Everyone()), 0
    for second in range(3600):
        plan = budget.plan([letter("A", 10**6)] * 10, EIGHT + second * SECOND)
        budget.spend(plan, {})
        size += sum(each.size for each in plan.kept)
    assert size <= 100_000


@pytest.fixture
def asked(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Statements that the session was asked to run."""
    statements: list[Any] = []
    execute = session.execute

    async def counting(statement: Any, *args: Any, **kwargs: Any) -> Any:
        statements.append(statement)
        return await execute(statement, *args, **kwargs)

    monkeypatch.setattr(session, "execute", counting)
    return statements


async def test_roll_asks_once_for_known_and_unknown_alike(
    session: AsyncSession, asked: list[Any]
) -> None:
    (device,) = await enrol(session, "A")
    roll = EnrolmentCache()
    for _ in range(3):
        await roll.load(session, {"A", "nobody"})
    assert (roll.get("A"), roll.get("nobody"), len(asked)) == (device.id, None, 1)


async def test_flood_of_unknown_ids_is_not_remembered_without_end(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "UNKNOWN_AT_MOST", 1000)
    (device,) = await enrol(session, "A")
    roll = EnrolmentCache()
    for batch in range(20):
        strangers = [f"x{batch}-{number}" for number in range(500)]
        await roll.load(session, {"A", *strangers})
        assert len(roll._unknown) <= 1500
    assert roll.get("A") == device.id


async def test_device_that_knocked_is_known_as_soon_as_it_is_enrolled(
    session: AsyncSession,
) -> None:
    roll = EnrolmentCache()
    await roll.load(session, {"A"})
    assert roll.get("A") is None
    body = NewDeviceIn(code="A", codecs={Codec.OPUS})
    device = await enrolment.enrol(session, body, EIGHT)
    await roll.load(session, {"A"})
    assert roll.get("A") == device.id


async def test_device_is_not_heard_any_more_as_soon_as_it_is_retired(
    session: AsyncSession,
) -> None:
    (device,) = await enrol(session, "A")
    roll = EnrolmentCache()
    await roll.load(session, {"A"})
    assert roll.get("A") == device.id
    await enrolment.retire(session, device, EIGHT)
    await roll.load(session, {"A"})
    assert roll.get("A") is None
