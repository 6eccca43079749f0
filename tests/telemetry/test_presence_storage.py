"""The latest state does not grow under heartbeats: each update stays on its page."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from broadcast.kit import db
from broadcast.wire.events import Network, Supply
from tests.devices.fleet import EIGHT, MINUTE, beat, enrol, record_all

DEVICES, MINUTES = 60, 90


async def size(engine: AsyncEngine) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.text("SELECT pg_relation_size('device_presence')")) or 0


async def hot_share(engine: AsyncEngine, table: str) -> float:
    hot = sa.text("""
        SELECT n_tup_hot_upd::float / n_tup_upd FROM pg_stat_user_tables WHERE relname = :table
    """)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
        return await connection.scalar(hot, {"table": table}) or 0.0


@pytest.mark.postgres
@pytest.mark.parametrize("indexed", [False, True])
async def test_heartbeats_leave_the_latest_state_where_it_is(
    postgres_dsn: str, indexed: bool
) -> None:
    engine = create_async_engine(db.async_url(postgres_dsn), pool_size=1, max_overflow=0)
    async with db.transaction(engine) as session:
        await db.ensure_day(session, date(2025, 7, 1))
        devices = await enrol(session, *(f"D{n:03}" for n in range(DEVICES)))
        if indexed:
            await session.execute(sa.text("CREATE INDEX ON device_presence (last_seen_at)"))
    first = 0
    for minute in range(MINUTES):
        at = EIGHT + minute * MINUTE
        beats = [
            beat(
                device, seq=minute + 1, sent_at=at, firmware="2.4.1", uptime_seconds=minute * 60.0,
                supply=Supply(mains=True, volts=220.0 + minute % 7), line="ok",
                network=Network(interface="4g", signal_dbm=-70 - minute % 9, operator="45204"),
                held={"area/51/programme": 1 + minute // 30, "area/21034/programme": 1},
            )
            for device in devices
        ]  # fmt: skip
        async with db.transaction(engine) as session:
            await record_all(session, [], beats, [], at, live=True)
        first = first or await size(engine)
    grown, hot = await size(engine) / first, await hot_share(engine, "device_presence")
    assert await hot_share(engine, "online_minutes_202507") >= 0.9
    await engine.dispose()
    if indexed:  # what the table is spared
        assert hot == 0
        assert grown > 2
    else:
        assert hot >= 0.9
        assert grown <= 1.5
