"""The occurrences of a span of time, each with how it sounded: what a day's page shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.bulletins.model import Revision
from broadcast.kit.errors import InvalidInput
from broadcast.plays import soundings
from broadcast.plays.model import Play
from broadcast.plays.schemas import OccurrenceCountsOut
from broadcast.plays.soundings import Sounding
from broadcast.schedules import queries
from broadcast.schedules.model import Occurrence, OccurrenceState

LONGEST = timedelta(days=42)
"""Six weeks: a month as calendars show it."""

MOST = 2000
"""Occurrences that are answered at the most; a province has some hundred a day."""


async def occurrences_between(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    *,
    schedule_id: UUID | None = None,
    area: str | None = None,
) -> list[OccurrenceCountsOut]:
    """Occurrences that start in [since, until), with their clusters counted by what was heard.

    In the caller's places: a commune sees of the province's bulletins its own clusters.

    Args:
        session: Open transaction.
        since: Inclusive.
        until: Exclusive.
        schedule_id: Of this schedule.
        area: Code of an area where they are audible, whoever scheduled them.

    Raises:
        InvalidInput: The span is longer than `LONGEST`, or the area is a unit on no day of it.
        Unknown: There is no such schedule.
    """
    if until - since > LONGEST:
        raise InvalidInput(
            "from", f"khoảng thời gian dài quá {LONGEST.days} ngày; hãy hỏi ngắn hơn"
        )
    statement = await queries.select_occurrences(
        session, since, until, schedule_id=schedule_id, area=area, cluster=None, state=None
    )
    statement = statement.order_by(Occurrence.starts_at, Occurrence.id).limit(MOST)
    rows = (await session.scalars(statement)).all()
    counts = await _counts(session, since, until, [row.id for row in rows])
    seconds = await _seconds(session, rows)
    return [_shown(row, counts[row.id], seconds.get(row.id)) for row in rows]


async def _counts(
    session: AsyncSession, since: datetime, until: datetime, ids: Sequence[UUID]
) -> defaultdict[UUID, Counter[Sounding]]:
    found = await session.execute(
        sa.select(Play.occurrence_id, Play.state, Play.reason, sa.func.count())
        .where(
            Play.starts_at >= since,
            Play.starts_at < until,
            Play.occurrence_id == sa.any_(sa.literal(ids, ARRAY(sa.Uuid()))),
        )
        .group_by(Play.occurrence_id, Play.state, Play.reason)
    )
    counts: defaultdict[UUID, Counter[Sounding]] = defaultdict(Counter)
    for occurrence_id, state, reason, count in found:
        counts[occurrence_id][soundings.of_play(state, reason)] += count
    return counts


async def _seconds(session: AsyncSession, rows: Sequence[Occurrence]) -> dict[UUID, float]:
    """Length of the sound of each occurrence, which says nothing of what it is about."""
    async with scope.whole(session):
        found = await session.execute(
            sa.select(Occurrence.id, sa.func.coalesce(Occurrence.relay_seconds, Revision.seconds))
            .join(
                Revision,
                sa.and_(
                    Revision.bulletin_id == Occurrence.bulletin_id,
                    Revision.number == Occurrence.bulletin_revision,
                ),
            )
            .where(Occurrence.id.in_([row.id for row in rows]), Revision.seconds.is_not(None))
        )
        return {id_: seconds for id_, seconds in found if seconds is not None}


def _shown(
    row: Occurrence, counts: Counter[Sounding], seconds: float | None
) -> OccurrenceCountsOut:
    is_cancelled = row.state is OccurrenceState.CANCELLED
    counted = Counter(
        {each: n for each, n in counts.items() if is_cancelled or each is not Sounding.CANCELLED}
    )
    return OccurrenceCountsOut(
        occurrence_id=row.id,
        schedule_id=row.schedule_id,
        bulletin_id=row.bulletin_id,
        bulletin_revision=row.bulletin_revision,
        title=row.title,
        class_=row.class_,
        cancel_reason=row.cancel_reason,
        starts_at=row.starts_at,
        audio_seconds=seconds,
        state=row.state,
        clusters_count=counted.total(),
        counts=dict(counted),
    )
