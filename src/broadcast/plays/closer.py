"""Closing what nobody reported: an open play whose wait is over is settled by what is known."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays.model import OPEN, Play
from broadcast.plays.settling import settle_plays

OVERDUE = Gauge(
    "broadcast_plays_overdue", "Plays still open after their wait was over and the closer had been"
)

BATCH = 1000
"""Plays closed in one transaction: about a second, in which their late reports wait."""


async def close_due(session: AsyncSession, now: datetime, settle_after: timedelta) -> int:
    """Settle open plays that ended more than `settle_after` ago, the oldest first.

    What another transaction holds is left to the next turn, and counted as overdue until then.

    Returns:
        How many were settled; as long as it is `BATCH` there may be more, for the next
        transaction.
    """
    over = sa.and_(Play.state.in_(OPEN), Play.ends_by <= now - settle_after)
    due = (
        sa.select(Play.occurrence_id, Play.cluster_id)
        .where(over)
        .order_by(Play.ends_by)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    keys = [(row.occurrence_id, row.cluster_id) for row in await session.execute(due)]
    settled = await settle_plays(session, keys, now, settle_after, "closer") if keys else ()
    if len(settled) < BATCH:
        left = sa.select(sa.func.count()).select_from(Play).where(over)
        OVERDUE.set(await session.scalar(left) or 0)
    return len(settled)
