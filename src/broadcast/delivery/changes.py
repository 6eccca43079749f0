"""Dirty occurrences → ledger rows and dirty scopes, in the transaction of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays import ledger
from broadcast.programmes import issue
from broadcast.schedules.model import Occurrence
from broadcast.schedules.targets import TargetResolver, resolve_targets, target_resolver


class Changes:
    """Derives plays and dirty scopes from dirty occurrences."""

    def __init__(self) -> None:
        self._resolver: TargetResolver | None = None
        """Of the last transaction."""

    def forget(self) -> None:
        """Read units, clusters and devices anew, whatever revision of the topology is stored."""
        self._resolver = None

    async def hand_on(
        self, session: AsyncSession, ids: Sequence[UUID], now: datetime
    ) -> list[issue.Name]:
        """Derive plays and dirty scopes from these occurrences, as far as they are dirty.

        Returns:
            The documents to be issued anew.
        """
        statement = (
            sa.select(Occurrence)
            .where(Occurrence.dirty, Occurrence.id.in_(ids))
            .order_by(Occurrence.starts_at)
            .with_for_update(skip_locked=True)
        )
        return await self.hand_on_held(session, list(await session.scalars(statement)), now)

    async def hand_on_held(
        self, session: AsyncSession, dirty: Sequence[Occurrence], now: datetime
    ) -> list[issue.Name]:
        """Derive plays and dirty scopes from occurrences that this transaction has locked.

        Returns:
            The documents to be issued anew.
        """
        if not dirty:
            return []
        self._resolver = await target_resolver(session, self._resolver)
        reached = await resolve_targets(session, self._resolver, dirty)
        await ledger.plan(session, dirty, reached, now)
        names = sorted(
            {
                issue.Name(scope, row.document_kind)
                for row in dirty
                for scope in (*row.scopes, *row.carried_scopes)
            }
        )
        await session.execute(
            _DONE,
            {
                "ids": [row.id for row in dirty],
                "scopes": [name.scope for name in names],
                "kinds": [name.kind for name in names],
                "now": now,
            },
        )
        return names


_DONE = sa.text("""
    WITH done AS (
        UPDATE occurrences
        SET dirty = false,
            carried_scopes = CASE
                WHEN state = 'planned'
                     AND (alert_mode IS NULL AND live_key IS NULL OR ends_by > :now) THEN scopes
                ELSE '{}'
            END
        WHERE id = ANY (CAST(:ids AS uuid[]))
    )
    INSERT INTO dirty_scopes (scope, kind, since)
    SELECT scope, kind, :now
    FROM unnest(CAST(:scopes AS text[]), CAST(:kinds AS text[])) AS n (scope, kind)
    ON CONFLICT (scope, kind) DO UPDATE SET since = dirty_scopes.since
""").bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True)))
"""The rows are locked, so they are what was handed on; marks as `issue.mark_dirty` sets them."""
