"""A hundred thousand spoilt messages: each is accounted for, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.commands.model import CommandResult
from broadcast.devices.model import Device, Installation
from broadcast.ingest import store, throttle
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.plays.model import Journal
from broadcast.telemetry import dead_letters
from broadcast.telemetry.dead_letters import RejectReason
from broadcast.telemetry.model import DeadLetterRow
from broadcast.telemetry.online_minutes import bit, from_bits, minute_of
from broadcast.wire import events
from broadcast.wire.events import EVENTS
from tests.devices.fleet import EIGHT, enrol
from tests.ingest.hostile import Hostile
from tests.ingest.inbox import Acked, Inbox, Message, Until
from tests.plays import world

MESSAGES = 100_000
AT_ONCE = 2_000
HONEST = [f"V-{number}" for number in range(1, 21)]
HOSTILE = ["H-1", "H-2", "H-3"]


@pytest.fixture(autouse=True)
def never_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held up as a flood: every message is to be looked at."""
    monkeypatch.setattr(throttle, "BURST", 10 * MESSAGES)


def taken() -> dict[str, float]:
    return {kind: store.MESSAGES.labels(kind)._value.get() for kind in EVENTS}


def refused() -> dict[RejectReason, float]:
    return {why: dead_letters.LETTERS.labels(why.value)._value.get() for why in RejectReason}


def grown(before: dict[Any, float], after: dict[Any, float]) -> Tally[Any]:
    return Tally({key: round(after[key] - value) for key, value in before.items()})


@pytest.fixture
async def occurrences(engine: AsyncEngine, devices: list[Device]) -> list[str]:
    """Real occurrences, planned where hostile devices hang."""
    async with db.transaction(engine) as session:
        made = await world.make(session)
        found = []
        for hour in range(3):
            occurrence = await made.planned(starts_at=EIGHT + hour * clock.HOUR)
            found.append(str(occurrence.id))
        hostile = await enrol(session, *HOSTILE)
        await enrol(session, *HONEST)
        await session.execute(sa.delete(Installation))
        session.add_all(
            Installation(device_id=device.id, cluster_id=cluster.id, installed_at=world.BEFORE)
            for device, cluster in zip(hostile, made.clusters.values(), strict=False)
        )
    return found


class Honest:
    """Devices that go on as ever, and what must be found of them afterwards."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._seq = 0
        self.minutes: dict[tuple[str, date], int] = {}

    def speak(self) -> list[Message]:
        """A heartbeat and a record of each."""
        self._seq += 1
        said = []
        for code in HONEST:
            now = clock.now()
            beat = events.Heartbeat(
                session=1, seq=self._seq, sent_at=now, clock=events.Clock(trusted=True)
            )
            record = events.Started(seq=self._seq, occurrence_id="alert-1", at=now)
            journal = events.Playback(
                sent_at=now, journal_id="j", records=[record], oldest_seq=self._seq
            )
            said += [
                self._inbox.put(code, "heartbeat", beat),
                self._inbox.put(code, "playback", journal),
            ]
            day, minute = minute_of(now, LOCAL)
            self.minutes[code, day] = self.minutes.get((code, day), 0) | bit(minute)
        return said

    async def check(self, engine: AsyncEngine) -> None:
        """Everything that they said is stored."""
        expected = dict.fromkeys(HONEST, self._seq)
        async with db.transaction(engine) as session:
            for stored in (
                "SELECT device_id, count(*) FROM heartbeats GROUP BY device_id",
                "SELECT device_id, count(*) FROM journal_records GROUP BY device_id",
                "SELECT device_id, stored_upto FROM journals",
            ):
                rows = await session.execute(
                    sa.text(f"""
                    SELECT d.code, t.* FROM ({stored}) AS t JOIN devices AS d ON d.id = t.device_id
                    WHERE d.code LIKE 'V-%'
                """)
                )
                assert {row[0]: row[2] for row in rows} == expected, stored
            rows = await session.execute(
                sa.text("""
                    SELECT d.code, m.day, m.minutes::text
                    FROM online_minutes AS m JOIN devices AS d ON d.id = m.device_id
                """)
            )
            found = {(row[0], row[1]): from_bits(row[2]) for row in rows}
        for key, minutes in self.minutes.items():
            assert minutes & found.get(key, 0) == minutes, key


@contextmanager
def accounts() -> Iterator[dict[str, Tally[Any]]]:
    """What was taken and refused within."""
    before = taken(), refused()
    result: dict[str, Tally[Any]] = {}
    yield result
    result["taken"], result["refused"] = grown(before[0], taken()), grown(before[1], refused())


@pytest.mark.timeout(300)
async def test_hostile_messages_are_all_accounted_for_and_disturb_nobody(
    engine: AsyncEngine, occurrences: list[str], running: asyncio.Task[None], inbox: Inbox,
    until: Until,
) -> None:  # fmt: skip
    hostile = Hostile(20251126, HOSTILE, occurrences)
    honest = Honest(inbox)
    certain: Tally[RejectReason] = Tally()
    put = 0
    with accounts() as account:
        for _ in range(MESSAGES // AT_ONCE):
            messages = []
            for said in hostile.say(AT_ONCE):
                messages.append(inbox.put_raw(said.topic, said.payload, retain=said.retain))
                certain.update([said.why] if said.why else [])
            place = len(messages) // 2
            messages[place:place] = honest.speak()
            put += len(messages)
            await until(lambda put=put: len(inbox.acked) >= put)
            assert {message.acked for message in messages} == {1}
            inbox.published.clear()
    refused = account["refused"]
    # A conflict is a letter about a record of a message that was taken.
    conflicts = refused.pop(RejectReason.JOURNAL_CONFLICT)
    assert account["taken"].total() + refused.total() == put
    assert conflicts > 0
    assert refused[RejectReason.UNSTORABLE] == 0, (
        "the database had to find what the contract should refuse"
    )
    for why in (
        RejectReason.TOPIC,
        RejectReason.KIND,
        RejectReason.RETAINED,
        RejectReason.TOO_LARGE,
    ):
        assert refused[why] == certain[why], why
    assert refused[RejectReason.UNKNOWN_DEVICE] == certain[RejectReason.UNKNOWN_DEVICE]
    assert all(account["taken"][kind] > 100 for kind in EVENTS), "not every kind was tried"
    await honest.check(engine)


async def test_flood_that_the_database_refuses_is_worked_off(
    engine: AsyncEngine, devices: list[Device], running: asyncio.Task[None], inbox: Inbox,
    acked: Acked,
) -> None:  # fmt: skip
    """Whatever gets past the contract: every message is buried by itself, the others are kept."""
    async with db.transaction(engine) as session:
        await session.execute(
            sa.text("ALTER TABLE command_results ADD CHECK (command_id NOT LIKE 'poison%')")
        )
    said = []
    with accounts() as account:
        for number in range(400):
            now = clock.now()
            word = "poison" if number % 4 else "good"
            result = events.CommandResult(sent_at=now, command_id=f"{word}{number}", result="done")
            said.append(inbox.put("ABC"[number % 3], "command_result", result))
        await acked(*said)
    assert account["taken"]["command_result"] == 100
    assert account["refused"][RejectReason.UNSTORABLE] == 300
    async with db.transaction(engine) as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(CommandResult)) == 100
        accounted = sa.select(sa.func.count() + sa.func.sum(DeadLetterRow.more))
        assert await session.scalar(accounted.select_from(DeadLetterRow)) == 300


async def test_ten_thousand_journals_and_an_impossible_session_cost_a_device_only_its_own(
    engine: AsyncEngine, devices: list[Device], running: asyncio.Task[None], inbox: Inbox,
    acked: Acked,
) -> None:  # fmt: skip
    """A device may start as many journals as it likes; each is confirmed for itself."""
    at = clock.now()

    def journal(name: str, seq: int, oldest: int | None) -> events.Playback:
        record = events.Skipped(seq=seq, occurrence_id="x", at=at, reason=events.SkipReason.LATE)
        return events.Playback(sent_at=at, journal_id=name, records=[record], oldest_seq=oldest)

    furthest = 2**53 - 1
    said = [inbox.put("A", "playback", journal(f"j{n}", 1, furthest)) for n in range(10_000)]
    said.append(inbox.put("A", "playback", journal("end", furthest, furthest)))
    said.append(inbox.put("A", "gone", events.Gone(session=furthest)))
    said.append(inbox.put("B", "playback", journal("j", 1, 1)))
    await acked(*said)
    async with db.transaction(engine) as session:
        upto = await session.execute(
            sa.select(Journal.stored_upto, sa.func.count()).group_by(Journal.stored_upto)
        )
        assert {row[0]: row[1] for row in upto} == {1: 10_001, furthest: 1}
