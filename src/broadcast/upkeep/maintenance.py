"""Maintenance: jobs of the process that leads, beside what it dispatches.

Each job can be repeated and interrupted anywhere. One that fails is tried again and never stops
the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.kit.periodic import Guarded, Job, Kind
from broadcast.plays.clashes import clashes
from broadcast.portals.checking import PortalReader
from broadcast.streams.watch import watch
from broadcast.telemetry import health
from broadcast.upkeep import gauges, partitions, retention
from broadcast.upkeep.checks import Name
from broadcast.upkeep.report import Report, report

log = structlog.get_logger()

FAILURES = Counter(
    "broadcast_upkeep_failures", "Maintenance jobs that failed and will be tried again", ["job"]
)
LAST_RUN = Gauge("broadcast_upkeep_last_run_timestamp", "Unix time of the last maintenance job")

KIND = Kind(
    "upkeep.job.failed", "upkeep.job.recovered", "job", "upkeep.", FAILURES, partitions.is_busy
)

LOOK_EVERY = timedelta(seconds=20)
"""How often each job is asked whether it is due, and how soon it is tried again."""


@contextmanager
def maintenance(settings: config.Settings) -> Iterator[list[Job]]:
    """Jobs for the process that leads; at the end it shows no gauges any more."""
    engine = db.create_patient_engine(settings.postgres, "broadcast.upkeep")
    try:
        yield MaintenanceRunner(engine, settings).periodic()
    finally:
        gauges.forget()


class MaintenanceRunner:
    """The maintenance jobs, and what they said last."""

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._alarms: set[Name] = set()
        self._clashing: set[tuple[UUID, UUID]] = set()
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        self.jobs = [
            self._job("partitions", minute, self._make_ahead),
            self._job("drop", hour, self._drop),
            self._job("look", minute, self._look),
            self._job("clashes", hour, self._clashes),
            self._job("health", 5 * minute, self._health),
            self._job("retention", 6 * hour, self._retain),
            self._job("pack", 6 * hour, self._pack),
        ]
        portals = PortalReader(engine, settings.portals)
        self._patient = [
            self._job("streams", minute, self._watch),
            self._job("portals", minute, portals.run),
        ]

    def _job(
        self, name: str, every: timedelta, work: Callable[[datetime], Awaitable[object]]
    ) -> Guarded:
        async def timed(now: datetime) -> None:
            try:
                await work(now)
            finally:
                LAST_RUN.set(now.timestamp())

        return Guarded(self._engine, KIND, name, every, timed)

    def periodic(self) -> list[Job]:
        """Return the jobs as the scheduler runs them: one at a time, in their order.

        They need the same locks, and each measures what those before it have done. Those that
        wait for strangers hold nobody up.
        """
        alone = asyncio.Lock()

        def job(work: Guarded) -> Job:
            async def run(now: datetime) -> None:
                async with alone:
                    await work.run(now)

            return Job(KIND.prefix + work.name, LOOK_EVERY, run)

        patient = [Job(KIND.prefix + each.name, LOOK_EVERY, each.run) for each in self._patient]
        return [*(job(each) for each in self.jobs), *patient]

    async def _watch(self, now: datetime) -> None:
        await watch(self._engine, self._settings.streams, now)

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
