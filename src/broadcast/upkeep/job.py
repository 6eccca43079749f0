"""The chores of the house, done by the process that leads, beside what it dispatches.

Each chore can be repeated and interrupted anywhere. One that fails is tried again with the next
round and never stops the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import clock, db, failures
from broadcast.kit.clock import LOCAL
from broadcast.plays.clashes import clashes
from broadcast.telemetry import health
from broadcast.upkeep import gauges, partitions, retention
from broadcast.upkeep.checks import Name
from broadcast.upkeep.report import Report, report

log = structlog.get_logger()

FAILURES = Counter(
    "broadcast_upkeep_failures", "Chores that failed and will be tried again", ["chore"]
)
LAST_ROUND = Gauge(
    "broadcast_upkeep_last_round_timestamp", "Unix time of the last round of chores"
)

ROUND_SECONDS = 30.0
"""Between two rounds: how soon what failed is tried again."""


class Chore(NamedTuple):
    """Something to be done again and again."""

    name: str
    every: timedelta
    work: Callable[[datetime], Awaitable[object]]


async def run(settings: config.Settings) -> None:
    """Keep the house, for ever; who leads ends it when the database does not answer."""
    house = House(db.create_patient_engine(settings.postgres, "broadcast.upkeep"), settings)
    try:
        while True:
            await house.round(clock.now())
            await asyncio.sleep(ROUND_SECONDS)
    finally:
        gauges.forget()


class House:
    """The chores, and when each is due."""

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._due: dict[str, datetime] = {}
        self._failing: set[str] = set()
        self._alarms: set[Name] = set()
        self._clashing: set[tuple[UUID, UUID]] = set()
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        self.chores = [
            Chore("partitions", minute, self._make_ahead),
            Chore("drop", hour, self._drop),
            Chore("look", minute, self._look),
            Chore("clashes", hour, self._clashes),
            Chore("health", 5 * minute, self._health),
            Chore("retention", 6 * hour, self._retain),
            Chore("pack", 6 * hour, self._pack),
        ]

    async def round(self, now: datetime) -> None:
        """Do every chore that is due."""
        for name, every, work in self.chores:
            if not clock.is_due(self._due.get(name), now, every):
                continue
            try:
                await work(now)
            except Exception as error:  # noqa: BLE001 — whatever it is, the others go on
                FAILURES.labels(name).inc()
                bug = not isinstance(error, db.AWAY)
                if name not in self._failing:
                    self._failing.add(name)
                    level = log.info if partitions.is_busy(error) else log.warning
                    level(
                        "upkeep.chore.failed",
                        chore=name,
                        error=db.brief(error),
                        exc_info=error if bug else None,
                    )
                if bug:
                    await self._record(name, error, now)
            else:
                self._due[name] = now + every
                if name in self._failing:
                    self._failing.discard(name)
                    log.info("upkeep.chore.recovered", chore=name)
                    with suppress(Exception):
                        async with db.transaction(self._engine) as session:
                            await failures.forget(session, _step(name), [""])
        LAST_ROUND.set(now.timestamp())

    async def _record(self, chore: str, error: Exception, now: datetime) -> None:
        with suppress(Exception):  # the database may be away by now
            async with db.transaction(self._engine) as session:
                await failures.record(session, _step(chore), "", error, now)

    async def _make_ahead(self, now: datetime) -> None:
        today = now.astimezone(LOCAL).date()
        await partitions.make_ahead(
            self._engine, today, self._settings.upkeep.partition_days_ahead
        )

    async def _drop(self, now: datetime) -> None:
        today = now.astimezone(LOCAL).date()
        await partitions.drop_expired(self._engine, self._settings.upkeep, today)

    async def _pack(self, now: datetime) -> None:
        today = now.astimezone(LOCAL).date()
        seen = await self._report(now)
        free = next((r.free_bytes for r in seen.rooms if r.place == "database"), None)
        spare = None if free is None else free - self._settings.upkeep.disk_free_bytes
        await partitions.pack_closed(self._engine, today, spare)

    async def _retain(self, now: datetime) -> None:
        await retention.delete_old(self._engine, self._settings.upkeep, now)

    async def _health(self, now: datetime) -> None:
        keep = timedelta(days=self._settings.upkeep.raw_days)
        await health.summarise(self._engine, now, keep)

    async def _clashes(self, now: datetime) -> None:
        async with db.transaction(self._engine) as session:
            found = await clashes(session, now, now + self._settings.rules.horizon)
        gauges.CLASHES.set(len(found))
        told = {(each.occurrence_id, each.other_occurrence_id): each for each in found}
        for pair in told.keys() - self._clashing:
            each = told[pair]
            log.warning(
                "upkeep.clash.found",
                at=each.starts_at.isoformat(),
                occurrence_ids=[str(id_) for id_ in pair],
                clusters=each.cluster_count,
            )
        self._clashing = set(told)

    async def _look(self, now: datetime) -> None:
        seen = await self._report(now)
        async with db.transaction(self._engine) as session:
            await gauges.measure(session, self._settings, now)
        gauges.show(seen)
        raised = {check.name: check for check in seen.alarms}
        for name in raised.keys() - self._alarms:
            log.error("upkeep.alarm.raised", check=name.value, detail=raised[name].detail)
        for name in self._alarms - raised.keys():
            log.info("upkeep.alarm.cleared", check=name.value)
        self._alarms = set(raised)

    async def _report(self, now: datetime) -> Report:
        async with db.transaction(self._engine) as session:
            return await report(session, self._settings, now)


def _step(chore: str) -> str:
    """What a chore is called in the records of failures."""
    return f"upkeep.{chore}"
