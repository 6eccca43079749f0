"""Partitions come, go and are packed without ingest ever standing behind that."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import db
from broadcast.telemetry.model import OnlineMinutes
from broadcast.upkeep import lifetimes, partitions
from broadcast.upkeep.partitions import drop_expired, existing, make_ahead, pack_closed
from tests.waiting import HANG_SECONDS

TODAY = date(2025, 7, 15)
SETTINGS = config.Upkeep()


async def names(engine: AsyncEngine) -> set[str]:
    async with db.transaction(engine) as session:
        return {partition.name for partition in await existing(session)}


async def make(engine: AsyncEngine, *wanted: tuple[str, date]) -> None:
    async with db.transaction(engine) as session:
        for table, day in wanted:
            await db.ensure_partition(session, table, day)


async def test_what_is_due_is_made_once_with_room_for_late_heartbeats(engine: AsyncEngine) -> None:
    assert await make_ahead(engine, date(2025, 7, 3), 14) > 0
    made = await names(engine)
    assert {"heartbeats_20250702", "heartbeats_20250717", "plays_202507"} <= made
    assert {"online_minutes_202506", "online_minutes_202507", "health_hours_202507"} <= made
    assert "heartbeats_20250701" not in made
    assert lifetimes.missing(made, partitions.due(date(2025, 7, 3), 14)) == []
    assert await make_ahead(engine, date(2025, 7, 3), 14) == 0
    assert await make_ahead(engine, date(2025, 7, 4), 14) == 1


@pytest.mark.postgres
async def test_old_days_go_and_history_stays(engine: AsyncEngine) -> None:
    old, kept = TODAY - timedelta(days=31), TODAY - timedelta(days=30)
    ancient = date(2020, 1, 1)
    await make(
        engine, ("heartbeats", old), ("heartbeats", kept), ("health_hours", ancient),
        ("online_minutes", ancient), ("plays", ancient),
    )  # fmt: skip
    assert await drop_expired(engine, SETTINGS, TODAY) == 2
    assert await names(engine) == {
        db.partition_name("heartbeats", kept), "online_minutes_202001", "plays_202001",
    }  # fmt: skip
    assert await drop_expired(engine, SETTINGS, TODAY) == 0


async def test_ingest_does_not_hang_behind_a_drop_that_has_to_wait(engine: AsyncEngine) -> None:
    old = TODAY - timedelta(days=40)
    await make(engine, ("heartbeats", old), ("heartbeats", TODAY))
    insert = sa.text(
        "INSERT INTO heartbeats VALUES (:day, 1, 1, :seq, now(), now(), CAST('{}' AS json))"
    )

    async def keep_inserting() -> None:
        for seq in range(40):
            async with db.transaction(engine) as session:
                await session.execute(insert, {"day": TODAY, "seq": seq})
            await asyncio.sleep(0.02)

    async with engine.connect() as reader:
        # A report, or pg_dump, that reads for minutes.
        await reader.execute(sa.text("SELECT count(*) FROM heartbeats"))
        inserting = asyncio.create_task(keep_inserting())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(HANG_SECONDS):
            with pytest.raises(DBAPIError) as raised:
                await drop_expired(engine, SETTINGS, TODAY)
            assert partitions.is_busy(raised.value)
            await inserting
        await reader.rollback()
    assert await drop_expired(engine, SETTINGS, TODAY) == 1


async def options_of(engine: AsyncEngine, name: str) -> Any:
    async with db.transaction(engine) as session:
        return await session.scalar(
            sa.text("SELECT reloptions FROM pg_class WHERE relname = :name"), {"name": name}
        )


@pytest.mark.postgres
async def test_a_closed_month_is_packed_once_and_keeps_its_rows(engine: AsyncEngine) -> None:
    month = date(2025, 6, 1)
    await make(engine, ("online_minutes", month), ("online_minutes", TODAY))
    fill = sa.text("""
        INSERT INTO online_minutes SELECT device, day::date, ~0::bit(1440)
        FROM generate_series(1, 300) AS device,
             generate_series(date '2025-06-01', date '2025-06-30', interval '1 day') AS day
    """)
    async with db.transaction(engine) as session:
        await session.execute(fill)
    assert "fillfactor=70" in await options_of(engine, "online_minutes_202506")
    assert await pack_closed(engine, date(2025, 7, 8)) == 0
    assert await pack_closed(engine, date(2025, 7, 9), room=1000) == 0
    assert await pack_closed(engine, date(2025, 7, 9), room=10**9) == 1
    assert await pack_closed(engine, date(2025, 7, 9)) == 0
    assert "fillfactor=100" in await options_of(engine, "online_minutes_202506")
    assert "fillfactor=70" in await options_of(engine, "online_minutes_202507")
    async with db.transaction(engine) as session:
        rows = await session.scalar(sa.select(sa.func.count()).select_from(OnlineMinutes))
        (june,) = [p for p in await existing(session, sized=True) if p.packed]
        assert await session.scalar(sa.text("SHOW lock_timeout")) == "0"
    assert rows == 9000
    assert june.name == "online_minutes_202506"
    assert june.size_bytes / 9000 < 260


async def test_a_month_that_is_being_read_is_packed_later(engine: AsyncEngine) -> None:
    await make(engine, ("online_minutes", date(2025, 6, 1)))
    async with engine.connect() as reader:
        await reader.execute(sa.text("SELECT count(*) FROM online_minutes"))
        with pytest.raises(DBAPIError) as raised:
            await pack_closed(engine, TODAY)
        assert partitions.is_busy(raised.value)
        await reader.rollback()
    assert await pack_closed(engine, TODAY) == 1


async def test_two_that_make_the_same_partition_do_not_disturb_each_other(
    engine: AsyncEngine,
) -> None:
    await asyncio.gather(*(make(engine, ("heartbeats", TODAY)) for _ in range(5)))
    assert await names(engine) == {"heartbeats_20250715"}


async def test_a_partition_that_somebody_else_made_is_left_alone(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        await session.execute(
            sa.text("CREATE TABLE heartbeats_default PARTITION OF heartbeats DEFAULT")
        )
    await make(engine, ("heartbeats", TODAY))
    assert "heartbeats_default" not in await names(engine)
    assert f"heartbeats_{TODAY:%Y%m%d}" in await names(engine)
