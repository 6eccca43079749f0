"""Figures of the ledger over a span of time."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.plays.schemas import SummaryOut
from broadcast.plays.settle import Reason
from broadcast.stations.places import clusters_found

_COUNTS = sa.text("""
    SELECT count(*) FILTER (WHERE p.state <> 'cancelled') AS expected,
           count(*) FILTER (WHERE p.state = 'played') AS played,
           count(*) FILTER (WHERE p.state = 'partial') AS partial,
           count(*) FILTER (WHERE p.state = 'preempted') AS preempted,
           count(*) FILTER (WHERE p.state = 'missed') AS missed,
           count(*) FILTER (WHERE p.state IN ('planned', 'playing')) AS waiting,
           count(*) FILTER (WHERE p.state = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE p.reason = 'clock_wrong' AND p.state IN ('partial', 'missed'))
               AS clock_wrong,
           count(*) FILTER (WHERE p.restated > 0) AS restated,
           count(*) FILTER (WHERE p.fresh_starts > 1 AND o.on_preempt <> 'restart')
               AS duplicates,
           count(*) FILTER (WHERE p.start_error_ms > o.late_limit_seconds * 1000.0) AS late,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY abs(p.start_error_ms))
               AS start_error_ms_p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY abs(p.start_error_ms))
               AS start_error_ms_p99
    FROM plays AS p JOIN occurrences AS o ON o.id = p.occurrence_id
    WHERE p.starts_at >= :since AND p.starts_at < :until
      AND (CAST(:clusters AS integer[]) IS NULL OR p.cluster_id = ANY(:clusters))
""")

_REASONS = sa.text("""
    SELECT reason, count(*) AS plays FROM plays
    WHERE starts_at >= :since AND starts_at < :until AND state = 'missed'
      AND (CAST(:clusters AS integer[]) IS NULL OR cluster_id = ANY(:clusters))
    GROUP BY reason ORDER BY count(*) DESC, reason
""")


async def summary(session: AsyncSession, since: datetime, until: datetime) -> SummaryOut:
    """Count the plays that were to start in [since, until), in the caller's places."""
    span = {"since": since, "until": until, "clusters": await clusters_found(session)}
    async with scope.whole(session):
        counts = (await session.execute(_COUNTS, span)).mappings().one()
        reasons = {row.reason: row.plays for row in await session.execute(_REASONS, span)}
    return SummaryOut(
        since=since,
        until=until,
        missed_by_reason=reasons,
        unexplained=reasons.get(Reason.UNEXPLAINED.value, 0),
        **counts,
    )
