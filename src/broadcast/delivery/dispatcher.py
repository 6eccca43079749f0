"""The whole outbound path: what changed → ledger and documents → broker. One leader does it.

A change that people wait for, of a few occurrences whose audio the broker has, goes the short way:
plays, dirty scopes and signed documents in one transaction, and at once to the broker. Whatever
does not go that way, because it is more, or fails, is done by the steps, and so is the rest.

Each turn, in this order, every step in transactions of its own:

1. what is no longer approved is withdrawn; a change of topology, a new local day or an hour
   brings the occurrences of the horizon up to date;
2. dirty occurrences → plays and dirty scopes, in one transaction;
3. dirty scopes → signed documents; the audio that they need is listed;
4. commands that people gave, then content, then the documents that need it, to the broker; what
   the broker lost goes again;
5. plays that are over are settled, devices that fell silent flipped and what fell together made
   one incident;
6. what the indicators keep of past days is brought up to date.

Beside the turns it keeps the house (`upkeep`), and the broker free
of what devices left (`retained`).

A step that fails is tried again and never stops the others, whatever it fails of; a row that
cannot be worked on is set aside and said (`failures`), and the others of its step go on. NOTIFY
wakes the leader, polling every second guarantees it. Whatever is done twice, by this leader or by
two, ends in the same rows and the same documents.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.areas.model import Topology
from broadcast.delivery import content
from broadcast.delivery.changes import Changes
from broadcast.delivery.commands import publish_commands
from broadcast.delivery.fast_path import FastPath
from broadcast.delivery.leadership import leadership
from broadcast.delivery.mirror import Broker, Mirror, mirrored
from broadcast.delivery.outbox import STATE, Outbox
from broadcast.delivery.retained import Retained, followed
from broadcast.incidents.watch import Watch
from broadcast.indicators import rollup
from broadcast.indicators.definitions import OperatingRule, operating_rule
from broadcast.kit import clock, db, failures, roles
from broadcast.kit.clock import LOCAL
from broadcast.kit.tasks import until_one_ends
from broadcast.mqtt.link import Link
from broadcast.plays import closer, corrections
from broadcast.plays.settling import settle_plays
from broadcast.plays.silence import Key
from broadcast.programmes import issue
from broadcast.programmes.compile import held_until
from broadcast.programmes.keys import Keys
from broadcast.schedules import cancellation, occurrences
from broadcast.telemetry.sweep import sweep
from broadcast.upkeep import job as upkeep
from broadcast.web.idempotency import forget_idempotency_keys

log = structlog.get_logger()

FAILURES = Counter(
    "broadcast_dispatch_failures", "Steps that failed and will be tried again", ["step"]
)
TURN = Gauge("broadcast_dispatch_last_turn_timestamp", "Unix time of the last finished turn")

ROLE = "dispatch"
"""Name under which the leader reports how it is."""

POLL_SECONDS = 1.0
SCHEDULES_AT_ONCE = 100
"""Schedules of one transaction: a third of a second in a province of 10,000 clusters."""
MARKS_AT_ONCE = 20
"""Corrections of one transaction; each may come to a thousand plays."""
OCCURRENCES_AT_ONCE = 50
"""Occurrences of one transaction; each may come to thousands of plays."""

STANDSTILL = timedelta(days=31)
"""Up to when a new leader makes the occurrences that were due while nobody dispatched."""

STEP_SECONDS = 2.0
"""Longest that one step works through a backlog: a withdrawal must not wait behind the plays of a
week that a new leader plans."""

QUIET = timedelta(seconds=2)
"""When nothing came for so long the broker has told all that it retains: thousands a second."""

MEND_EVERY = timedelta(seconds=5)
"""At most so often the broker is compared while somebody else publishes where only we do."""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(minutes=1)
"""After a step failed of something else than an absence, and at most; doubling in between."""


async def run(engine: AsyncEngine, settings: config.Settings, keys: Keys) -> None:
    """Dispatch whenever we are the leader, for ever.

    Only a leader connects to the broker: two with one client id would throw each other out.
    """
    while True:
        try:
            async with (
                leadership(engine) as lead,
                Link(
                    settings.mqtt,
                    subscriptions=mirrored(settings.mqtt.prefix),
                    unsubscribe=followed(settings.mqtt.prefix),
                    client_id=settings.mqtt.session("dispatch"),
                ) as link,
            ):
                retained = Retained(link, settings.mqtt.prefix)
                dispatcher = Dispatcher(engine, link, settings, keys, retained)
                await until_one_ends(
                    lead.hold(),
                    roles.report(engine, ROLE, lambda: link.trouble),
                    dispatcher.watch(),
                    retained.run(engine),
                    dispatcher.run(lead.wake),
                    upkeep.run(settings),
                )
        except Exception as error:
            # Never the end of the process: whatever it is, the next leader may do better.
            known = isinstance(error, db.AWAY) or failures.is_away(error)
            log.warning(
                "dispatch.leadership.lost",
                error=db.brief(error),
                exc_info=None if known else error,
            )
        await asyncio.sleep(POLL_SECONDS)


class Step(NamedTuple):
    """Something a leader does again and again.

    Attributes:
        name: For logs and metrics.
        every: How often.
        work: What; true when more is waiting.
    """

    name: str
    every: timedelta
    work: Callable[[datetime], Awaitable[bool | None]]


class _Pass(NamedTuple):
    """Going through all schedules: for a topology and a local day, and what is left to do."""

    revision: int
    on: date
    changed: bool
    left: list[UUID]


class _Budget:
    """Time that a step may take before the others have their turn."""

    def __init__(self) -> None:
        self._until = time.monotonic() + STEP_SECONDS

    def spent(self) -> bool:
        """Tell whether it is over."""
        return time.monotonic() >= self._until


class Dispatcher:
    """The steps of a leader, and when each is due."""

    def __init__(
        self,
        engine: AsyncEngine,
        link: Broker,
        settings: config.Settings,
        keys: Keys,
        retained: Retained | None = None,
    ) -> None:
        self._engine = engine
        self._link = link
        self._settings = settings
        self._rules = settings.rules
        self._keys = keys
        self._outbox = Outbox(engine, link, settings.mqtt.prefix, settings.content_dir)
        self._changes = Changes()
        self._fast_path = FastPath(engine, self._outbox, self._changes, keys, settings)
        self._mirror = Mirror(settings.mqtt.prefix)
        self._retained = retained
        self._watch = Watch(self._rules)
        self._told = -1, 0
        """Connection and number of messages at which the mirror last grew, and when that was."""
        self._told_at: datetime | None = None
        self._mended: int | None = None
        """Connection over which the mirror has been compared."""
        self._mend_due: datetime | None = None
        self._overwritten = False
        """Somebody else has published under the topic of a document since then."""
        self._set_aside: set[str] = set()
        """Steps of which anything was set aside when the turn began."""
        self._begun = False
        self._pass: _Pass | None = None
        self._horizon_due: datetime | None = None
        self._content_due: datetime | None = None
        self._announced_on: date | None = None
        """Newest day announced to be rolled up."""
        self._failing: dict[str, int] = {}
        """Steps that have failed, and how many times in a row."""
        self._patience: dict[str, timedelta] = {}
        """How long steps wait that failed of a bug."""
        self._due: dict[str, datetime] = {}
        turn, often, hour = timedelta(0), timedelta(seconds=5), issue.ROLL_EVERY
        self.steps = [
            Step("housekeeping", hour, self._keep_house),
            Step("unapproved", turn, self._unapproved),
            Step("horizon", turn, self._horizon),
            Step("roll", hour, self._roll),
            Step("occurrences", turn, self._occurrences),
            Step("documents", turn, self._documents),
            Step("mirror", turn, self._mend),
            Step("commands", turn, self._commands),
            Step("publish", turn, self._publish),
            Step("settle", often, self._settle),
            Step("corrections", often, self._corrections),
            Step("presence", often, self._presence),
            Step("incidents", often, self._incidents),
            Step("fold", turn, self._roll_up_days),
        ]

    async def run(self, wake: asyncio.Event) -> None:
        """Take turns, for ever.

        Args:
            wake: Set when there is work.
        """
        while True:
            wake.clear()
            if await self.turn(clock.now()):
                continue
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await wake.wait()
            except TimeoutError:
                pass

    async def turn(self, now: datetime) -> bool:
        """Do every step that is due; returns whether more is waiting."""
        more = False
        if (
            self._begun
            and self._link.connected
            and self._pass is None
            and await self._fast_path.take(now)
        ):
            # Before the next look at what nothing needs: these may need it for longer.
            self._content_due = now
        for name, every, work in self.steps:
            wait = max(every, self._patience.get(name, every))
            if not clock.is_due(self._due.get(name), now, wait):
                continue
            try:
                more = bool(await work(now)) or more
            except Exception as error:  # noqa: BLE001 — whatever it is, the others go on
                await self._failed(name, error, now)
            else:
                self._due[name] = now + every
                if name in self._failing:
                    del self._failing[name]
                    self._patience.pop(name, None)
                    log.info("dispatch.step.recovered", step=name)
                    await self._recovered(name)
        TURN.set(now.timestamp())
        return more

    async def _failed(self, step: str, error: Exception, now: datetime) -> None:
        """Have a step tried again: at once while something is away, else after a while."""
        FAILURES.labels(step).inc()
        times = self._failing[step] = self._failing.get(step, 0) + 1
        away = failures.is_away(error)
        if not away:
            wait = min(FIRST_RETRY * 2 ** min(times - 1, 10), LONGEST_RETRY)
            self._due[step], self._patience[step] = now + wait, wait
        if times == 1:
            log.warning(
                "dispatch.step.failed",
                step=step,
                error=db.brief(error),
                exc_info=None if away else error,
            )
        if not away:
            with suppress(Exception):  # the database may be away by now
                async with self._transaction() as session:
                    await failures.record(session, step, "", error, now)

    async def _recovered(self, step: str) -> None:
        with suppress(Exception):
            async with self._transaction() as session:
                await failures.forget(session, step, [""])

    async def watch(self) -> None:
        """Take what the broker sends, for ever: after every connect all that it retains."""
        while True:
            for message in await self._link.receive():
                if self._retained is not None and self._retained.takes(
                    message.topic, len(message.payload), stored=message.retain
                ):
                    continue
                self.heard(message.topic, message.payload, stored=message.retain)
                self._mirror.saw(
                    message.connection, message.topic, message.payload, stored=message.retain
                )

    def heard(self, topic: str, payload: bytes, *, stored: bool) -> None:
        """Notice that somebody else publishes where only we do; devices hear it, too."""
        if not stored and STATE in topic and not self._outbox.is_own(topic, payload):
            self._overwritten = True

    def _transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        return db.transaction(self._engine)

    async def _keep_house(self, now: datetime) -> None:
        # Partitions and retention are kept beside us (`upkeep`): what takes minutes must not hold
        # up an alert.
        async with self._transaction() as session:
            await forget_idempotency_keys(session, now)
            await failures.forget_gone(session, now)
            if not self._begun:
                await failures.forget_steps(session)
            await issue.forget_revisions(session, now)

    async def _unapproved(self, now: datetime) -> None:
        async with self._transaction() as session:
            self._set_aside = await failures.steps(session)
            await cancellation.cancel_unapproved(session, now)

    async def _horizon(self, now: datetime) -> bool:
        """Bring occurrences up to date with the rules, the units of the day and the topology."""
        if self._pass is None:
            self._pass = await self._begin_pass(now)
        if self._pass is None:
            await self._materialise(await self._due_again("horizon", now), now, now)
            return False
        since = None if self._horizon_due is not None else now - STANDSTILL
        budget = _Budget()
        while self._pass.left and not budget.spent():
            some = self._pass.left[:SCHEDULES_AT_ONCE]
            await self._materialise(some, now, since)
            del self._pass.left[:SCHEDULES_AT_ONCE]
        if self._pass.left:
            return True
        async with self._transaction() as session:
            await cancellation.cancel_withdrawn(session, now)
        if self._pass.changed:
            async with self._transaction() as session:
                await issue.mark_configs_dirty(session, now)
                await issue.mark_entering(session, now, self._until(now))
                await issue.mark_old(session, now)
                await _applied(session, self._pass.revision, self._pass.on)
            log.info(
                "dispatch.topology.applied", revision=self._pass.revision, on=str(self._pass.on)
            )
        self._pass, self._horizon_due = None, now + issue.ROLL_EVERY
        return False

    async def _materialise(
        self, schedule_ids: Sequence[UUID], now: datetime, since: datetime | None
    ) -> None:
        async def work(session: AsyncSession, some: Sequence[UUID]) -> None:
            await occurrences.materialise(session, now, self._rules.horizon, some, since=since)

        await failures.one_by_one(self._engine, "horizon", schedule_ids, str, work, now)

    async def _due_again(self, step: str, now: datetime) -> list[UUID]:
        if step not in self._set_aside:
            return []
        async with self._transaction() as session:
            return [UUID(name) for name in await failures.due(session, step, now)]

    def _until(self, now: datetime) -> datetime:
        return held_until(now, self._rules.programme_span, LOCAL)

    async def _begin_pass(self, now: datetime) -> _Pass | None:
        """What has to be gone through, None when nothing is due."""
        today = now.astimezone(LOCAL).date()
        async with self._transaction() as session:
            revision, applied, applied_on = await _topology(session)
            changed = (revision, today) != (applied, applied_on)
            if not changed and not clock.is_due(self._horizon_due, now, issue.ROLL_EVERY):
                return None
            left = await occurrences.active_ids(session)
        self._changes.forget()  # whoever corrects the tables by hand is heeded within the hour
        return _Pass(revision, today, changed, left)

    async def _roll(self, now: datetime) -> None:
        async with self._transaction() as session:
            if not self._begun:
                await issue.mark_all(session, now)
            await issue.mark_old(session, now)
        self._begun = True

    async def _occurrences(self, now: datetime) -> bool:
        again = await self._due_again(issue.ITEMS, now)
        budget = _Budget()
        while not budget.spent():
            async with self._transaction() as session:
                if again:
                    await occurrences.mark_dirty(session, again)
                    again = []
                but = await failures.waiting(session, "occurrences", now)
                dirty = await occurrences.dirty(session, OCCURRENCES_AT_ONCE, map(UUID, but))

            async def work(session: AsyncSession, some: Sequence[UUID]) -> None:
                await self._changes.hand_on(session, some, now)

            await failures.one_by_one(self._engine, "occurrences", dirty, str, work, now)
            if len(dirty) < OCCURRENCES_AT_ONCE:
                return False
        return True

    async def _documents(self, now: datetime) -> bool:
        budget = _Budget()
        issued, count = False, issue.AT_ONCE
        while count == issue.AT_ONCE and not budget.spent():
            async with self._transaction() as session:
                again = await failures.due(session, issue.OVERFULL, now)
                await issue.mark_dirty(session, again, "programme", now)
                but = await failures.waiting(session, "documents", now)
                names = await issue.dirty(session, but)

            async def work(session: AsyncSession, some: Sequence[issue.Name]) -> None:
                await issue.issue(session, some, self._keys, self._settings, now)

            await failures.one_by_one(self._engine, "documents", names, str, work, now)
            count = len(names)
            issued = issued or count > 0
        if issued or clock.is_due(self._content_due, now, issue.ROLL_EVERY):
            # Due until it has succeeded: no document may go out before its audio is listed.
            self._content_due = now
            async with self._transaction() as session:
                await content.want(session, now, self._until(now))
            self._content_due = now + issue.ROLL_EVERY
        return count == issue.AT_ONCE

    async def _mend(self, now: datetime) -> None:
        """Compare what the broker retains, after each connect, when it has told all.

        And when somebody else has published where only we do.
        """
        connection = self._link.connection
        again = self._overwritten and clock.is_due(self._mend_due, now, MEND_EVERY)
        if not self._link.connected or (self._mended == connection and not again):
            return
        self._mirror.belong_to(connection)
        told = connection, self._mirror.count
        if told != self._told or self._told_at is None:
            self._told, self._told_at = told, now
        if now < self._told_at + QUIET:
            return
        self._overwritten = False
        async with self._transaction() as session:
            mended = await self._mirror.mend(session, self._keys, now)
        self._mended, self._mend_due = connection, now + MEND_EVERY
        await self._outbox.remove(mended.foreign)
        if any(mended):
            log.warning(
                "dispatch.broker.mended",
                documents=mended.documents,
                files=mended.files,
                foreign=mended.foreign[:5],
            )

    async def _commands(self, now: datetime) -> bool:
        return self._link.connected and await publish_commands(
            self._engine, self._link, self._settings.mqtt.prefix, self._keys.programme, now
        )

    async def _publish(self, now: datetime) -> bool:
        return self._link.connected and await self._outbox.publish(now)

    async def _settle(self, now: datetime) -> None:
        wait = self._rules.settle_after

        async def work(session: AsyncSession, some: Sequence[Key]) -> None:
            await settle_plays(session, some, now, wait, "closer")

        count = closer.BATCH
        while count == closer.BATCH:
            async with self._transaction() as session:
                but = [_play(name) for name in await failures.waiting(session, "settle", now)]
            try:
                async with self._transaction() as session:
                    count = await closer.close_due(session, now, wait, but)
            except Exception as error:
                if failures.is_away(error):
                    raise
                async with self._transaction() as session:
                    keys = await closer.due(session, now, wait, but)
                await failures.one_by_one(self._engine, "settle", keys, _name_of, work, now)
                count = len(keys)

    async def _corrections(self, now: datetime) -> bool:
        """Settle again what a correction of the past concerns."""
        wait = self._rules.settle_after
        kept = self._settings.upkeep
        shortest = timedelta(days=min(kept.readiness_days, kept.receipt_days))
        # What is told of a play begins with the first document that held it.
        since = now - min(shortest, issue.KEEP_REVISIONS) + self._rules.horizon

        async def work(session: AsyncSession, some: Sequence[int]) -> None:
            await corrections.apply(session, some, now, since, wait)

        budget = _Budget()
        while not budget.spent():
            async with self._transaction() as session:
                waiting = await failures.waiting(session, "corrections", now)
                but = [int(name) for name in waiting if name]
                ids = await corrections.pending(session, now, since, but, MARKS_AT_ONCE)
            if not ids:
                return False
            await failures.one_by_one(self._engine, "corrections", ids, str, work, now)
        return True

    async def _presence(self, now: datetime) -> None:
        async with self._transaction() as session:
            await sweep(session, now, self._rules)

    async def _incidents(self, now: datetime) -> None:
        async with self._transaction() as session:
            await self._watch.judge(session, now)

    async def _roll_up_days(self, now: datetime) -> bool:
        """Roll up past days of the indicators, and apply invalidations of those rolled up."""
        rule = operating_rule(now.astimezone(LOCAL).date())
        if self._announced_on != rollup.last_day_to_roll_up(now):
            async with self._transaction() as session:
                await rollup.announce_days(session, now, rule)
            self._announced_on = rollup.last_day_to_roll_up(now)
        async with self._transaction() as session:
            pending = await rollup.pending(session)
        if pending.invalidated:
            await self._apply_invalidations(rule, now)
        if pending.announced:
            async with self._transaction() as session:
                await rollup.note_horizon(session)
        budget = _Budget()

        async def work(session: AsyncSession, some: Sequence[date]) -> None:
            await rollup.roll_up_days(session, some, rule, now)

        while pending.to_roll_up and not budget.spent():
            async with self._transaction() as session:
                but = await failures.waiting(session, "fold", now) - {""}
                days = await rollup.ready_days(session, rule, but=map(date.fromisoformat, but))
            if not days:
                return False
            await failures.one_by_one(self._engine, "fold", days, date.isoformat, work, now)
        return pending.to_roll_up

    async def _apply_invalidations(self, rule: OperatingRule, now: datetime) -> None:
        """Roll up invalidated days again: all at once, or one by one where one of them fails."""

        async def work(session: AsyncSession, some: Sequence[date]) -> None:
            for day in some:
                await rollup.apply_invalidations(session, day, day, rule, now)

        async with self._transaction() as session:
            but = await failures.waiting(session, "marks", now)
        if not but:
            try:
                async with self._transaction() as session:
                    await rollup.apply_invalidations(session, date.min, date.max, rule, now)
            except Exception as error:
                if failures.is_away(error):
                    raise
            else:
                return
        async with self._transaction() as session:
            invalidated = await rollup.invalidated_days(session)
        days = [day for day in invalidated if day.isoformat() not in but]
        await failures.one_by_one(self._engine, "marks", days, date.isoformat, work, now)


async def _topology(session: AsyncSession) -> tuple[int, int, date | None]:
    """Revision of the topology, the one last applied, and the local day on which it was."""
    row = (
        await session.execute(
            sa.select(Topology.revision, Topology.applied_revision, Topology.applied_on)
        )
    ).one_or_none()
    return (0, 0, None) if row is None else (row[0], row[1], row[2])


async def _applied(session: AsyncSession, revision: int, on: date) -> None:
    values = {"applied_revision": revision, "applied_on": on}
    statement = insert(Topology).values(id=1, revision=revision, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def _name_of(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _play(name: str) -> Key:
    occurrence_id, _, cluster_id = name.partition("/")
    return UUID(occurrence_id), int(cluster_id)
