"""The permanent cost of history, and the effect of a day of heartbeats on the latest state.

A day is 1,440 heartbeats of each device through the code of ingest, in batches, in random order,
compressed to under a minute. Autovacuum cannot be compressed: a worker that takes a second would
hold back what can be cleaned for half an hour of that day. So the daemon is off, and what it does
every minute is done between two minutes of the day, by its own rule and the parameters of each
table: VACUUM where enough is dead. Once an hour a report keeps its snapshot for a whole minute.

Beside it, in the same run and on the same server, the table as it is usually made: an index on
`last_seen_at`, pages filled, autovacuum's defaults.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.result import Result
from broadcast.devices.model import Device
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db
from broadcast.telemetry import heartbeat_rows, heartbeats
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.fast_path import FastPath
from broadcast.telemetry.presence import PresenceThresholds
from broadcast.upkeep.partitions import existing, pack_closed
from broadcast.wire.events import Clock, Heartbeat, Network, Supply

DEVICES = 100
BATCH = 50
MINUTES = 1440
MIDNIGHT = datetime(2025, 6, 30, 17, tzinfo=UTC)
"""00:00 of 1 July in the province."""
MINUTE = timedelta(minutes=1)
_RANDOM = Random(1)  # noqa: S311 — no secret
THRESHOLDS = PresenceThresholds(silent=timedelta(seconds=150), offline=timedelta(minutes=10))

HISTORY_DEVICES = 5000
HISTORY_DAYS = 30
CUTS_PER_DEVICE_DAY = 0.01
"""A device in a hundred is cut off each day for longer than `offline_after`: three flips."""

AS_USUAL = """
    CREATE INDEX ix_device_presence_last_seen_at ON device_presence (last_seen_at);
    ALTER TABLE device_presence RESET (fillfactor, autovacuum_vacuum_scale_factor,
        autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay)
"""


def run() -> list[Result]:
    """Ratios and bytes."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        asyncio.run(db.migrate(server.create_database("template")))
        ours = asyncio.run(_day(server.create_database("ours", template="template")))
        usual = asyncio.run(_day(server.create_database("usual", template="template"), AS_USUAL))
        bytes_, flip = asyncio.run(_history(server.create_database("old", template="template")))
    return [
        Result("history_bytes_per_device_day", bytes_, 260, "B", "≤ 1"),
        Result("presence_change_bytes", flip, 260, "B"),
        Result("presence_growth_day", ours["growth"], 1, "x", "≤ 1.5"),
        Result("presence_growth_day_beside_an_index_on_last_seen", ours["growth"],
               usual["growth"], "x"),
        Result("presence_hot_updates", ours["hot"], 1, "share", ">= 0.9"),
        Result("online_minutes_hot_updates", ours["minutes_hot"], 1, "share"),
        Result("online_minutes_growth_day", ours["minutes_growth"], 1, "x"),
        Result("raw_heartbeat_bytes", ours["raw"], 1024, "B"),
    ]  # fmt: skip


async def _day(dsn: str, changes: str = "") -> dict[str, float]:
    # One connection: the counts of what it did are told when it is asked to.
    engine = create_async_engine(db.async_url(dsn), pool_size=1, max_overflow=1)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in (
            "ALTER SYSTEM SET autovacuum = off",
            "SELECT pg_reload_conf()",
            *filter(None, changes.split(";")),
        ):
            await connection.execute(sa.text(statement))
    devices = await _enrol(engine)
    before: dict[str, int] = {}
    for minute in range(MINUTES):
        if minute % 60 == 30:
            async with engine.connect() as report:
                await report.execution_options(isolation_level="REPEATABLE READ")
                await report.execute(sa.text("SELECT count(*) FROM device_presence"))
                await _beat(engine, devices, minute)
        else:
            await _beat(engine, devices, minute)
        await _vacuum(engine)
        if minute == 0:
            before = await _sizes(engine)
    after, hot = await _sizes(engine), await _hot(engine)
    await engine.dispose()
    return {
        "growth": after["device_presence"] / before["device_presence"],
        "minutes_growth": after["online_minutes_202507"] / before["online_minutes_202507"],
        "hot": hot["device_presence"],
        "minutes_hot": hot["online_minutes_202507"],
        "raw": after["heartbeats_20250701"] / (DEVICES * MINUTES),
    }


_DUE = sa.text("""
    SELECT c.relname
    FROM pg_class AS c JOIN pg_stat_user_tables AS s ON s.relid = c.oid,
         LATERAL (
            SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold'),
                   max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')
            FROM pg_options_to_table(c.reloptions)
         ) AS o (threshold, scale)
    WHERE c.relname IN ('device_presence', 'online_minutes_202507')
      AND s.n_dead_tup > coalesce(o.threshold::float, 50)
                         + coalesce(o.scale::float, 0.2) * greatest(c.reltuples, 0)
""")


async def _vacuum(engine: AsyncEngine) -> None:
    """The work of one autovacuum run."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
        for name in (await connection.scalars(_DUE)).all():
            await connection.execute(sa.text(f"VACUUM {name}"))


async def _enrol(engine: AsyncEngine) -> list[Device]:
    devices = [
        Device(code=f"QN-{n:06}", codecs=["opus"], enrolled_at=MIDNIGHT) for n in range(DEVICES)
    ]
    async with db.transaction(engine) as session:
        session.add_all(devices)
        await db.ensure_day(session, date(2025, 7, 1))
    return devices


async def _beat(engine: AsyncEngine, devices: list[Device], minute: int) -> None:
    """One heartbeat of each device, each in its own second, in random order."""
    at = MIDNIGHT + minute * MINUTE
    revision = 1_751_331_600_000 + minute // 480
    batch = [
        Arrival(
            device.id,
            device.code,
            Heartbeat(
                session=65537,
                seq=minute + 1,
                sent_at=at,
                clock=Clock(trusted=True, source="ntp", offset_ms=_RANDOM.randint(-40, 40)),
                held={
                    f"device/{device.code}/config": 1_751_331_600_000,
                    "area/51/programme": revision,
                    "area/21034/programme": revision,
                    "area/21034-07/programme": 1_751_331_600_000,
                },
                uptime_seconds=minute * 60.0,
                firmware="2.4.1",
                volume=70,
                amplifier="off",
                line="ok",
                supply=Supply(mains=True, volts=round(_RANDOM.uniform(215, 235), 1)),
                temperature_celsius=round(_RANDOM.uniform(30, 50), 1),
                network=Network(
                    interface="4g", signal_dbm=_RANDOM.randint(-110, -60), operator="45204"
                ),
                data_used_bytes=minute * 7000,
                storage_free_bytes=201_326_592 - minute,
            ),
        )
        for device in devices
    ]
    _RANDOM.shuffle(batch)
    for start in range(0, DEVICES, BATCH):
        some = batch[start : start + BATCH]
        columns = heartbeat_rows.columns(some)
        async with db.transaction(engine) as session:
            await heartbeat_rows.keep_raw(session, columns, at)
            await heartbeats.record(
                session, [], some, [], at, live=True, thresholds=THRESHOLDS,
                fast_path=FastPath(), columns=columns,
            )  # fmt: skip


_SIZES = sa.text("""
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relname IN ('device_presence', 'online_minutes_202507', 'heartbeats_20250701')
""")
_HOT = sa.text("""
    SELECT relname, n_tup_hot_upd::float / greatest(n_tup_upd, 1) FROM pg_stat_user_tables
    WHERE relname IN ('device_presence', 'online_minutes_202507')
""")


async def _sizes(engine: AsyncEngine) -> dict[str, int]:
    async with db.transaction(engine) as session:
        return {row[0]: row[1] for row in await session.execute(_SIZES)}


async def _hot(engine: AsyncEngine) -> dict[str, float]:
    async with db.transaction(engine) as session:
        return {row[0]: row[1] for row in await session.execute(_HOT)}


_MONTH = sa.text("""
    INSERT INTO online_minutes
    SELECT device, day::date,
           CASE WHEN random() < :cuts THEN set_bit(~0::bit(1440), 700, 0) ELSE ~0::bit(1440) END
    FROM generate_series(date '2025-06-01', date '2025-06-30', interval '1 day') AS day,
         generate_series(1, CAST(:devices AS integer)) AS device
""")
_FLIPS = sa.text("""
    INSERT INTO presence_changes (device_id, presence, happened_at, recorded_at, cause)
    SELECT ids[1 + floor(random() * array_length(ids, 1))::integer], presence, at, at, cause
    FROM (SELECT array_agg(id) AS ids FROM devices) AS fleet,
         (SELECT timestamptz '2025-06-01 00:00+07' + n * interval '30 days' / :cuts AS at
          FROM generate_series(1, CAST(:cuts AS integer)) AS n) AS cut,
         (VALUES ('silent', 'silence'), ('offline', 'silence'), ('online', 'heartbeat'))
             AS flip (presence, cause)
""")


async def _history(dsn: str) -> tuple[float, float]:
    """Bytes of a packed month per device-day, flips included, and bytes of one flip."""
    engine = create_async_engine(db.async_url(dsn))
    device_days = HISTORY_DEVICES * HISTORY_DAYS
    cuts = round(device_days * CUTS_PER_DEVICE_DAY)
    parameters: dict[str, Any] = {"cuts": CUTS_PER_DEVICE_DAY, "devices": HISTORY_DEVICES}
    async with db.transaction(engine) as session:
        await db.ensure_partition(session, "online_minutes", date(2025, 6, 1))
        session.add_all(
            Device(code=f"QN-{n:06}", codecs=[], enrolled_at=MIDNIGHT)
            for n in range(HISTORY_DEVICES)
        )
        await session.flush()
        await session.execute(_MONTH, parameters)
        empty = await _flips_size(session)
        await session.execute(_FLIPS, {"cuts": cuts})
    await pack_closed(engine, date(2025, 7, 9))
    async with db.transaction(engine) as session:
        (month,) = [p for p in await existing(session, sized=True) if p.packed]
        flips = await _flips_size(session) - empty
    await engine.dispose()
    return (month.size_bytes + flips) / device_days, flips / (3 * cuts)


async def _flips_size(session: Any) -> int:
    return int(await session.scalar(sa.text("SELECT pg_total_relation_size('presence_changes')")))
