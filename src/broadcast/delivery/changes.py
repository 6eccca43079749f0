"""Dirty occurrences → ledger rows and dirty scopes, in the transaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.plays import ledger
from broadcast.plays.settling import settle_plays
from broadcast.programmes import issue
from broadcast.schedules.model import Occurrence
from broadcast.schedules.targets import TargetResolver, resolve_targets, target_resolver


class Changes:
    """Derives plays and dirty scopes from dirty occurrences."""

    def __init__(self, rules: config.Rules) -> None:
        self._settle_after = rules.settle_after
        self._resolver: TargetResolver | None = None
        """Of the last transaction."""

    def forget(self) -> None:
        """Read units, clusters and devices anew, whatever revision of the topology is stored."""
        self._resolver = None

    async def announce(
        self, session: AsyncSession, alerts: Sequence[Occurrence], now: datetime
    ) -> list[issue.Name]:
        """Have the documents of locked alerts issued before their plays are derived.

        They stay dirty: whoever comes next derives the plays, also of one that was cancelled in
        between, and also where devices have told of them already (docs/decisions/0080).

        Returns:
            The documents to be issued anew.
        """
        names = _names(alerts)
        ids = [row.id for row in alerts]
        await session.execute(_ANNOUNCED, {"ids": ids, **_columns(names), "now": now})
        return names

    async def hand_on(
        self, session: AsyncSession, ids: Sequence[UUID], now: datetime, *, wait: bool = False
    ) -> list[issue.Name]:
        """Derive plays and dirty scopes from these occurrences, as far as they are dirty.

        Args:
            session: Open transaction.
            ids: Of the occurrences.
            now: Present.
            wait: For those that somebody else holds, which are left to the next time otherwise.

        Returns:
            The documents to be issued anew.
        """
        statement = (
            sa.select(Occurrence)
            .where(Occurrence.dirty, Occurrence.id.in_(ids))
            .order_by(Occurrence.starts_at, Occurrence.id)
            .with_for_update(skip_locked=not wait)
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
        new = await ledger.plan(session, dirty, reached, now)
        announced = [row.id for row in dirty if row.alert_mode and row.carried_scopes]
        if told := await ledger.reported(session, new.intersection(announced)):
            await settle_plays(session, told, now, self._settle_after, "report")
        names = _names(dirty)
        ids = [row.id for row in dirty]
        await session.execute(_DONE, {"ids": ids, **_columns(names), "now": now})
        return names


def _names(dirty: Iterable[Occurrence]) -> list[issue.Name]:
    """Documents that carry these occurrences, or are to."""
    return sorted(
        {
            issue.Name(scope, row.document_kind)
            for row in dirty
            for scope in (*row.scopes, *row.carried_scopes)
        }
    )


def _columns(names: Sequence[issue.Name]) -> dict[str, list[str]]:
    return {"scopes": [name.scope for name in names], "kinds": [name.kind for name in names]}


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

_ANNOUNCED = sa.text("""
    WITH announced AS (
        UPDATE occurrences
        SET carried_scopes = ARRAY(SELECT DISTINCT unnest(carried_scopes || scopes) ORDER BY 1)
        WHERE id = ANY (CAST(:ids AS uuid[])) AND state = 'planned'
    )
    INSERT INTO dirty_scopes (scope, kind, since)
    SELECT scope, kind, :now
    FROM unnest(CAST(:scopes AS text[]), CAST(:kinds AS text[])) AS n (scope, kind)
    ON CONFLICT (scope, kind) DO UPDATE SET since = dirty_scopes.since
""").bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True)))
