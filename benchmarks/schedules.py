"""Saving a schedule in a province whose programme is nearly full.

3,000 clusters under the real 96 communes; 38 recurring schedules of the whole province with 4,864
items in eight days, and 1,000 single ones of its communes. What is saved has one start; it is held
against the same save where there is no other schedule, in the same run. The first save of a day
expands all rules anew: it is told apart, in a process that has expanded none.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from benchmarks import province
from benchmarks.result import Result
from broadcast import config
from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import Bulletin, Revision, RevisionState, SourceKind
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.schedules import edits, recurrence
from broadcast.schedules.model import Schedule, ScheduleState
from broadcast.wire.fields import BulletinClass, OnPreempt
from tests.callers import caller

RECURRING, HOURS, SINGLE = 38, range(5, 21), 1000
RUNS = 15
RULES = config.Rules()
CALLER = caller("Lan", Role.PROVINCE_APPROVER)


def run() -> list[Result]:
    """Milliseconds of the transaction, medians of 15."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        return asyncio.run(_measure(server.create_database("schedules")))


async def _measure(dsn: str) -> list[Result]:
    await db.migrate(dsn)
    engine = db.create_engine(config.Postgres(dsn=dsn))
    now = clock.now()
    try:
        await province.fill(engine, now, days=1)
        async with db.transaction(engine) as session:
            bulletin = await make_bulletin(session, now)
        bare = [await _save(engine, bulletin, now) for _ in range(RUNS)]
        async with db.transaction(engine) as session:
            await make_schedules(session, bulletin, now)
        await province.analyze(engine)
        first = []
        for _ in range(3):
            recurrence.days_by_time.cache_clear()
            first.append(await _save(engine, bulletin, now))
        full = [await _save(engine, bulletin, now) for _ in range(RUNS)]
    finally:
        await engine.dispose()
    return [
        Result("schedule_save_full", median(full), median(bare), "ms", "≤ 10"),
        Result("schedule_save_full_first_of_a_day", median(first), median(bare), "ms"),
    ]


async def make_bulletin(session: AsyncSession, now: datetime) -> Bulletin:
    """An approved bulletin of the province, of class priority."""
    bulletin = Bulletin(
        id=uuid4(), title="Tiêm phòng gia súc đợt 2", class_=BulletinClass.PRIORITY, language="vi",
        area_code="51", created_by=CALLER.account_id, created_at=now,
    )  # fmt: skip
    session.add(bulletin)
    await session.flush()
    session.add(
        Revision(
            bulletin_id=bulletin.id, number=1, state=RevisionState.APPROVED,
            source_kind=SourceKind.UPLOAD, seconds=30.0, loudness_lufs=-16.0, true_peak_dbtp=-1.5,
            facts={}, created_by=CALLER.account_id, created_at=now,
        )
    )  # fmt: skip
    return bulletin


async def make_schedules(session: AsyncSession, bulletin: Bulletin, now: datetime) -> None:
    """Those of a programme that is nearly full."""
    today = now.astimezone(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)
    communes = list(
        await session.scalars(
            sa.select(Area.code).where(Area.level == Level.COMMUNE, Area.valid_to.is_(None))
        )
    )
    hours = ",".join(map(str, HOURS))
    for number in range(RECURRING):
        starts_at = today + timedelta(hours=HOURS[0], minutes=number)
        rule = f"FREQ=DAILY;BYHOUR={hours};BYMINUTE={number}"
        session.add(_schedule(bulletin, now, starts_at=starts_at, rrule=rule))
    for number in range(SINGLE):
        starts_at = today + timedelta(days=2 + number // 10, hours=9, minutes=40 + number % 10)
        target = {"area": communes[number % len(communes)]}
        session.add(_schedule(bulletin, now, starts_at=starts_at, targets=[target]))


def _schedule(bulletin: Bulletin, now: datetime, **changes: Any) -> Schedule:
    columns: dict[str, Any] = {
        "id": uuid4(), "bulletin_id": bulletin.id, "bulletin_revision": 1,
        "title": bulletin.title, "rrule": None, "targets": [{"area": "51"}],
        "targets_on": now.astimezone(LOCAL).date(), "priority": 64, "late_limit_seconds": 300,
        "on_preempt": OnPreempt.RESUME, "volume": None, "state": ScheduleState.ACTIVE,
        "created_by": CALLER.account_id, "created_at": now, "changed_at": now,
    }  # fmt: skip
    return Schedule(**columns | changes)


async def _save(engine: AsyncEngine, bulletin: Bulletin, now: datetime) -> float:
    tomorrow = now.astimezone(LOCAL) + timedelta(days=1)
    wanted = {
        "starts_at": tomorrow.replace(hour=16, minute=50, second=0, microsecond=0),
        "late_limit_seconds": 300, "targets": [{"area": "51"}],
    }  # fmt: skip
    began = time.perf_counter()
    async with db.transaction(engine) as session:
        await edits.create(session, bulletin.id, wanted, CALLER, RULES, now)
        took = time.perf_counter() - began
        await session.rollback()
    return took * 1000
