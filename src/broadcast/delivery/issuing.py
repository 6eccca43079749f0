"""Dirty occurrences → plays and dirty scopes → signed documents, and the audio that they need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.delivery import content
from broadcast.delivery.changes import Changes
from broadcast.delivery.steps import Budget, SetAside
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db, failures
from broadcast.kit.clock import LOCAL
from broadcast.programmes import contents, issue
from broadcast.programmes.compile import held_until
from broadcast.schedules import occurrences

OCCURRENCES_AT_ONCE = 50
"""Occurrences of one transaction; each may come to thousands of plays."""


class Issuing:
    """Derives documents from occurrences.

    Attributes:
        begun: All documents have been looked through since this process leads.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        changes: Changes,
        set_aside: SetAside,
        keyring: Keyring,
        settings: config.Settings,
    ) -> None:
        self.begun = False
        self._engine = engine
        self._changes = changes
        self._set_aside = set_aside
        self._keyring = keyring
        self._settings = settings
        self._content_due_at: datetime | None = None
        self._ready: object = None
        """Audio that devices were told to hold ready."""

    def list_audio_again(self, now: datetime) -> None:
        """Have the audio listed that is needed, before anything that nothing needs is removed."""
        self._content_due_at = now

    async def renew(self, now: datetime) -> None:
        """Mark the documents that are to be issued again because they are old."""
        async with db.transaction(self._engine) as session:
            if not self.begun:
                await issue.mark_all(session, now)
            await issue.mark_old(session, now)
        self.begun = True

    async def end_alerts(self, now: datetime) -> None:
        """Have the documents of alerts that are over issued without them."""
        async with db.transaction(self._engine) as session:
            await occurrences.end_alerts(session, now)

    async def prefetch(self, now: datetime) -> None:
        """Tell devices what else to hold ready, once something else is approved for that."""
        async with db.transaction(self._engine) as session:
            ready = await contents.kept_ready(session)
            if self._ready not in (None, ready):
                await issue.mark_configs_dirty(session, now)
                self.list_audio_again(now)
        self._ready = ready

    async def occurrences(self, now: datetime) -> bool:
        """Derive plays and dirty scopes; returns whether more is waiting."""
        again = [UUID(name) for name in await self._set_aside.due(issue.ITEMS, now)]

        async def work(session: AsyncSession, some: Sequence[UUID]) -> None:
            await self._changes.hand_on(session, some, now)

        budget = Budget()
        while not budget.spent():
            async with db.transaction(self._engine) as session:
                if again:
                    await occurrences.mark_dirty(session, again)
                    again = []
                but = await failures.waiting(session, "occurrences", now)
                dirty = await occurrences.dirty(session, OCCURRENCES_AT_ONCE, map(UUID, but))
            await failures.one_by_one(self._engine, "occurrences", dirty, str, work, now)
            if len(dirty) < OCCURRENCES_AT_ONCE:
                return False
        return True

    async def documents(self, now: datetime) -> bool:
        """Issue what dirty scopes name, and list its audio; returns whether more is waiting."""

        async def work(session: AsyncSession, some: Sequence[issue.Name]) -> None:
            await issue.issue(session, some, self._keyring.keys, self._settings, now)

        budget = Budget()
        issued, count = False, issue.AT_ONCE
        while count == issue.AT_ONCE and not budget.spent():
            async with db.transaction(self._engine) as session:
                again = await failures.due(session, issue.OVERFULL, now)
                await issue.mark_dirty(session, again, "programme", now)
                but = await failures.waiting(session, "documents", now)
                names = await issue.dirty(session, but)
            await failures.one_by_one(self._engine, "documents", names, str, work, now)
            count = len(names)
            issued = issued or count > 0
        if issued or clock.is_due(self._content_due_at, now, issue.ROLL_EVERY):
            # Due until it has succeeded: no document may go out before its audio is listed.
            self._content_due_at = now
            until = held_until(now, self._settings.rules.programme_span, LOCAL)
            async with db.transaction(self._engine) as session:
                await content.want(session, now, until)
            self._content_due_at = now + issue.ROLL_EVERY
        return count == issue.AT_ONCE
