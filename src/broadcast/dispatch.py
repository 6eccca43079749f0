"""The whole outbound path: what changed → ledger and documents → broker. One leader does it.

Each turn, in this order, every step in a transaction of its own:

1. topology or a new local day: resolve all coming occurrences again, compile all configs again;
2. cancel what is no longer approved; materialise the horizon;
3. dirty occurrences → plays and dirty scopes;
4. dirty scopes → signed documents;
5. content, then documents, to the broker; what the broker lost is sent again;
6. settle plays that are over; flip devices that fell silent; make partitions; forget old keys.

A step that fails is tried again with the next turn and never stops the others. NOTIFY wakes the
leader, polling every second guarantees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from broadcast import clock, config, db
from broadcast.areas.model import Topology
from broadcast.areas.topology import CHANNEL
from broadcast.clock import LOCAL
from broadcast.devices.sweep import sweep
from broadcast.errors import BroadcastError
from broadcast.mqtt import Link
from broadcast.plays.closer import close_due
from broadcast.plays.ledger import plan
from broadcast.programmes import issue
from broadcast.programmes.keys import Keys
from broadcast.programmes.publish import Mirror, Outbox, mirrored
from broadcast.schedules import occurrences
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.web.rest import forget_idempotency_keys

log = structlog.get_logger()

LEADER = Gauge("broadcast_dispatch_leader", "1 while this process dispatches")
FAILURES = Counter(
    "broadcast_dispatch_failures", "Steps that failed and will be tried again", ["step"]
)
TURN = Gauge("broadcast_dispatch_last_turn_timestamp", "Unix time of the last finished turn")

LOCK = 0x74_74_6E_02
POLL_SECONDS = 1.0
OCCURRENCES_AT_ONCE = 50
"""Occurrences of one transaction; each may come to thousands of plays."""
MIRROR_SETTLED = timedelta(seconds=5)
"""How long after a connect the broker has told all it retains: a thousand documents take 0.1 s."""

AWAY = (DBAPIError, PoolTimeout, OSError, BroadcastError)
"""What a step may fail of without being a bug: database, broker or disk away, keys unusable."""


async def run(engine: AsyncEngine, settings: config.Settings, keys: Keys) -> None:
    """Dispatch whenever we are the leader, for ever."""
    async with Link(
        settings.mqtt,
        subscriptions=mirrored(settings.mqtt.prefix),
        client_id=f"{settings.mqtt.client_id}-dispatch",
    ) as link:
        while True:
            try:
                async with _leadership(engine) as (lock, wake):
                    await Dispatcher(engine, link, settings, keys).run(lock, wake)
            except AWAY as error:
                log.warning("dispatch.leadership.lost", error=str(error))
            finally:
                LEADER.set(0)
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def _leadership(engine: AsyncEngine) -> AsyncIterator[tuple[AsyncConnection, asyncio.Event]]:
    """Wait for the advisory lock; it lasts as long as its connection."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        locking = sa.text(f"SELECT pg_try_advisory_lock({LOCK})")
        while not await connection.scalar(locking):  # noqa: ASYNC110  another process holds it
            await asyncio.sleep(POLL_SECONDS)
        wake = asyncio.Event()
        raw: Any = (await connection.get_raw_connection()).driver_connection
        listener = lambda *_: wake.set()  # noqa: E731  asyncpg removes it by identity
        await raw.add_listener(CHANNEL, listener)
        LEADER.set(1)
        log.info("dispatch.leadership.taken")
        try:
            yield connection, wake
        finally:
            # Without an orderly end the pool would hand the lock on with the connection.
            await connection.invalidate()


class Step(NamedTuple):
    """Something a leader does again and again."""

    name: str
    every: timedelta
    work: Callable[[datetime], Awaitable[object]]


class Dispatcher:
    """The steps of a leader, and when each is due."""

    def __init__(
        self,
        engine: AsyncEngine,
        link: Link,
        settings: config.Settings,
        keys: Keys,
    ) -> None:
        self._engine = engine
        self._link = link
        self._settings = settings
        self._keys = keys
        self._mirror = Mirror(settings.mqtt.prefix)
        self._outbox = Outbox(engine, link, settings.mqtt.prefix, settings.content_dir)
        self._connection = -1
        """Connection that was last seen, since when, and whether it has been compared."""
        self._connected_at: datetime | None = None
        self._mended = False
        self._failing: set[str] = set()
        self._due: dict[str, datetime] = {}
        turn, often, minute, hour = (
            timedelta(0), timedelta(seconds=5), timedelta(minutes=1), timedelta(hours=1),
        )  # fmt: skip
        self.steps = [
            Step("partitions", hour, self._partitions),
            Step("topology", turn, self._topology),
            Step("unapproved", turn, self._unapproved),
            Step("horizon", minute, self._horizon),
            Step("roll", hour, self._roll),
            Step("occurrences", turn, self._occurrences),
            Step("documents", turn, self._documents),
            Step("mirror", turn, self._mend),
            Step("publish", turn, self._publish),
            Step("settle", often, self._settle),
            Step("presence", often, self._presence),
        ]

    async def run(self, lock: AsyncConnection, wake: asyncio.Event) -> None:
        """Take turns until the leadership is lost.

        Args:
            lock: Connection that holds it.
            wake: Set when there is work.
        """
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            try:
                while True:
                    await lock.execute(sa.text("SELECT 1"))
                    wake.clear()
                    await self.turn(clock.now())
                    try:
                        async with asyncio.timeout(POLL_SECONDS):
                            await wake.wait()
                    except TimeoutError:
                        pass
            finally:
                watching.cancel()

    async def turn(self, now: datetime) -> None:
        """Do every step that is due."""
        for name, every, work in self.steps:
            if now < self._due.get(name, now):
                continue
            self._due[name] = now + every
            try:
                await work(now)
            except AWAY as error:
                FAILURES.labels(name).inc()
                self._due[name] = now
                if name not in self._failing:
                    self._failing.add(name)
                    log.warning("dispatch.step.failed", step=name, error=str(error))
            else:
                if name in self._failing:
                    self._failing.discard(name)
                    log.info("dispatch.step.recovered", step=name)
        TURN.set(now.timestamp())

    def saw(self, topic: str, payload: bytes) -> None:
        """Note what the broker retains."""
        self._mirror.saw(self._link.connection, topic, payload)

    async def _watch(self) -> None:
        """Keep the mirror of what the broker retains."""
        while True:
            for message in await self._link.receive():
                self.saw(message.topic, message.payload)
                message.ack()

    def _transaction(self) -> Any:
        return db.transaction(self._engine)

    async def _partitions(self, now: datetime) -> None:
        async with self._transaction() as session:
            await db.ensure_partitions(session, now.date())
            await forget_idempotency_keys(session, now)

    async def _topology(self, now: datetime) -> None:
        today = now.astimezone(LOCAL).date()
        async with self._transaction() as session:
            row = await session.get(Topology, 1, with_for_update=True)
            if row is None or (row.applied_revision == row.revision and row.applied_on == today):
                return
            await self._materialise(session, now)
            await session.execute(
                sa.update(Occurrence)
                .where(Occurrence.ends_by > now, Occurrence.state == OccurrenceState.PLANNED)
                .values(dirty=True)
            )
            await issue.mark_configs_dirty(session, now)
            row.applied_revision, row.applied_on = row.revision, today
            log.info("dispatch.topology.applied", revision=row.revision, on=str(today))

    async def _unapproved(self, now: datetime) -> None:
        async with self._transaction() as session:
            await occurrences.cancel_unapproved(session, now)

    async def _horizon(self, now: datetime) -> None:
        async with self._transaction() as session:
            await self._materialise(session, now)

    async def _materialise(self, session: AsyncSession, now: datetime) -> None:
        await occurrences.materialise(session, now, self._settings.rules.horizon)

    async def _roll(self, now: datetime) -> None:
        async with self._transaction() as session:
            await issue.mark_rolling(session, now, self._settings.rules.programme_span)

    async def _occurrences(self, now: datetime) -> None:
        while True:
            async with self._transaction() as session:
                dirty = list(
                    await session.scalars(
                        sa.select(Occurrence)
                        .where(Occurrence.dirty)
                        .order_by(Occurrence.starts_at)
                        .limit(OCCURRENCES_AT_ONCE)
                        .with_for_update(skip_locked=True)
                    )
                )
                if not dirty:
                    return
                await plan(session, [row.id for row in dirty], now)
                scopes = {scope for row in dirty for scope in (*row.scopes, *row.carried_scopes)}
                await issue.mark_dirty(session, scopes, "programme", now)
                for row in dirty:
                    row.carried_scopes = row.scopes if row.state is OccurrenceState.PLANNED else []
                    row.dirty = False

    async def _documents(self, now: datetime) -> None:
        count = issue.AT_ONCE
        while count == issue.AT_ONCE:
            async with self._transaction() as session:
                count = await issue.issue_dirty(session, self._keys, self._settings, now)

    async def _mend(self, now: datetime) -> None:
        if self._connected_at is None or self._link.connection != self._connection:
            self._connection, self._connected_at = self._link.connection, now
            self._mended = False
        if self._mended or not self._link.connected or now < self._connected_at + MIRROR_SETTLED:
            return
        async with self._transaction() as session:
            documents, content = await self._mirror.mend(
                self._connection, session, self._keys, now
            )
        self._mended = True
        if documents or content:
            log.warning("dispatch.broker.mended", documents=documents, content=content)

    async def _publish(self, now: datetime) -> None:
        if not self._link.connected:
            return
        await self._outbox.publish_content(now)
        while await self._outbox.publish_documents(clock.now()):
            pass
        await self._outbox.remove_content(now)

    async def _settle(self, now: datetime) -> None:
        async with self._transaction() as session:
            await close_due(session, now, self._settings.rules.settle_after)

    async def _presence(self, now: datetime) -> None:
        async with self._transaction() as session:
            await sweep(session, now, self._settings.rules)
