"""What the statements of a figure read, in a province with a history: never more for a longer one.

PostgreSQL is asked by counters: the statistics of what a transaction scanned, table by table.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from benchmarks import province
from broadcast.indicators import evidence, rollup
from broadcast.indicators.definitions import operating_rule
from broadcast.indicators.evidence import CLUSTER_DAYS, parameters_of
from broadcast.indicators.figures import Cache, compute, recompute
from broadcast.kit import db
from broadcast.kit.clock import LOCAL

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TODAY = NOW.astimezone(LOCAL).date()
RULE = operating_rule(TODAY)


@pytest.fixture
async def filled(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncEngine:
    """A hundred clusters with a hundred and fifty days behind them, sixty days rolled up."""
    monkeypatch.setattr(province, "CLUSTERS", 100)
    monkeypatch.setattr(province, "VILLAGES_PER_COMMUNE", 1)
    monkeypatch.setattr(rollup, "KEPT_DAYS", 60)
    await province.fill(engine, NOW, days=150)
    await province.beat(engine, TODAY, 1, 5)
    async with db.transaction(engine) as session:
        await rollup.announce_days(session, NOW, RULE)
        days = list(await session.scalars(sa.text("SELECT day FROM folded_days")))
        await rollup.roll_up_days(session, days, RULE, NOW)
    await province.analyze(engine)
    return engine


_READ = sa.text("""
SELECT relname AS name, (
    pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid) + coalesce((
        SELECT sum(pg_stat_get_xact_tuples_fetched(indexrelid)) FROM pg_index WHERE indrelid = oid
    ), 0)
)::int AS rows
FROM pg_class WHERE relkind = 'r' AND relname ~ '^(plays|online_minutes|heartbeats)'
""")


async def rows_read(session: AsyncSession) -> dict[str, int]:
    """Rows that the transaction has read, from end to end or by an index; without zeros."""
    return {row.name: row.rows for row in await session.execute(_READ) if row.rows}


async def test_a_figure_of_today_reads_neither_heartbeats_nor_the_history(
    filled: AsyncEngine,
) -> None:
    cache = Cache()
    this_month, last_month = f"{TODAY:plays_%Y%m}", f"{TODAY - timedelta(days=9):plays_%Y%m}"
    minutes = f"{TODAY:online_minutes_%Y%m}"
    for _ in range(2):
        await filled.dispose()  # a new connection counts from nothing
        async with db.transaction(filled) as session:
            await compute(session, TODAY, "51", NOW, cache)
            read = await rows_read(session)
        assert set(read) == {this_month, minutes}
        # Once each device, and once more because the power is cut today.
        assert read[minutes] == 180
        assert read[this_month] <= 3 * 90 * TODAY.day
    await filled.dispose()
    async with db.transaction(filled) as session:
        # The counters do count: without what is kept, a month of history is read.
        await recompute(session, TODAY, "51", NOW)
        read = await rows_read(session)
    assert sum(read[name] for name in read if name.startswith("online")) >= 90 * 30
    assert read[last_month] >= 90


@pytest.mark.parametrize("days", [1, 2, 30])
async def test_days_are_read_by_index_device_by_device(filled: AsyncEngine, days: int) -> None:
    wanted = [TODAY - timedelta(days=offset) for offset in range(days)]
    async with db.transaction(filled) as session:
        parameters = await parameters_of(session, wanted, None, RULE, NOW)
        explain = evidence.statement(f"EXPLAIN WITH RECURSIVE {CLUSTER_DAYS} SELECT * FROM fresh")
        plan = "\n".join(await session.scalars(explain, parameters))
    # An empty month may be read from end to end.
    assert not re.search(r"Seq Scan on online_minutes_(20251|2026)", plan)
    assert "Bitmap Index Scan on online_minutes" not in plan
    assert "heartbeats" not in plan
    assert "plays_202601" not in plan
