"""Sessions that nobody ends: the leader does, whatever became of the microphone."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.kit import db
from broadcast.live import steps
from broadcast.live.model import LiveSession
from broadcast.live.state import end_of


async def end_due(engine: AsyncEngine, now: datetime) -> None:
    """End what was abandoned, and what has lasted too long."""
    async with db.transaction(engine) as session:
        rows = await session.scalars(
            sa.select(LiveSession)
            .where(LiveSession.begun_at.is_not(None), LiveSession.ended_at.is_(None))
            .with_for_update(skip_locked=True)
        )
        for live in rows:
            assert live.heard_at is not None
            assert live.ends_by is not None
            reason = end_of(now, live.heard_at, live.ends_by)
            if reason is not None:
                await steps.end(session, live, reason, None, now)
