"""Jobs that are run again and again, by one scheduler in memory (docs/decisions/0006).

The scheduler decides when to look; what there is to do a job asks the database, so that a job that
is run twice, late or not at all costs time and nothing else. APScheduler's settings are not its
defaults: one late run instead of several, and none that is dropped for being late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, NoReturn

import structlog
from apscheduler import events
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.kit import clock, db, failures

log = structlog.get_logger()

IRREGULAR = Counter(
    "broadcast_jobs_irregular",
    "Runs of a periodic job that were missed, failed as a whole, or skipped because the job ran",
    ["job", "kind"],
)
_KINDS = {
    events.EVENT_JOB_MISSED: "missed",
    events.EVENT_JOB_ERROR: "error",
    events.EVENT_JOB_MAX_INSTANCES: "skipped",
}

SETTINGS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}

CLOCK_SECONDS = 1.0
"""How often the runs that are planned are compared with the clock of the machine."""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(minutes=1)
"""After a job failed other than by an outage, and at most; doubling in between."""


class Job(NamedTuple):
    """Work that is done again and again.

    Attributes:
        name: Its id.
        every: Time between two runs.
        run: Given the present; returns true when more is waiting: it is run again at once.
    """

    name: str
    every: timedelta
    run: Callable[[datetime], Awaitable[object]]


class Every(BaseTrigger):  # type: ignore[misc]
    """Runs at an interval, once where several are late.

    APScheduler's own interval lists every late run before it takes one of them: a clock that is
    set forward by a year would hold the process up for as long as that takes.
    """

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """The run after the previous one, or one interval from now where that is past."""
        planned = now if previous is None else previous + self._interval
        return planned if planned > now else now + self._interval


class Runner:
    """Runs jobs, each by itself, until it is cancelled."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=SETTINGS)
        self._scheduler.add_listener(self._started, events.EVENT_JOB_SUBMITTED)
        self._scheduler.add_listener(
            self._ended, events.EVENT_JOB_EXECUTED | events.EVENT_JOB_ERROR
        )
        self._scheduler.add_listener(self._irregular, sum(_KINDS))
        self._running: set[str] = set()
        self._asked: set[str] = set()
        """Jobs to be run again as soon as they are idle."""
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False

    async def run(self) -> NoReturn:
        """Run every job now and then whenever it is due; when cancelled, end those that run."""
        now = clock.now()
        for position, job in enumerate(self._jobs.values()):
            self._scheduler.add_job(
                partial(self._run, job),
                Every(job.every),
                id=job.name,
                # First in their order; runs due at one moment go by their ids.
                next_run_time=now + timedelta(microseconds=position),
                replace_existing=True,
            )
        self._scheduler.start()
        try:
            while True:
                await asyncio.sleep(CLOCK_SECONDS)
                self.heed_clock(clock.now())
        finally:
            self._stopping = True
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            self._scheduler.shutdown(wait=False)

    def wake(self, name: str) -> None:
        """Have a job run at once, or once more when it is running: no call is lost."""
        self._asked.add(name)
        if name not in self._running and self._scheduler.running:
            self._scheduler.modify_job(name, next_run_time=clock.now())

    def heed_clock(self, now: datetime) -> None:
        """Run at once what a clock that was set back has moved into the distance."""
        for planned in self._scheduler.get_jobs():
            job = self._jobs[planned.id]
            if planned.next_run_time > now + job.every + timedelta(seconds=CLOCK_SECONDS):
                planned.modify(next_run_time=now)

    async def _run(self, job: Job) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            return
        self._tasks.add(task)
        self._asked.discard(job.name)
        try:
            if await job.run(clock.now()):
                self._asked.add(job.name)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            # Ended by us: APScheduler would log it as an error.
        finally:
            self._tasks.discard(task)

    def _started(self, event: events.JobSubmissionEvent) -> None:
        self._running.add(event.job_id)

    def _ended(self, event: events.JobExecutionEvent) -> None:
        self._running.discard(event.job_id)
        if event.job_id in self._asked and not self._stopping:
            self.wake(event.job_id)

    def _irregular(self, event: events.JobEvent) -> None:
        IRREGULAR.labels(event.job_id, _KINDS[event.code]).inc()


class Kind(NamedTuple):
    """Names under which the failures of similar work are found.

    Attributes:
        failed_event: Event in the log when it fails after it has succeeded.
        recovered_event: Event in the log when it succeeds after it has failed.
        key: Name of the work in a line of the log, and label of the metric.
        prefix: Begins the name in `failures`.
        failed: Metric.
        is_expected: An error that the next run is expected to be without: no warning.
    """

    failed_event: str
    recovered_event: str
    key: str
    prefix: str
    failed: Counter
    is_expected: Callable[[Exception], bool] = lambda _: False


class Guarded:
    """Work that is due every so often, and whose failure is recorded and stops no other.

    It is tried again at the next call while database, broker or disk are away, otherwise after a
    time that doubles.

    Attributes:
        name: For logs and metrics.
        work: Given the present; returns true when more is waiting.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        kind: Kind,
        name: str,
        every: timedelta,
        work: Callable[[datetime], Awaitable[object]],
    ) -> None:
        self.name = name
        self.work = work
        self._engine = engine
        self._kind = kind
        self._every = every
        self._due_at: datetime | None = None
        self._wait = every
        self._failures = 0
        """In a row."""

    async def run(self, now: datetime) -> bool:
        """Do the work if it is due; returns whether more is waiting."""
        if not clock.is_due(self._due_at, now, self._wait):
            return False
        try:
            more = bool(await self.work(now))
        except Exception as error:  # noqa: BLE001 — whatever it is, the others go on
            await self._failed(error, now)
            return False
        self._due_at, self._wait = now + self._every, self._every
        if self._failures:
            self._failures = 0
            log.info(self._kind.recovered_event, **{self._kind.key: self.name})
            with suppress(Exception):
                async with db.transaction(self._engine) as session:
                    await failures.forget(session, self._kind.prefix + self.name, [""])
        return more

    async def _failed(self, error: Exception, now: datetime) -> None:
        self._kind.failed.labels(self.name).inc()
        self._failures += 1
        away = failures.is_away(error)
        if not away:
            backoff = min(FIRST_RETRY * 2 ** min(self._failures - 1, 10), LONGEST_RETRY)
            self._due_at, self._wait = now + backoff, max(backoff, self._every)
        if self._failures == 1:
            level = log.info if self._kind.is_expected(error) else log.warning
            level(
                self._kind.failed_event,
                error=db.brief(error),
                exc_info=None if away else error,
                **{self._kind.key: self.name},
            )
        if not away:
            with suppress(Exception):  # the database may be away by now
                async with db.transaction(self._engine) as session:
                    await failures.record(session, self._kind.prefix + self.name, "", error, now)
