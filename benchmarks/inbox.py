"""Sending a priority bulletin of the province to its 96 communes: each has it placed at once.

3,000 clusters under the real communes, and no other schedules. Every placement asks all checks of
a schedule; held against the same bulletin sent to one commune.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import province
from benchmarks.result import Result
from benchmarks.schedules import CALLER, RULES, make_bulletin
from broadcast import config
from broadcast.areas.model import Area, Level
from broadcast.bulletins.model import Bulletin
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.inbox import sending
from broadcast.kit import clock, db

RUNS = 3


def run() -> list[Result]:
    """Seconds of the transaction, medians of 3."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        return asyncio.run(_measure(server.create_database("inbox")))


async def _measure(dsn: str) -> list[Result]:
    await db.migrate(dsn)
    engine = db.create_engine(config.Postgres(dsn=dsn))
    now = clock.now()
    try:
        await province.fill(engine, now, days=1)
        async with db.transaction(engine) as session:
            bulletin = await make_bulletin(session, now)
            communes = list(
                await session.scalars(
                    sa.select(Area.code).where(
                        Area.level == Level.COMMUNE, Area.valid_to.is_(None)
                    )
                )
            )
        await province.analyze(engine)
        one = [await _send(engine, bulletin, communes[:1], now) for _ in range(RUNS)]
        every = [await _send(engine, bulletin, communes, now) for _ in range(RUNS)]
    finally:
        await engine.dispose()
    return [Result(f"inbox_send_{len(communes)}", median(every), median(one), "s")]


async def _send(
    engine: AsyncEngine, bulletin: Bulletin, communes: Sequence[str], now: datetime
) -> float:
    until = now + timedelta(days=7)
    async with db.transaction(engine) as session:
        began = time.perf_counter()
        sent = await sending.send(session, bulletin.id, communes, until, CALLER, RULES, now)
        took = time.perf_counter() - began
        placed = sum(each.schedule_id is not None for each in sent)
        if placed != len(communes):
            raise RuntimeError(f"{placed} of {len(communes)} were placed")
        await session.rollback()
    return took
