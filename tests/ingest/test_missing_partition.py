"""A partition that is missing is our fault: what devices said waits for it."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.ingest import store
from broadcast.kit import clock, db
from broadcast.telemetry.model import DeadLetterRow, OnlineMinutes
from broadcast.wire.events import Clock, Heartbeat
from tests.ingest.inbox import Acked, Inbox


def beat(seq: int, waited: timedelta = timedelta(0)) -> Heartbeat:
    sent_at = clock.now() - waited
    return Heartbeat(session=1, seq=seq, sent_at=sent_at, clock=Clock(trusted=True))


async def count(engine: AsyncEngine, table: type[DeadLetterRow | OnlineMinutes]) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


async def test_heartbeats_wait_for_their_partition_and_are_no_dead_letters(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    await acked(inbox.put("A", "heartbeat", beat(1)))
    async with db.transaction(engine) as session:
        name = db.partition_name("online_minutes", clock.today())
        await session.execute(sa.text(f"DROP TABLE {name}"))
    retries = store.RETRIES._value.get()
    said = [inbox.put(device, "heartbeat", beat(2)) for device in "ABC"]
    await acked(*said)
    assert store.RETRIES._value.get() > retries, "refused once, then made by ourselves"
    assert (await count(engine, DeadLetterRow), await count(engine, OnlineMinutes)) == (0, 3)


async def test_a_heartbeat_of_last_week_finds_its_month(
    engine: AsyncEngine, inbox: Inbox, acked: Acked
) -> None:
    await acked(inbox.put("A", "heartbeat", beat(1, timedelta(days=6, hours=23))))
    assert (await count(engine, DeadLetterRow), await count(engine, OnlineMinutes)) == (0, 1)
