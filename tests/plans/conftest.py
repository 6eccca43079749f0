"""A province of realistic size, and the plans of what the features really execute in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db


class Scan(NamedTuple):
    """How a plan reads a table."""

    table: str
    """The partitioned table, where it is a partition of one."""
    partition: str
    index: str | None
    """None: the whole of it."""
    executed: bool
    rows: int
    """Looked at, by one execution."""


class Plan(NamedTuple):
    """The plan of one executed statement."""

    statement: str
    scans: list[Scan]

    def indexes(self, table: str) -> set[str | None]:
        """How a table is read; None stands for a sequential scan."""
        return {scan.index for scan in self.scans if scan.table == table and scan.executed}

    def partitions(self, table: str) -> set[str]:
        """Partitions that are really read."""
        return {scan.partition for scan in self.scans if scan.table == table and scan.executed}


Plans = Callable[[Callable[[AsyncSession], Awaitable[Any]]], Awaitable[list[Plan]]]

BIG = (
    "boots", "bulletin_revisions", "cluster_villages", "clusters", "command_results",
    "dead_letters", "devices", "documents", "faults", "heartbeats",
    "journal_records", "occurrences", "online_minutes", "play_changes", "plays",
    "presence_changes", "programme_revisions", "readiness", "receipts", "refusals",
)  # fmt: skip
"""Tables that no statement of everyday work may read whole. Left out are those of a row for each
device that the sweep, or a batch of half a thousand devices, reads in two milliseconds:
`device_presence`, `installations`, `journals`."""

FEW = 100
"""Rows: an empty or new partition is read whole, and rightly."""


@pytest.fixture(scope="module")
def province_dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Half a year of a province of 10,000 clusters; nobody commits anything to it."""
    dsn = postgres.create_database(f"plans_{uuid4().hex}", template="template")
    asyncio.run(_fill(dsn))
    yield dsn
    postgres.drop_database("plans")


async def _fill(dsn: str) -> None:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        for offset in range(260):
            day = date(2024, 12, 1) + timedelta(days=offset)
            await db.ensure_partition(session, "plays", day)
            if date(2025, 6, 20) <= day <= date(2025, 7, 3):
                await db.ensure_day(session, day)
    script = Path(__file__).with_name("province.sql").read_text()
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        await driver.execute(f"BEGIN; {script} COMMIT")
        await driver.execute("VACUUM ANALYZE")
    await engine.dispose()


@pytest.fixture
async def province(province_dsn: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(db.async_url(province_dsn))
    yield engine
    await engine.dispose()


@pytest.fixture
def plans(province: AsyncEngine) -> Plans:
    """Run some work, undo it, and explain each statement that it executed, as it was."""

    async def explain(work: Callable[[AsyncSession], Awaitable[Any]]) -> list[Plan]:
        executed: list[tuple[str, Any]] = []

        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            executed.append((statement, parameters))

        sa.event.listen(province.sync_engine, "before_cursor_execute", note)
        async with AsyncSession(province) as session:
            await work(session)
            await session.rollback()
        sa.event.remove(province.sync_engine, "before_cursor_execute", note)
        found = []
        async with province.connect() as connection:
            for statement, parameters in executed:
                rows = await connection.exec_driver_sql(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
                )
                answer = rows.scalar_one()
                tree = json.loads(answer) if isinstance(answer, str) else answer
                found.append(Plan(statement, list(_scans(tree[0]["Plan"]))))
                await connection.rollback()
        return found

    return explain


def _scans(node: dict[str, Any]) -> Iterator[Scan]:
    kind = node["Node Type"]
    rows = round(node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    executed = node["Actual Loops"] > 0 and not (kind == "Seq Scan" and rows < FEW)
    if kind in {"Seq Scan", "Sample Scan"}:
        yield Scan(_table(node["Relation Name"]), node["Relation Name"], None, executed, rows)
    elif "Relation Name" in node and "Index Name" in node:
        partition = node["Relation Name"]
        yield Scan(
            _table(partition), partition, _index(node["Index Name"], partition), executed, rows
        )
    elif kind == "Bitmap Heap Scan":
        partition = node["Relation Name"]
        for inner in node["Plans"]:
            for index in _indexes(inner):
                yield Scan(_table(partition), partition, _index(index, partition), executed, rows)
        return
    for inner in node.get("Plans", ()):
        yield from _scans(inner)


def _indexes(node: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in node:
        yield node["Index Name"]
    for inner in node.get("Plans", ()):
        yield from _indexes(inner)


def _table(relation: str) -> str:
    for table in db.PARTITIONED:
        if relation.startswith(f"{table}_2"):
            return table
    return relation


def _index(name: str, partition: str) -> str:
    """An index of a partition is named after its columns: `plays_202507_cluster_id_…_idx`."""
    table = _table(partition)
    return name if table == partition else name.removeprefix(f"{partition}_")


def whole(found: list[Plan]) -> list[tuple[str, int, str]]:
    """Big tables that are read whole, with the statement."""
    return [
        (scan.partition, scan.rows, plan.statement)
        for plan in found
        for scan in plan.scans
        if scan.executed and scan.index is None and scan.table in BIG
    ]
