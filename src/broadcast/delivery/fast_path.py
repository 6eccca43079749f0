"""The way of a change that people wait for: from its commit to the broker in one transaction.

A change of a few occurrences whose audio the broker has goes this way (docs/decisions/0035). What
does not, because it is more, or fails, is left to the steps of the dispatcher as it was. They do
all of it just as well, only later; so that nobody has to notice by the clock that nothing goes
this way any more, each attempt is counted by its outcome.

An alert is published before its plays are derived, thousands for a province; they follow in a
transaction of their own, and if not here, in the steps (docs/decisions/0080).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.areas.model import Topology
from broadcast.delivery import content
from broadcast.delivery.changes import Changes
from broadcast.delivery.outbox import Outbox
from broadcast.keys.keyring import Keyring
from broadcast.kit import db, failures
from broadcast.kit.clock import LOCAL
from broadcast.programmes import issue
from broadcast.schedules.model import Occurrence

log = structlog.get_logger()

CHANGES = Counter(
    "broadcast_dispatch_fast_path",
    "Small changes by outcome: published, or left to the steps (audio, set_aside, failed)",
    ["outcome"],
)
for _outcome in ("published", "audio", "set_aside", "failed"):
    CHANGES.labels(_outcome)

FEW = 10
"""Occurrences that go this way together: a bulletin for the days to come, or an alert."""


class FastPath:
    """Brings the documents of a few changed occurrences to the broker."""

    def __init__(
        self,
        engine: AsyncEngine,
        outbox: Outbox,
        changes: Changes,
        keyring: Keyring,
        settings: config.Settings,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._changes = changes
        self._keyring = keyring
        self._settings = settings

    async def take(self, now: datetime) -> bool:
        """Publish what a few changed occurrences come to; whatever fails is left to the steps.

        Returns:
            Whether documents were stored, so that the audio to be kept must be listed anew.
        """
        stored = False
        try:
            async with db.transaction(self._engine) as session:
                dirty = await _changed(session, now)
                if not dirty:
                    return False
                ids = [each.id for each in dirty]
                alerts = [each for each in dirty if each.alert_mode is not None]
                if alerts:
                    names = await self._changes.announce(session, alerts, now)
                else:
                    names = await self._changes.hand_on_held(session, dirty, now)
                issued, ready = await self._issue(session, names, now)
            stored = True
            if ready:
                await self._outbox.publish_issued(issued, now)
            if alerts:
                async with db.transaction(self._engine) as session:
                    names = await self._changes.hand_on(session, ids, now, wait=True)
                    issued, others_ready = await self._issue(session, names, now)
                if others_ready:
                    await self._outbox.publish_issued(issued, now)
                ready = ready and others_ready
        except Exception as error:  # noqa: BLE001 — the steps find out what it is
            CHANGES.labels("failed").inc()
            log.info("dispatch.change.left", error=db.brief(error))
        else:
            CHANGES.labels("published" if ready else "audio").inc()
        return stored

    async def _issue(
        self, session: AsyncSession, names: Collection[issue.Name], now: datetime
    ) -> tuple[list[issue.Issued], bool]:
        """Issue documents; also, whether the broker has their audio."""
        issued = await issue.issue(session, names, self._keyring.keys, self._settings, now)
        audio = [one for each in issued for one in each.audio()]
        return issued, await content.are_there(session, audio, now)


async def _changed(session: AsyncSession, now: datetime) -> list[Occurrence]:
    """Dirty occurrences, locked, if they are few and no step has to come first.

    Nothing else is read with them: what is joined to a row that had to be waited for is of the
    time before.
    """
    today = now.astimezone(LOCAL).date()
    unchanged = sa.exists().where(
        Topology.revision == Topology.applied_revision, Topology.applied_on == today
    )
    itself = sa.cast(Occurrence.id, sa.Text).in_(failures.names("occurrences"))
    dirty = (
        sa.select(Occurrence, sa.exists(sa.select(failures.Failure)))
        .where(Occurrence.dirty, unchanged, ~itself)
        .order_by(Occurrence.starts_at)
        .limit(FEW + 1)
        .with_for_update(skip_locked=True, of=Occurrence)
    )
    found = (await session.execute(dirty)).all()
    if not found or len(found) > FEW:
        return []
    if any(is_set_aside for _, is_set_aside in found):
        CHANGES.labels("set_aside").inc()
        return []
    return [occurrence for occurrence, _ in found]
