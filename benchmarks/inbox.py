"""Sending a priority bulletin of the province to its 96 communes, and placing it in each.

3,000 clusters under the real communes; without other schedules, and beside those of a programme
that is nearly full (`benchmarks.schedules`). Sending stores the items; the leader then places each
in a transaction of its own, with all checks of a schedule.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import province
from benchmarks.result import Result
from benchmarks.schedules import CALLER, RULES, make_bulletin, make_schedules
from broadcast import config
from broadcast.areas.model import Area, Level
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.inbox import sending
from broadcast.inbox.model import Answer, InboxItem
from broadcast.inbox.placement import Placer
from broadcast.kit import clock, db

LONGEST_SEND = 1.0
"""Seconds of the transaction of the request."""

MOST_CPU = 0.2
"""Seconds of the processor that placing one may take of this process, PostgreSQL apart."""


class Took(NamedTuple):
    """Seconds of one sending."""

    sent: float
    """The transaction that stores the items."""
    placed: float
    """From then until the last is placed."""
    cpu: float
    """Of this process, for each item."""


def run() -> list[Result]:
    """Seconds: of sending, until the last is placed, and of the processor for each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        return asyncio.run(_measure(server.create_database("inbox")))


async def _measure(dsn: str) -> list[Result]:
    await db.migrate(dsn)
    engine = db.create_engine(config.Postgres(dsn=dsn))
    now = clock.now()
    try:
        await province.fill(engine, now, days=1)
        async with db.transaction(engine) as session:
            communes = list(
                await session.scalars(
                    sa.select(Area.code).where(
                        Area.level == Level.COMMUNE, Area.valid_to.is_(None)
                    )
                )
            )
            filling = await make_bulletin(session, now)
        await province.analyze(engine)
        bare = await _send(engine, communes, now)
        async with db.transaction(engine) as session:
            await make_schedules(session, filling, now)
        await province.analyze(engine)
        full = await _send(engine, communes, now)
    finally:
        await engine.dispose()
    name, limit = f"inbox_send_{len(communes)}", f"≤ {LONGEST_SEND:g} s"
    return [
        Result(name, bare.sent, LONGEST_SEND, "s", limit),
        Result(f"{name}_full", full.sent, LONGEST_SEND, "s", limit),
        Result(f"inbox_placed_{len(communes)}_full", full.placed, bare.placed, "s"),
        Result("inbox_cpu", bare.cpu, MOST_CPU, "s", "≤ 1"),
        Result("inbox_cpu_full", full.cpu, MOST_CPU, "s", "≤ 1"),
    ]


async def _send(engine: AsyncEngine, communes: Sequence[str], now: datetime) -> Took:
    async with db.transaction(engine) as session:
        bulletin = await make_bulletin(session, now)
    until = now + timedelta(days=7)
    began = time.perf_counter()
    async with db.transaction(engine) as session:
        await sending.send(session, bulletin.id, communes, until, CALLER, now)
    sent = time.perf_counter()
    cpu = time.process_time()
    placer = Placer(engine, RULES)
    while await placer.step(now, lambda: False):
        pass
    placed, used = time.perf_counter(), time.process_time() - cpu
    async with db.transaction(engine) as session:
        answers = list(
            await session.scalars(
                sa.select(InboxItem.answer).where(InboxItem.bulletin_id == bulletin.id)
            )
        )
    if answers != [Answer.PLACED] * len(communes):
        raise RuntimeError(f"{answers.count(Answer.PLACED)} of {len(communes)} were placed")
    return Took(sent - began, placed - sent, used / len(communes))
