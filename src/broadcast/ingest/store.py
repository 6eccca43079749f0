"""Commit batches: one transaction for each, also where the database refuses or is away.

A message that the database refuses is found by halving the batch and becomes a dead letter by
itself. While the database is away nothing is dropped: the batch is tried again, and the broker
keeps the rest.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.commands import answers
from broadcast.config import Settings
from broadcast.enrolment import renewal
from broadcast.ingest.echo import Echo, Probe
from broadcast.ingest.enrolment_cache import EnrolmentCache
from broadcast.ingest.sharding import ShardAssignment
from broadcast.ingest.throttle import Flood, Throttle
from broadcast.kit import clock, db
from broadcast.plays import reports, self_tests
from broadcast.plays.settling import settle_plays
from broadcast.telemetry import dead_letters, faults, heartbeat_rows, heartbeats, readiness, sweep
from broadcast.telemetry.arrival import Arrival, BrokerMessage
from broadcast.telemetry.dead_letters import Budget, DeadLetter, RejectReason
from broadcast.telemetry.fast_path import FastPath
from broadcast.telemetry.online_minutes import happened_at, is_plausible
from broadcast.wire.events import Fault, Heartbeat
from broadcast.wire.topics import DEVICE_EVENT

log = structlog.get_logger()

MESSAGES = Counter("broadcast_ingest_messages", "Messages taken and committed", ["kind"])
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

ByKind = Mapping[str, Sequence[Arrival[Any]]]


@dataclass(slots=True)
class Batch:
    """Messages taken together, decoded, in the order in which they came."""

    items: list[Arrival[Any] | DeadLetter]
    received_at: datetime
    probe: Probe | None = None
    """The newest echo in it: with this batch everything is stored that was sent before it."""
    echoes: list[BrokerMessage] = field(default_factory=list)
    """To be acknowledged when all of it is committed."""

    def halves(self) -> tuple[Batch, Batch]:
        """Both halves, neither of which proves that all of it is stored."""
        middle = len(self.items) // 2
        first, second = self.items[:middle], self.items[middle:]
        return Batch(first, self.received_at), Batch(second, self.received_at)


class Committed(NamedTuple):
    """A batch, or a part of it, that one transaction has stored."""

    items: Sequence[Arrival[Any] | DeadLetter]
    by_kind: ByKind
    """Those of enrolled devices."""
    confirmed: Sequence[reports.Confirmed] = ()
    """Journals to be confirmed to their devices."""


class Store:
    """Commits the batches of one worker.

    Attributes:
        trouble: Reason why nothing can be stored, and what to do; empty: it can.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        assignment: ShardAssignment,
        enrolled: EnrolmentCache,
        echo: Echo,
        throttle: Throttle,
    ) -> None:
        self.trouble = ""
        self._engine = engine
        self._prefix = settings.mqtt.prefix
        self._settle_after = settings.rules.settle_after
        self._thresholds = heartbeats.presence_thresholds(settings.rules)
        self._assignment = assignment
        self._enrolled = enrolled
        self._echo = echo
        self._throttle = throttle
        self._floods: list[Flood] = []
        """Not yet stored."""
        self._fast_path = FastPath()
        self._budget = Budget(enrolled)
        self._day: date | None = None
        """Local day whose partitions are there."""

    async def keep(self, batch: Batch) -> AsyncGenerator[Committed, None]:
        """Commit a batch whatever happens.

        1. All of it in one transaction, again and again while the database is away.
        2. Where the database refuses it, each half by itself.
        3. Where it refuses a single message twice, that becomes a dead letter.

        Yields:
            Each part as soon as it is committed.
        """
        if not batch.items and batch.probe is None:
            return
        try:
            committed = await self._retry(batch)
        except Exception as error:
            if not batch.items:
                # The next echo proves the same, and more.
                log.exception("ingest.echo.unstored")
                return
            if len(batch.items) > 1:
                log.warning("ingest.batch.split", messages=len(batch.items), error=db.brief(error))
                for half in batch.halves():
                    async for part in self.keep(half):
                        yield part
                return
            committed = await self._single(Batch(batch.items, batch.received_at))
        yield committed

    async def _single(self, batch: Batch) -> Committed:
        """Commit a single message that was refused, or its dead letter."""
        (item,) = batch.items
        try:
            return await self._retry(batch)
        except Exception as error:
            bug = not isinstance(error, DBAPIError)
            letter = _rejected(item, RejectReason.UNSTORABLE, db.brief(error))
            log.error(  # noqa: TRY400 — where the database refuses, its message is enough
                "ingest.message.refused",
                topic=letter.topic,
                error=letter.reason,
                exc_info=error if bug else None,
            )
        batch.items = [letter]
        try:
            return await self._retry(batch)
        except Exception:
            # Not even its dead letter can be stored. Unacknowledged it would come again and again.
            LOST.inc()
            log.exception("ingest.message.lost", topic=letter.topic)
            return Committed(batch.items, {})

    async def _retry(self, batch: Batch) -> Committed:
        """Commit a batch, waiting for the database as long as it takes.

        Raises:
            Exception: What the database, or our own code, refuses about the messages.
        """
        wait = FIRST_RETRY
        while True:
            try:
                committed = await self._commit(batch)
            except Exception as error:
                slow = len(batch.items) > 1 and db.sqlstate(error) == db.QUERY_CANCELED
                if slow or not db.is_outage(error):
                    raise
                if db.is_partition_missing(error):
                    self._day = None
                log.warning(
                    "ingest.database.away", error=db.brief(error), messages=len(batch.items)
                )
                self.trouble = db.explain(error)
            else:
                self.trouble = ""
                return committed
            RETRIES.inc()
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 — jitter, no secret
            wait = min(2 * wait, LONGEST_RETRY)

    # --- one transaction ------------------------------------------------------------------------

    async def _commit(self, batch: Batch) -> Committed:
        """Store a batch in one transaction."""
        began = time.monotonic()
        received_at, probe = batch.received_at, batch.probe
        span = None if probe is None else self._echo.span_up_to(probe)
        spend = None
        await self._ensure_day(received_at)
        async with db.transaction(self._engine) as session:
            codes = {item.device_code for item in batch.items if item.device_code is not None}
            await self._enrolled.load(session, codes)
            by_kind, letters = self._sort(batch.items)
            # In the order of their ids, so that two workers do not deadlock.
            beats = sorted(by_kind.get("heartbeat", ()), key=attrgetter("device_id"))
            columns = heartbeat_rows.columns(beats)
            async with self._raw_beside(columns if beats else None, received_at):
                await heartbeats.record(
                    session,
                    by_kind.get("boot", ()),
                    beats,
                    by_kind.get("gone", ()),
                    received_at,
                    live=self._echo.is_live(received_at),
                    thresholds=self._thresholds,
                    fast_path=self._fast_path,
                    columns=columns,
                )
                outcome = await self._record_others(session, by_kind, received_at)
                letters += [self._conflict(conflict) for conflict in outcome.conflicts]
                if letters:
                    spend = await dead_letters.keep(session, letters, received_at, self._budget)
                if span is not None:
                    worker, workers = self._assignment.worker, self._assignment.workers
                    await sweep.keep_listening(session, span, worker, workers)
        if spend is not None:
            spend()
        if span is not None and probe is not None:
            self._echo.committed(span, probe)
        for flood in self._floods:
            log.warning("ingest.device.flooding", **flood._asdict())
        self._floods.clear()
        _measure(by_kind, letters, began)
        return Committed(batch.items, by_kind, outcome.confirmed)

    def _sort(
        self, items: Sequence[Arrival[Any] | DeadLetter]
    ) -> tuple[dict[str, list[Arrival[Any]]], list[DeadLetter]]:
        """Messages of enrolled devices by kind, each with its device's key; and dead letters."""
        by_kind: defaultdict[str, list[Arrival[Any]]] = defaultdict(list)
        letters = []
        for item in items:
            if isinstance(item, DeadLetter):
                letters.append(item)
            elif (device_id := self._enrolled.get(item.device_code)) is None:
                reason = "device is not enrolled, or has been retired"
                letters.append(_rejected(item, RejectReason.UNKNOWN_DEVICE, reason))
            else:
                item.device_id = device_id
                by_kind[item.kind].append(item)
        return by_kind, letters

    @asynccontextmanager
    async def _raw_beside(
        self, columns: Mapping[str, str] | None, received_at: datetime
    ) -> AsyncIterator[None]:
        """Store the raw heartbeats over another connection, while the rest of the batch is.

        They are committed when the block ends, before the rest is. Until then a failure of either
        fails the batch, and what is stored of it once more changes nothing.
        """
        if columns is None:
            yield
            return
        raw = asyncio.create_task(self._keep_raw(columns, received_at))
        try:
            yield
            await raw
        finally:
            raw.cancel()
            await asyncio.wait([raw])

    async def _keep_raw(self, columns: Mapping[str, str], received_at: datetime) -> None:
        async with db.transaction(self._engine) as session:
            await heartbeat_rows.keep_raw(session, columns, received_at)

    async def _record_others(
        self, session: AsyncSession, by_kind: ByKind, received_at: datetime
    ) -> reports.Outcome:
        """Hand each kind but boots, heartbeats and wills to the feature that keeps it."""
        changes = [_fault_report(each, received_at) for each in by_kind.get("fault", ())]
        self._floods += self._throttle.changes(time.monotonic())
        changes += [
            _flood_report(device_id, flood, received_at)
            for flood in self._floods
            if (device_id := self._enrolled.get(flood.device_code)) is not None
        ]
        if changes:
            await faults.keep(session, changes)
        if states := by_kind.get("readiness"):
            await readiness.record(session, states, received_at)
        if refusals := by_kind.get("refusal"):
            await answers.record_refusals(session, refusals, received_at)
        if results := by_kind.get("command_result"):
            await answers.record_results(session, results, received_at)
            if tested := await self_tests.touched(session, results):
                await settle_plays(session, tested, received_at, self._settle_after, "self_test")
        if requests := by_kind.get("certificate_request"):
            await renewal.record(session, requests, received_at)
        if journals := by_kind.get("playback"):
            return await reports.record(session, journals, received_at, self._settle_after)
        return reports.Outcome([], [])

    async def _ensure_day(self, received_at: datetime) -> None:
        day = received_at.astimezone(clock.LOCAL).date()
        if day != self._day:
            async with db.transaction(self._engine) as session:
                await db.ensure_day(session, day)
                if self._day is None:
                    # The process that counted is gone; a device that still floods is named again.
                    await faults.end(session, FLOODING, received_at)
                    self._throttle.report_again()
            self._day = day

    def _conflict(self, conflict: reports.Conflict) -> DeadLetter:
        topic = DEVICE_EVENT.build(device_id=conflict.device_code, kind="playback")
        return DeadLetter(
            RejectReason.JOURNAL_CONFLICT,
            f"{self._prefix}/{topic}",
            conflict.device_code,
            conflict.body,
            f"record {conflict.seq} of journal {conflict.journal_id} is stored differently",
        )


def _rejected(
    item: Arrival[Any] | DeadLetter, reject_reason: RejectReason, reason: str
) -> DeadLetter:
    source = item.source
    assert source is not None, "taken from the broker"
    return DeadLetter(
        reject_reason, source.topic, item.device_code, source.payload, reason, source=source
    )


def _fault_report(arrival: Arrival[Fault], received_at: datetime) -> faults.Report:
    fault = arrival.message
    at = happened_at(fault.sent_at, received_at, trusted=True)
    return faults.Report(arrival.device_id, fault.kind, fault.open, at, fault.detail)


def _flood_report(device_id: int, flood: Flood, at: datetime) -> faults.Report:
    detail = "gửi quá nhiều thông điệp; hãy kiểm tra phần mềm của thiết bị"
    return faults.Report(device_id, FLOODING, flood.began, at, detail)


def _measure(by_kind: ByKind, letters: Sequence[DeadLetter], began: float) -> None:
    for kind, arrivals in by_kind.items():
        MESSAGES.labels(kind).inc(len(arrivals))
    dead_letters.count(letters)
    COMMIT.observe(time.monotonic() - began)
    LAST_COMMIT.set_to_current_time()
    first: Arrival[Heartbeat] | None = next(iter(by_kind.get("heartbeat", ())), None)
    if first is not None and first.message.clock.trusted:
        now = clock.now()
        if is_plausible(first.message.sent_at, now):
            LAG.observe(max(0.0, (now - first.message.sent_at).total_seconds()))
