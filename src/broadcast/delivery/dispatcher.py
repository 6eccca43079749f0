"""The whole outbound path: what changed → ledger and documents → broker. One leader does it.

A change that people wait for, of a few occurrences whose audio the broker has, takes the fast
path: plays, dirty scopes and signed documents in one transaction, and at once to the broker; of an
alert the plays come last. All else, and whatever fails there, is done by the steps.

After a restore nothing is published, issued or settled before a person has decided about it; to
notice one, the broker is compared before all else (`restored`, docs/decisions/0049).

Each turn, in this order, every step in transactions of its own:

1. occurrences that are no longer approved are withdrawn; each hour the days of sessions that have
   come nearer are filled (`grid`); a change of topology, a new local day or an hour brings the
   occurrences of the horizon up to date (`horizon`); languages that are to sound together become
   one sound (`languages.mixing`);
2. dirty occurrences → plays and dirty scopes, in one transaction (`issuing`);
3. dirty scopes → signed documents; the audio that they need is listed;
4. commands that people gave, then content, then the documents that need it, to the broker; what
   the broker lost is published again (`repair`, `commands`, `outbox`);
5. plays that are over are settled (`settlement`), presence follows silence, and devices that lost
   contact together become one incident;
6. past days of the indicators are rolled up (`rollups`);
7. what is new in the audit is looked at and signed (`auditing`);
8. devices that ask are given their next certificate (`renewals`), and the broker's files say who
   may connect (`enrolment.revocation`).

A turn is one job of the leader; placing priority bulletins in communes (`inbox.placement`), the
removal of what devices left at the broker (`retained`) and maintenance (`upkeep`) are others: what
takes minutes must not hold up an alert.

A step that fails is tried again and never stops the others; a row that cannot be processed is set
aside and reported (`failures`), and the others of its step go on. NOTIFY wakes the leader, polling
every second guarantees it. Whatever is done twice, by this leader or by two, ends in the same rows
and the same documents.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import NoReturn
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.alerts.cap import feeds
from broadcast.alerts.cap.feeds import FeedReader
from broadcast.audit.recording import Record
from broadcast.auditing import sealing
from broadcast.delivery import retained
from broadcast.delivery.changes import Changes
from broadcast.delivery.commands import publish_commands
from broadcast.delivery.fast_path import FastPath
from broadcast.delivery.horizon import Horizon
from broadcast.delivery.issuing import Issuing
from broadcast.delivery.mirror import Broker, mirrored
from broadcast.delivery.outbox import Outbox
from broadcast.delivery.renewals import renew
from broadcast.delivery.repair import BrokerRepair
from broadcast.delivery.restored import RestoreWatch
from broadcast.delivery.retained import RetainedCleanup, followed
from broadcast.delivery.rollups import Rollups
from broadcast.delivery.settlement import settle_corrected, settle_due
from broadcast.delivery.steps import Budget, SetAside
from broadcast.enrolment import revocation
from broadcast.grid import filling
from broadcast.inbox.placement import Placer
from broadcast.incidents.watch import Watch
from broadcast.keys import changes as key_changes
from broadcast.keys.keyring import Keyring, Keys
from broadcast.kit import clock, db, failures, roles
from broadcast.kit.notify import Channel
from broadcast.kit.periodic import Guarded, Job, Kind, Runner
from broadcast.kit.tasks import until_one_ends
from broadcast.languages import mixing
from broadcast.live.ending import end_due
from broadcast.live.recording import keep_due
from broadcast.mqtt.link import Link
from broadcast.programmes import issue
from broadcast.restore import mark
from broadcast.schedules import cancellation
from broadcast.telemetry.sweep import sweep
from broadcast.upkeep.maintenance import maintenance
from broadcast.web.idempotency import forget_idempotency_keys

log = structlog.get_logger()

LEADER = Gauge("broadcast_dispatch_leader", "1 while this process dispatches")
FAILURES = Counter(
    "broadcast_dispatch_failures", "Steps that failed and will be tried again", ["step"]
)
TURN = Gauge("broadcast_dispatch_last_turn_timestamp", "Unix time of the last finished turn")

KIND = Kind("dispatch.step.failed", "dispatch.step.recovered", "step", "", FAILURES)

ROLE = "dispatch"
"""Name under which the leader holds its lock and reports its state."""

POLL_SECONDS = 1.0

TURN_JOB = "turn"

INBOX_JOB = "inbox"
INBOX_EVERY = timedelta(seconds=5)
"""How often is looked which bulletins are to be placed, where no notification has come."""

SIGNING = {"documents", "mirror", "commands", "audit", "audit_retention"}
"""Steps that are left out while nothing can be signed."""
WHEN_BELIEVED = {
    "roll",
    "alerts",
    "live",
    "prefetch",
    "documents",
    "commands",
    "publish",
    "settle",
    "corrections",
}
"""Steps that wait until the broker has been compared and no restore is open."""


SESSIONS_AT_ONCE = 10
"""Sessions of the programme grid that one transaction fills: people's edits wait meanwhile."""

MIXES_EVERY = timedelta(seconds=2)
"""How often is looked which languages are to sound together."""

RECORDINGS_EVERY = timedelta(seconds=5)

PINS_EVERY = timedelta(seconds=10)
"""How often is looked which keys devices have pinned, once there is more than one."""


async def run(engine: AsyncEngine, settings: config.Settings, keyring: Keyring) -> NoReturn:
    """Dispatch whenever we are the leader, until cancelled.

    Only a leader connects to the broker: two with one client id would disconnect each other. When
    the connection that holds its lock is lost, the leadership is over and is waited for again.
    """
    while True:
        try:
            async with roles.claimed(engine, ROLE) as claim:
                LEADER.set(1)
                log.info("dispatch.leadership.taken")
                await _lead(claim, engine, settings, keyring)
        except Exception as error:
            # Never the end of the process: whatever it is, the next leader may do better.
            known = isinstance(error, db.AWAY) or failures.is_away(error)
            log.warning(
                "dispatch.leadership.lost",
                error=db.brief(error),
                exc_info=None if known else error,
            )
        finally:
            LEADER.set(0)
        await asyncio.sleep(POLL_SECONDS)


async def _lead(
    claim: roles.Claim, engine: AsyncEngine, settings: config.Settings, keyring: Keyring
) -> None:
    """Do the leader's work until the lock is lost."""
    prefix = settings.mqtt.prefix
    async with Link(
        settings.mqtt,
        subscriptions=mirrored(prefix),
        unsubscribe=followed(prefix),
        client_id=settings.mqtt.session("dispatch"),
    ) as link:
        dispatcher = Dispatcher(engine, link, settings, keyring)
        await dispatcher.restores.begin(clock.now())
        cleanup = RetainedCleanup(engine, link, prefix)
        with maintenance(settings) as jobs:
            runner = Runner([
                Job(TURN_JOB, timedelta(seconds=POLL_SECONDS), dispatcher.turn),
                Job("retained", retained.EVERY, cleanup.run),
                Job("mark", mark.EVERY, dispatcher.mark),
                Job("pins", PINS_EVERY, dispatcher.pins.run),
                Job("cap_feeds", feeds.LOOK_EVERY, dispatcher.cap_feeds.run),
                Job("recordings", RECORDINGS_EVERY, dispatcher.recordings.run),
                Job(INBOX_JOB, INBOX_EVERY, dispatcher.inbox.run),
                *jobs,
            ])  # fmt: skip
            await claim.listen(Channel.DISPATCH, lambda: runner.wake(TURN_JOB))
            await claim.listen(Channel.INBOX, lambda: runner.wake(INBOX_JOB))
            await until_one_ends(
                claim.until_lost(),
                roles.report(engine, ROLE, lambda: keyring.trouble or link.trouble),
                _receive(link, cleanup, dispatcher.repair),
                runner.run(),
            )


async def _receive(link: Link, cleanup: RetainedCleanup, repair: BrokerRepair) -> NoReturn:
    """Note what the broker sends: after every connect all that it retains."""
    while True:
        for message in await link.receive():
            if not cleanup.takes(message.topic, len(message.payload), stored=message.retain):
                repair.note(message)


class Dispatcher:
    """The steps of a turn, in their order.

    Attributes:
        steps: In their order.
        repair: What the broker retains, and when it is compared.
        restores: Whether the database may be believed.
        pins: Which keys devices have pinned; a job of its own, since it looks at all of them.
        cap_feeds: Reads warnings of other authorities; a job of its own, since others may be slow.
        recordings: Keeps live speech that is over; a job of its own, since an hour takes a minute.
        inbox: Places priority bulletins from above; a job of its own, since there may be hundreds.
    """

    def __init__(
        self, engine: AsyncEngine, link: Broker, settings: config.Settings, keyring: Keyring
    ) -> None:
        prefix = settings.mqtt.prefix
        self._engine = engine
        self._link = link
        self._settings = settings
        self._keyring = keyring
        self._outbox = Outbox(engine, link, prefix, settings.content_dir)
        self._set_aside = SetAside(engine)
        self.restores = RestoreWatch(engine, settings)
        changes = Changes(settings.rules)
        self._fast_path = FastPath(engine, self._outbox, changes, keyring, settings)
        self._horizon = Horizon(engine, changes, self._set_aside, settings.rules)
        self._issuing = Issuing(engine, changes, self._set_aside, keyring, settings)
        self._watch = Watch(settings.rules)
        self.repair = BrokerRepair(engine, link, self._outbox, keyring, prefix, self.restores)
        self._heeded: Keys | None = None
        self.recordings = self._step(
            "recordings", timedelta(0), lambda now: keep_due(engine, settings.content_dir, now)
        )
        self.cap_feeds = self._step("cap_feeds", timedelta(0), FeedReader(engine, settings).run)
        self.pins = self._step("pins", timedelta(0), self._judge_pins)
        self._placer = Placer(engine, settings.rules)
        self.inbox = self._step("inbox", timedelta(0), self._place_bulletins)
        turn, often, hour = timedelta(0), timedelta(seconds=5), issue.ROLL_EVERY
        self.steps = [
            self._step("restore", turn, self.restores.look),
            self._step("keys", turn, self._heed_keys),
            self._step("housekeeping", hour, self._forget_old),
            self._step("unapproved", turn, self._cancel_unapproved),
            self._step("grid", hour, self._fill_grid),
            self._step("horizon", turn, self._horizon.step),
            self._step("languages", MIXES_EVERY, self._mix_languages),
            self._step(
                "languages_again", hour / 12, lambda now: self._mix_languages(now, again=True)
            ),
            self._step("roll", hour, self._issuing.renew),
            self._step("alerts", turn, self._issuing.end_alerts),
            self._step("live", turn, lambda now: end_due(engine, now)),
            self._step("prefetch", turn, self._issuing.prefetch),
            self._step("occurrences", turn, self._issuing.occurrences),
            self._step("documents", turn, self._issuing.documents),
            self._step("mirror", turn, self.repair.step),
            self._step("commands", turn, self._publish_commands),
            self._step("publish", turn, self._publish),
            self._step("settle", often, lambda now: settle_due(engine, settings.rules, now)),
            self._step("corrections", often, lambda now: settle_corrected(engine, settings, now)),
            self._step("presence", often, self._sweep_presence),
            self._step("incidents", often, self._judge_incidents),
            self._step("rollup", turn, Rollups(engine).step),
            self._step("audit", sealing.EVERY, self._sign_audit),
            self._step("audit_retention", timedelta(days=1), self._cut_audit),
            self._step("renewals", often, self._renew_certificates),
            self._step("revocation", revocation.EVERY, self._tell_broker),
        ]

    def _step(
        self, name: str, every: timedelta, work: Callable[[datetime], Awaitable[object]]
    ) -> Guarded:
        return Guarded(self._engine, KIND, name, every, work)

    async def turn(self, now: datetime) -> bool:
        """Do every step that is due; returns whether more is waiting."""
        if (
            not self._is_silent
            and self._issuing.begun
            and self._keyring.usable
            and self._link.connected
            and not self._horizon.in_progress
            and await self._fast_path.take(now)
        ):
            # Before the next look at what nothing needs: these may need it for longer.
            self._issuing.list_audio_again(now)
        more = False
        for step in self.steps:
            if self._is_silent and step.name in WHEN_BELIEVED:
                continue
            if self._keyring.usable or step.name not in SIGNING:
                more = await step.run(now) or more
        TURN.set(now.timestamp())
        return more

    @property
    def _is_silent(self) -> bool:
        """The database may be older than what others hold: nothing is published or concluded."""
        return self.restores.comparing or not self.repair.compared

    async def mark(self, now: datetime) -> None:
        """Have the mark grow, as long as the database is believed."""
        if not self._is_silent:
            await self.restores.advance(now)

    def _transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        return db.transaction(self._engine)

    async def _heed_keys(self, now: datetime) -> None:
        """Go by the keys as they are now; what another key is to sign is issued again."""
        await self._keyring.refresh(self._engine, now)
        if not self._keyring.usable:
            return
        keys, before = self._keyring.keys, self._heeded
        if before is not None and keys != before:
            async with self._transaction() as session:
                whole = operator.attrgetter("programme", "alert", "named")
                if whole(keys) != whole(before):
                    await issue.mark_all(session, now)
                changed = {scope for scope, _ in keys.own.items() ^ before.own.items()}
                await issue.mark_devices(session, changed, now)
        self._heeded = keys

    async def _judge_pins(self, now: datetime) -> None:
        if self._keyring.usable and not self._is_silent:
            async with self._transaction() as session:
                record = Record("keys pinned", "Khóa ký mới ký, vì mọi thiết bị đã ghim")
                record.who = sealing.SYSTEM
                record.begin(session)
                if await key_changes.step(session, self._keyring.able, now):
                    await record.write(session, now)

    async def _forget_old(self, now: datetime) -> None:
        async with self._transaction() as session:
            await forget_idempotency_keys(session, now)
            await failures.forget_gone(session, now)
            if not self._issuing.begun:
                await failures.forget_steps(session)
            await issue.forget_revisions(session, now)

    async def _cancel_unapproved(self, now: datetime) -> None:
        async with self._transaction() as session:
            await self._set_aside.refresh(session)
            await cancellation.cancel_unapproved(session, now)

    async def _fill_grid(self, now: datetime) -> None:
        """Give the items of sessions the dates of the days that have come nearer."""

        async def work(session: AsyncSession, some: Sequence[UUID]) -> None:
            await filling.fill_some(session, some, self._settings.rules, now)

        async with self._transaction() as session:
            ids = await filling.going_on(session)
        for begin in range(0, len(ids), SESSIONS_AT_ONCE):
            few = ids[begin : begin + SESSIONS_AT_ONCE]
            await failures.one_by_one(self._engine, "grid", few, str, work, now)

    async def _place_bulletins(self, now: datetime) -> bool:
        return await self._placer.step(now, Budget().spent)

    async def _mix_languages(self, now: datetime, *, again: bool = False) -> None:
        async with self._transaction() as session:
            await mixing.step(session, self._settings, now, again=again)

    async def _sign_audit(self, now: datetime) -> bool:
        return await sealing.sign_new(self._engine, self._keyring.keys.programme, now)

    async def _cut_audit(self, now: datetime) -> None:
        keep = timedelta(days=self._settings.upkeep.audit_days)
        await sealing.cut_off(self._engine, self._keyring.keys.programme, keep, now)

    async def _publish_commands(self, now: datetime) -> bool:
        return self._link.connected and await publish_commands(
            self._engine, self._link, self._settings.mqtt.prefix, self._keyring.keys, now
        )

    async def _publish(self, now: datetime) -> bool:
        return self._link.connected and await self._outbox.publish(now)

    async def _renew_certificates(self, now: datetime) -> bool:
        return self._link.connected and await renew(
            self._engine, self._link, self._settings, self._keyring.keys, now
        )

    async def _tell_broker(self, now: datetime) -> None:
        await revocation.refresh(self._engine, self._settings.enrolment, now)

    async def _sweep_presence(self, now: datetime) -> None:
        async with self._transaction() as session:
            await sweep(session, now, self._settings.rules)

    async def _judge_incidents(self, now: datetime) -> None:
        async with self._transaction() as session:
            await self._watch.judge(session, now)
