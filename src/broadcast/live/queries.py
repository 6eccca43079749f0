"""Live sessions as people look for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.places import reach
from broadcast.auth.people import people
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.live.model import LiveSession
from broadcast.live.schemas import LiveDetailOut, LiveOut
from broadcast.plays.model import Play
from broadcast.plays.settle import PlayState


def no_session(live_id: UUID) -> NotFound:
    """What is answered of a session that there is not, or that the caller may not read."""
    return NotFound(f"Không có buổi phát trực tiếp {live_id}.")


async def get_session(session: AsyncSession, live_id: UUID, *, lock: bool = False) -> LiveSession:
    """A live session; `lock` holds its row until the end of the transaction.

    Raises:
        NotFound: There is none.
    """
    live = await session.get(LiveSession, live_id, with_for_update=lock, populate_existing=lock)
    if live is None:
        raise no_session(live_id)
    return live


async def counts(session: AsyncSession, live_ids: Iterable[UUID]) -> dict[UUID, tuple[int, int]]:
    """By session: loudspeakers that it reaches, and those that say they sound it."""
    sounding = sa.func.count().filter(Play.state == PlayState.PLAYING)
    rows = await session.execute(
        sa.select(Play.occurrence_id, sa.func.count(), sounding)
        .where(Play.occurrence_id.in_(list(live_ids)), Play.state != PlayState.CANCELLED)
        .group_by(Play.occurrence_id)
    )
    return {live_id: (all_, now) for live_id, all_, now in rows}


async def shown(
    session: AsyncSession, sessions: Iterable[LiveSession], now: datetime
) -> list[LiveOut]:
    """Live sessions as answers show them."""
    rows = list(sessions)
    known = await people(session, (who for row in rows for who in (row.created_by, row.ended_by)))
    found = await counts(session, [row.id for row in rows])
    return [LiveOut.of(row, found.get(row.id, (0, 0)), known, now) for row in rows]


async def detail(session: AsyncSession, live: LiveSession, now: datetime) -> LiveDetailOut:
    """A live session with where it sounds."""
    [found] = await shown(session, [live], now)
    on = (live.begun_at or now).astimezone(LOCAL).date()
    reached = await reach(session, live.targets, live.targets_on, on)
    return LiveDetailOut(**{**found.model_dump(by_alias=True), "reach": reached})


async def recent(session: AsyncSession, limit: int) -> list[LiveSession]:
    """The newest that were begun, newest first."""
    rows = await session.scalars(
        sa.select(LiveSession)
        .where(LiveSession.begun_at.is_not(None))
        .order_by(LiveSession.created_at.desc(), LiveSession.id)
        .limit(limit)
    )
    return list(rows)
