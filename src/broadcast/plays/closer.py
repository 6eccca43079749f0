"""Closing plays without a report: after the wait an open play is settled by what is known."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays.model import OPEN, Play
from broadcast.plays.settling import settle_plays
from broadcast.plays.silence import Key

OVERDUE = Gauge(
    "broadcast_plays_overdue", "Plays still open after their wait was over and the closer had been"
)

BATCH = 1000
"""Plays closed in one transaction: about a second, in which their late reports wait."""


async def close_due(
    session: AsyncSession, now: datetime, settle_after: timedelta, but: Collection[Key] = ()
) -> int:
    """Settle open plays that ended more than `settle_after` ago, the oldest first.

    What another transaction holds is left to the next turn, and counted as overdue until then.

    Args:
        session: Open transaction.
        now: Present.
        settle_after: Time for which reports are waited for.
        but: Not these.

    Returns:
        Number settled; while it is `BATCH` there may be more, for the next transaction.
    """
    due = _due(now, settle_after, but).with_for_update(skip_locked=True)
    keys = [(row.occurrence_id, row.cluster_id) for row in await session.execute(due)]
    settled = await settle_plays(session, keys, now, settle_after, "closer") if keys else ()
    if len(settled) < BATCH:
        left = sa.select(sa.func.count()).select_from(Play).where(_over(now, settle_after))
        OVERDUE.set(await session.scalar(left) or 0)
    return len(settled)


async def due(
    session: AsyncSession, now: datetime, settle_after: timedelta, but: Collection[Key] = ()
) -> list[Key]:
    """Plays that `close_due` would settle."""
    rows = await session.execute(_due(now, settle_after, but))
    return [(row.occurrence_id, row.cluster_id) for row in rows]


def _over(now: datetime, settle_after: timedelta) -> sa.ColumnElement[bool]:
    return sa.and_(Play.state.in_(OPEN), Play.ends_by <= now - settle_after)


def _due(now: datetime, settle_after: timedelta, but: Collection[Key]) -> sa.Select[UUID, int]:
    statement = sa.select(Play.occurrence_id, Play.cluster_id).where(_over(now, settle_after))
    if but:
        key = sa.tuple_(Play.occurrence_id, Play.cluster_id)
        statement = statement.where(key.not_in(list(but)))
    return statement.order_by(Play.ends_by).limit(BATCH)
