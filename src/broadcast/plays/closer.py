"""Closing what nobody reported: an open play whose wait is over is settled by what is known."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays.model import OPEN, Play
from broadcast.plays.settling import settle_plays

BATCH = 1000
"""Plays closed in one transaction: about a second, in which their late reports wait."""


async def close_due(session: AsyncSession, now: datetime, settle_after: timedelta) -> int:
    """Settle open plays that ended more than `settle_after` ago, the oldest first.

    Returns:
        How many were due; as long as it is `BATCH` there may be more, for the next transaction.
    """
    due = (
        sa.select(Play.occurrence_id, Play.cluster_id)
        .where(Play.state.in_(OPEN), Play.ends_by <= now - settle_after)
        .order_by(Play.ends_by)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    keys = [(row.occurrence_id, row.cluster_id) for row in await session.execute(due)]
    if keys:
        await settle_plays(session, keys, now, settle_after, "closer")
    return len(keys)
