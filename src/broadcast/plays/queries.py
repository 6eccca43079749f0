"""Reading the ledger for people: by occurrence, cluster, area, state, reason, evidence, time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.errors import InvalidInput
from broadcast.plays.model import Play, PlayState
from broadcast.plays.settle import Grade, Reason
from broadcast.schedules.model import Occurrence
from broadcast.stations.model import Cluster
from broadcast.stations.spans import Days, area_over, clusters_over, days_of, heard_by
from broadcast.web.rest import require_known

DAY = timedelta(days=1)


def span(
    since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Complete a span of time: until now, and the 24 hours before its end.

    Raises:
        InvalidInput: It ends before it begins.
    """
    end = until or now
    start = since or end - DAY
    if start >= end:
        raise InvalidInput("from", "phải trước `to`")
    return start, end


async def plays_statement(
    session: AsyncSession,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
    *,
    occurrence: UUID | None = None,
    cluster: str | None = None,
    area: str | None = None,
    states: Sequence[PlayState] | None = None,
    reason: Reason | None = None,
    evidence: Sequence[Grade] | None = None,
) -> sa.Select[Play, str, str]:
    """Select plays, with the code of the cluster and the title of the bulletin.

    With `occurrence` the span of time may be left out.

    Raises:
        InvalidInput: The span ends before it begins, or there is no such occurrence, cluster or
            area.
    """
    statement = (
        sa.select(Play, Cluster.code, Occurrence.title)
        .join(Cluster, Cluster.id == Play.cluster_id)
        .join(Occurrence, Occurrence.id == Play.occurrence_id)
    )
    if occurrence is not None:
        await require_known(session, "occurrence", Occurrence.id, occurrence)
        statement = statement.where(Play.occurrence_id == occurrence)
    start, end = span(since, until, now)
    if occurrence is None or since is not None or until is not None:
        statement = statement.where(Play.starts_at >= start, Play.starts_at < end)
    if cluster is not None:
        await require_known(session, "cluster", Cluster.code, cluster)
        statement = statement.where(Cluster.code == cluster)
    if area is not None:
        days = days_of(start, end) if occurrence is None else await _days(session, occurrence, now)
        inside = await clusters_over(session, await area_over(session, "area", area, days))
        statement = statement.where(heard_by(inside, Play.cluster_id, Play.starts_at))
    if states:
        statement = statement.where(Play.state.in_(states))
    if reason is not None:
        statement = statement.where(Play.reason == reason)
    if evidence:
        statement = statement.where(Play.evidence.in_(evidence))
    return statement


async def _days(session: AsyncSession, occurrence_id: UUID, now: datetime) -> Days:
    """The day of an occurrence."""
    row = await session.get(Occurrence, occurrence_id)
    at = now if row is None else row.starts_at
    return days_of(at, at)
