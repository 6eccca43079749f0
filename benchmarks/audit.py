"""What an entry of the audit costs a change: a schedule that is saved and committed.

With and without its entry in turns, in the same run, on a database that waits for its disk; then
eight writers at once that change one row each, because the chain gives all commits one order.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import province
from benchmarks.result import Result, median_pair
from benchmarks.schedules import CALLER, RULES, _bulletin
from broadcast import config
from broadcast.audit.recording import Record
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.schedules import edits

SAVES = 40
WRITERS, SECONDS, ROUNDS = 8, 2.0, 3

slots = itertools.count()


def run() -> list[Result]:
    """Medians of a transaction, and changes per second."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        return asyncio.run(_measure(server.create_database("audit")))


async def _measure(dsn: str) -> list[Result]:
    await db.migrate(dsn)
    engine = db.create_engine(config.Postgres(dsn=dsn))
    now = clock.now()
    try:
        await province.fill(engine, now, days=1)
        async with db.transaction(engine) as session:
            bulletin = await _bulletin(session, now)
        for audited in (False, True):
            await _save(engine, bulletin.id, now, audited=audited)
        saves: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(SAVES):
            for audited, durations in saves.items():
                durations.append(await _save(engine, bulletin.id, now, audited=audited))
        async with db.transaction(engine) as session:
            await session.execute(sa.text("CREATE TABLE changed (id int PRIMARY KEY, n int)"))
            await session.execute(
                sa.text("INSERT INTO changed SELECT n, 0 FROM generate_series(1, 8) AS n")
            )
        rates = [(await _rate(engine, audited=True), await _rate(engine, audited=False))
                 for _ in range(ROUNDS)]  # fmt: skip
    finally:
        await engine.dispose()
    audited_rate, bare_rate = median_pair(*zip(*rates, strict=True))
    return [
        Result("schedule_save_audited", median(saves[True]), median(saves[False]), "ms", "≤ 1.2"),
        Result("changes_at_once_audited", audited_rate, bare_rate, "per s"),
    ]


async def _save(engine: AsyncEngine, bulletin_id: UUID, now: datetime, *, audited: bool) -> float:
    day = (now.astimezone(LOCAL) + timedelta(days=1)).replace(hour=6, minute=0, second=0)
    wanted = {
        "starts_at": day.replace(microsecond=0) + timedelta(minutes=2 * next(slots)),
        "late_limit_seconds": 30, "targets": [{"area": "51"}],
    }  # fmt: skip
    record = Record("POST /api/v1/schedules", "Xếp lịch phát", "/api/v1/schedules")
    record.who = CALLER.who
    began = time.perf_counter()
    async with db.transaction(engine) as session:
        if audited:
            record.begin(session)
        await edits.create(session, bulletin_id, wanted, CALLER, RULES, now)
        if audited:
            await record.write(session, now)
    return (time.perf_counter() - began) * 1000


async def _rate(engine: AsyncEngine, *, audited: bool) -> float:
    """Small changes per second of writers that do nothing else."""
    end = time.perf_counter() + SECONDS
    done = 0

    async def write(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            async with db.transaction(engine) as session:
                record = Record("PUT /api/v1/things/1", "", "/api/v1/things/1")
                if audited:
                    record.begin(session)
                await session.execute(
                    sa.text("UPDATE changed SET n = n + 1 WHERE id = :id"), {"id": number}
                )
                if audited:
                    await record.write(session, clock.now())
            done += 1

    await asyncio.gather(*(write(number) for number in range(1, WRITERS + 1)))
    return done / SECONDS
