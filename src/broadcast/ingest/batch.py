"""The whole inbound path: broker → decode → batch → features → commit → acknowledge.

1. Take what has come, our share of it, for a moment (`intake`).
2. Decode it. What cannot be taken becomes a dead letter with its reason.
3. Hand it to the features, in one transaction.
4. Commit, then acknowledge to the broker, then confirm journals to the devices.

A message that the database refuses is found by halving the batch and becomes a dead letter by
itself. While the database is away nothing is acknowledged or dropped: the batch is tried again,
and the broker keeps the rest.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.commands import answers
from broadcast.config import Settings
from broadcast.delivery.replies import Orders
from broadcast.delivery.resend import Resender
from broadcast.ingest.decode import Event
from broadcast.ingest.echo import Probe
from broadcast.ingest.enrolment_cache import Roll
from broadcast.ingest.intake import MESSAGES, Broker, Inbound, Intake
from broadcast.ingest.sharding import Share
from broadcast.ingest.throttle import Flood
from broadcast.kit import clock, db
from broadcast.plays import reports, self_tests
from broadcast.plays.settling import settle_plays
from broadcast.programmes.keys import Keys
from broadcast.telemetry import dead_letters, faults, heartbeats, readiness, sweep
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.dead_letters import Budget, Letter, Why
from broadcast.telemetry.fast_path import Steady
from broadcast.telemetry.heartbeat_rows import Columns, keep_raw
from broadcast.telemetry.online_minutes import happened_at, is_plausible
from broadcast.wire.events import Fault, Heartbeat
from broadcast.wire.topics import DEVICE_EVENT

log = structlog.get_logger()

BATCH = Gauge("broadcast_ingest_batch_messages", "Messages of the batch in work")
COMMIT = Histogram("broadcast_ingest_commit_seconds", "From taking a batch to its commit")
LAG = Histogram(
    "broadcast_ingest_lag_seconds",
    "From a device's sending to the commit, first heartbeat of each batch",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
LAST_COMMIT = Gauge("broadcast_ingest_last_commit_timestamp", "Unix time of the last commit")
RETRIES = Counter("broadcast_ingest_retries", "Batches tried again: the database was away")

LOST = Counter("broadcast_ingest_lost", "Messages of which not even a dead letter could be stored")

FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
FLOODING = "flooding"
"""Fault that the server opens: the device sends more than any device may."""


@dataclass(slots=True)
class Condition:
    """How the inbound path is, for whoever reports it."""

    database: str = ""
    """Why nothing can be stored, and what to do; empty: it can."""
    echoed_over: int | None = None
    """Connection over which an echo last came back."""


async def take(
    engine: AsyncEngine,
    link: Broker,
    settings: Settings,
    keys: Keys,
    share: Share | None = None,
    condition: Condition | None = None,
) -> None:
    """Take what comes over a link, for ever.

    Args:
        engine: The database.
        link: To the broker.
        settings: Of this process.
        keys: To sign what devices are answered.
        share: Which devices are ours; all of them by default.
        condition: Kept up to date.
    """
    orders = Orders(link, settings.mqtt.prefix, keys.programme)
    work = _Ingest(
        engine, settings, orders, link, share or Share("alone"), condition or Condition()
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(orders.run())
        group.create_task(work.intake.echo.run())
        group.create_task(work.take())


@dataclass(slots=True)
class _Sorted:
    """A batch by what it is."""

    by_kind: dict[str, list[Any]]
    columns: Columns
    """Of the heartbeats."""
    letters: list[Letter]
    confirmed: list[reports.Confirmed]


class _Ingest:
    """State of the inbound path: what is remembered between two batches."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        orders: Orders,
        link: Broker,
        share: Share,
        condition: Condition,
    ) -> None:
        self._engine = engine
        self._link = link
        self._condition = condition
        self._settings = settings
        self._patience = heartbeats.patience(settings.rules)
        self._share = share
        self._roll = Roll()
        self.intake = Intake(
            link, settings.mqtt.prefix, share, orders, lambda code: code in self._roll
        )
        self._floods: list[Flood] = []
        """Not yet stored."""
        self._steady = Steady()
        self._budget = Budget(lambda code: code in self._roll)
        self._resender = Resender(engine, orders)
        self._orders = orders
        self._day: date | None = None

    async def take(self) -> None:
        """Take, store, acknowledge; for ever. The next batch is taken while one is stored."""
        coming = asyncio.create_task(self.intake.batch())
        try:
            while True:
                batch = await coming
                coming = asyncio.create_task(self.intake.batch())
                if batch.echoes:
                    self._condition.echoed_over = self._link.connection
                BATCH.set(len(batch.messages))
                await self._keep(batch.messages, batch.received_at, batch.probe)
                for echo in batch.echoes:
                    echo.ack()
        finally:
            coming.cancel()

    # --- storing --------------------------------------------------------------------------------

    async def _keep(
        self, batch: list[Inbound], received_at: datetime, probe: Probe | None
    ) -> None:
        """Store a batch whatever happens, and acknowledge it.

        1. All of it in one transaction, again and again while the database is away.
        2. Where the database refuses it, each half by itself.
        3. Where it refuses a single message twice, that becomes a dead letter.
        """
        if not batch and probe is None:
            return
        try:
            told = await self._patiently(batch, received_at, probe)
        except Exception as error:
            if len(batch) > 1:
                log.warning("ingest.batch.split", messages=len(batch), error=db.brief(error))
                middle = len(batch) // 2
                await self._keep(batch[:middle], received_at, None)
                await self._keep(batch[middle:], received_at, None)
                return
            if not batch:
                # The next echo says the same, and more.
                log.exception("ingest.echo.unstored")
                return
            told = await self._once_more(batch, received_at)
        for inbound in batch:
            inbound.taken.ack()
        self._answer(told)
        await self._reconcile(batch, received_at)

    async def _once_more(self, batch: list[Inbound], received_at: datetime) -> _Sorted:
        """Store a single message that was refused, or its dead letter."""
        (inbound,) = batch
        try:
            return await self._patiently(batch, received_at, None)
        except Exception as error:
            bug = not isinstance(error, DBAPIError)
            log.error(  # noqa: TRY400 — where the database says no, its words say enough
                "ingest.message.refused",
                topic=inbound.taken.topic,
                error=db.brief(error),
                exc_info=error if bug else None,
            )
            inbound.read = Letter(
                Why.UNSTORABLE,
                inbound.taken.topic,
                inbound.read.device_code,
                inbound.taken.payload,
                db.brief(error),
            )
        try:
            return await self._patiently(batch, received_at, None)
        except Exception:
            # Not even its dead letter can be stored. Unacknowledged it would come again for ever.
            LOST.inc()
            log.exception("ingest.message.lost", topic=inbound.taken.topic)
            return _Sorted({}, Columns.of(()), [], [])

    async def _patiently(
        self, batch: list[Inbound], received_at: datetime, probe: Probe | None
    ) -> _Sorted:
        """Commit a batch, waiting for the database as long as it takes.

        Raises:
            Exception: What the database, or our own code, refuses about the messages.
        """
        wait = FIRST_RETRY
        while True:
            try:
                told = await self._commit(batch, received_at, probe)
            except Exception as error:
                slow = len(batch) > 1 and db.sqlstate(error) == db.QUERY_CANCELED
                if slow or not db.is_outage(error):
                    raise
                if db.is_partition_missing(error):
                    self._day = None
                log.warning("ingest.database.away", error=db.brief(error), messages=len(batch))
                self._condition.database = db.explain(error)
            else:
                self._condition.database = ""
                return told
            RETRIES.inc()
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 — jitter, no secret
            wait = min(2 * wait, LONGEST_RETRY)

    async def _commit(
        self, batch: list[Inbound], received_at: datetime, probe: Probe | None
    ) -> _Sorted:
        """Store a batch in one transaction.

        Args:
            batch: Messages, in the order in which they came.
            received_at: When.
            probe: The newest echo in it; None where something that came before is left out.

        Returns:
            What it held, for those who are to be answered now that it is committed.
        """
        began = time.monotonic()
        buried: Callable[[], None] | None = None
        span = None if probe is None else self.intake.echo.heard(probe)
        await self._ensure_day(received_at)
        async with db.transaction(self._engine) as session:
            codes = {inbound.read.device_code for inbound in batch}
            await self._roll.look_up(session, {code for code in codes if code is not None})
            told = self._sort(batch)
            async with self._raw_beside(told, received_at):
                await self._record(session, told, received_at)
                if told.letters:
                    buried = await dead_letters.keep(
                        session, told.letters, received_at, self._budget
                    )
                if span is not None:
                    worker, workers = self._share.worker, self._share.workers
                    await sweep.keep_listening(session, span, worker, workers)
        if buried is not None:
            buried()
        if span is not None and probe is not None:
            self.intake.echo.stored(span, probe)
        for flood in self._floods:
            log.warning("ingest.device.flooding", **flood._asdict())
        self._floods.clear()
        self._measure(told, began)
        return told

    @asynccontextmanager
    async def _raw_beside(self, told: _Sorted, received_at: datetime) -> AsyncIterator[None]:
        """Store the raw heartbeats over another connection, while the rest of the batch is.

        They are committed when the block ends, before the rest is. Until then a failure of either
        fails the batch, and what is stored of it once more changes nothing.
        """
        if "heartbeat" not in told.by_kind:
            yield
            return
        raw = asyncio.create_task(self._keep_raw(told.columns, received_at))
        try:
            yield
            await raw
        finally:
            raw.cancel()
            await asyncio.wait([raw])

    async def _keep_raw(self, columns: Columns, received_at: datetime) -> None:
        async with db.transaction(self._engine) as session:
            await keep_raw(session, columns, received_at)

    def _sort(self, batch: Sequence[Inbound]) -> _Sorted:
        by_kind: defaultdict[str, list[Any]] = defaultdict(list)
        letters = []
        for inbound in batch:
            found = inbound.read
            if isinstance(found, Letter):
                letters.append(found)
                continue
            device_id = self._roll.get(found.device_code)
            if device_id is None:
                letters.append(
                    Letter(
                        Why.UNKNOWN_DEVICE,
                        inbound.taken.topic,
                        found.device_code,
                        inbound.taken.payload,
                        "device is not enrolled, or has been retired",
                    )
                )
            else:
                by_kind[found.kind].append(
                    Arrival(device_id, found.device_code, found.message, found.body)
                )
        if beats := by_kind.get("heartbeat"):
            # In the order of their ids, so that two workers do not wait for each other crosswise.
            beats.sort(key=itemgetter(0))
        return _Sorted(by_kind, Columns.of(beats or ()), letters, [])

    async def _record(self, session: AsyncSession, told: _Sorted, received_at: datetime) -> None:
        """Hand each kind to the feature that keeps it."""
        of = told.by_kind
        await heartbeats.record(
            session,
            of.get("boot", ()),
            of.get("heartbeat", ()),
            of.get("gone", ()),
            received_at,
            live=self.intake.echo.is_live(received_at),
            patience=self._patience,
            steady=self._steady,
            columns=told.columns,
        )
        troubles = [_fault_report(arrival, received_at) for arrival in of.get("fault", ())]
        self._floods += self.intake.floods()
        troubles += [
            _flood_report(device_id, flood, received_at)
            for flood in self._floods
            if (device_id := self._roll.get(flood.device_code)) is not None
        ]
        if troubles:
            await faults.keep(session, troubles)
        if "readiness" in of:
            await readiness.record(session, of["readiness"], received_at)
        if "refusal" in of:
            await answers.record_refusals(session, of["refusal"], received_at)
        if "command_result" in of:
            await answers.record_results(session, of["command_result"], received_at)
            tested = await self_tests.touched(session, of["command_result"])
            if tested:
                wait = self._settings.rules.settle_after
                await settle_plays(session, tested, received_at, wait, "self_test")
        if "playback" in of:
            wait = self._settings.rules.settle_after
            outcome = await reports.record(session, of["playback"], received_at, wait)
            told.letters.extend(self._conflict(conflict) for conflict in outcome.conflicts)
            told.confirmed.extend(outcome.confirmed)

    async def _ensure_day(self, received_at: datetime) -> None:
        day = received_at.astimezone(clock.LOCAL).date()
        if day != self._day:
            async with db.transaction(self._engine) as session:
                await db.ensure_day(session, day)
                if self._day is None:
                    # Whoever counted is gone; a device that goes on flooding is named again.
                    await faults.end(session, FLOODING, received_at)
            self._day = day

    def _measure(self, told: _Sorted, began: float) -> None:
        for kind, arrivals in told.by_kind.items():
            MESSAGES.labels(kind).inc(len(arrivals))
        dead_letters.count(told.letters)
        COMMIT.observe(time.monotonic() - began)
        LAST_COMMIT.set_to_current_time()
        first: Arrival[Heartbeat] | None = next(iter(told.by_kind.get("heartbeat", ())), None)
        if first is not None and first.message.clock.trusted:
            now = clock.now()
            if is_plausible(first.message.sent_at, now):
                LAG.observe(max(0.0, (now - first.message.sent_at).total_seconds()))

    def _answer(self, told: _Sorted) -> None:
        for code, journal_id, upto_seq in told.confirmed:
            self._orders.confirm_journal(code, journal_id, upto_seq)
        for request in told.by_kind.get("time_request", ()):
            self._orders.reply_time(request.code, request.message.token)

    def _conflict(self, conflict: reports.Conflict) -> Letter:
        topic = DEVICE_EVENT.build(device_id=conflict.device_code, kind="playback")
        reason = f"record {conflict.seq} of journal {conflict.journal_id} is stored differently"
        return Letter(
            Why.JOURNAL_CONFLICT,
            f"{self._settings.mqtt.prefix}/{topic}",
            conflict.device_code,
            conflict.body,
            reason,
        )

    async def _reconcile(self, batch: Sequence[Inbound], now: datetime) -> None:
        """Hand documents again to devices that should hold newer ones."""
        heard = [
            (inbound.read.device_code, inbound.read.message.held)
            for inbound in batch
            if isinstance(inbound.read, Event) and isinstance(inbound.read.message, Heartbeat)
        ]
        if not heard:
            return
        try:
            await self._resender.look(heard, now)
        except Exception as error:
            # The batch is stored; the next heartbeats ask again.
            if not db.is_outage(error):
                log.exception("ingest.resend.failed")


def _fault_report(arrival: Arrival[Fault], received_at: datetime) -> faults.Report:
    fault = arrival.message
    at = happened_at(fault.sent_at, received_at, trusted=True)
    return faults.Report(arrival.device_id, fault.kind, fault.open, at, fault.detail)


def _flood_report(device_id: int, flood: Flood, at: datetime) -> faults.Report:
    detail = "gửi quá nhiều thông điệp; hãy kiểm tra phần mềm của thiết bị"
    return faults.Report(device_id, FLOODING, flood.began, at, detail)
