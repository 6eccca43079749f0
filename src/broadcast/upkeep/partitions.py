"""Partitions of time: made ahead, dropped by age, packed when closed.

Each of these takes a lock that ingest would have to wait for. So each waits for its lock for a
moment only, one partition a transaction, and is tried again with the next round.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from broadcast import config
from broadcast.kit import db
from broadcast.telemetry.online_minutes import BEHIND
from broadcast.upkeep import lifetimes
from broadcast.upkeep.lifetimes import Partition

log = structlog.get_logger()

DROPPED = Counter("broadcast_partitions_dropped", "Partitions dropped by age", ["table"])
PACKED = Counter("broadcast_partitions_packed", "Closed partitions packed", ["table"])

LOCK_TIMEOUT = "200ms"
"""Longest that ingest stands behind us. Shorter: a busy server never lets us in."""

PACK_TIMEOUT = "30min"
"""A month of 10,000 devices takes seconds; a disk that is this slow is a finding."""

PACKED_MARK = "packed"
"""Comment of a packed partition: it is remembered there, and a restored dump knows it too."""

PACK = "online_minutes"

OURS = re.compile(r"_\d{6}(\d{2})?")
"""What follows the table in the name of a partition that we made."""

_EXISTING = sa.text("""
    SELECT parent.relname, child.relname, obj_description(child.oid, 'pg_class'),
           CASE WHEN :sized THEN pg_total_relation_size(child.oid) ELSE 0 END
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid
    JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE parent.relkind = 'p' AND parent.relnamespace = current_schema()::regnamespace
      AND parent.relname = ANY(:tables)
    ORDER BY child.relname
""")


async def existing(session: AsyncSession, *, sized: bool = False) -> list[Partition]:
    """All partitions by name; with their sizes, indexes included, where asked."""
    rows = await session.execute(_EXISTING, {"tables": list(db.PARTITIONED), "sized": sized})
    return [
        Partition(table, name, *db.partition_span(table, name), size, mark == PACKED_MARK)
        for table, name, mark, size in rows
        if OURS.fullmatch(name.removeprefix(table))  # somebody else's are not ours to care for
    ]


def keep_days(settings: config.Upkeep) -> dict[str, int]:
    """Tables whose partitions are dropped, and after how many days."""
    return {"heartbeats": settings.raw_days, "health_hours": settings.health_days}


def due(today: date, days_ahead: int) -> list[tuple[str, str]]:
    """Table and name of the partitions that must exist."""
    return [
        (table, db.partition_name(table, day))
        for table, day in db.partitions_due(today, days_ahead)
    ]


async def make_ahead(engine: AsyncEngine, today: date, days_ahead: int) -> int:
    """Make the partitions that are due; returns how many were missing.

    Raises:
        DBAPIError: A lock could not be had in time; what has been made stays.
    """
    async with db.transaction(engine) as session:
        names = {partition.name for partition in await existing(session)}
    lacking = [
        (table, day)
        for table, day in db.partitions_due(today, days_ahead)
        if db.partition_name(table, day) not in names
    ]
    for table, day in lacking:
        async with _impatient(engine) as session:
            await db.ensure_partition(session, table, day)
    return len(lacking)


async def drop_expired(engine: AsyncEngine, settings: config.Upkeep, today: date) -> int:
    """Drop the partitions that have had their time; returns how many.

    Raises:
        DBAPIError: A lock could not be had in time; what has been dropped stays so.
    """
    async with db.transaction(engine) as session:
        present = await existing(session)
    old = lifetimes.expired(present, keep_days(settings), today)
    for partition in old:
        async with _impatient(engine) as session:
            await session.execute(sa.text(f"DROP TABLE IF EXISTS {partition.name}"))
        DROPPED.labels(partition.table).inc()
        log.info("upkeep.partition.dropped", partition=partition.name)
    return len(old)


async def pack_closed(engine: AsyncEngine, today: date, room: int | None = None) -> int:
    """Pack the months of online minutes that nothing is written to any more; returns how many.

    A packed month holds no room for updates, in the table and in its index. It is rewritten once,
    while readers of that month wait.

    Args:
        engine: Of the database.
        today: Local day.
        room: Bytes that may be used meanwhile, None when nobody knows: a month that would not fit
            is left as it is.

    Raises:
        DBAPIError: A lock could not be had in time; what has been packed stays so.
    """
    async with db.transaction(engine) as session:
        present = await existing(session, sized=True)
    ready = lifetimes.closed(present, PACK, BEHIND, today)
    count = 0
    for partition in ready:
        if room is not None and partition.size_bytes > room:
            log.warning("upkeep.partition.unpacked", partition=partition.name, room_bytes=room)
            continue
        await _pack(engine, partition.name)
        PACKED.labels(partition.table).inc()
        log.info("upkeep.partition.packed", partition=partition.name)
        count += 1
    return count


async def _pack(engine: AsyncEngine, name: str) -> None:
    async with engine.connect() as connection:
        # VACUUM refuses to run in a transaction.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            await connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(sa.text(f"SET statement_timeout = '{PACK_TIMEOUT}'"))
            for index in await _indexes(connection, name):
                await connection.execute(sa.text(f"ALTER INDEX {index} SET (fillfactor = 100)"))
            for statement in (
                f"ALTER TABLE {name} SET (fillfactor = 100)",
                f"VACUUM (FULL, ANALYZE) {name}",
                f"COMMENT ON TABLE {name} IS '{PACKED_MARK}'",
            ):
                await connection.execute(sa.text(statement))
        finally:
            # The settings were the session's, and the pool hands it on.
            await connection.invalidate()


async def _indexes(connection: AsyncConnection, name: str) -> Iterable[str]:
    found = await connection.scalars(
        sa.text(
            "SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indrelid = to_regclass(CAST(:name AS text))"
        ),
        {"name": name},
    )
    return found.all()


@asynccontextmanager
async def _impatient(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A transaction that waits for locks no longer than `LOCK_TIMEOUT`."""
    async with db.transaction(engine) as session:
        await session.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        yield session


LOCK_NOT_AVAILABLE = "55P03"


def is_busy(error: Exception) -> bool:
    """Tell whether a lock could not be had in time: no finding, the next round tries again."""
    return isinstance(error, DBAPIError) and db.sqlstate(error) == LOCK_NOT_AVAILABLE
