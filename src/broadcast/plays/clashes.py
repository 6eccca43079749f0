"""Clashes in the coming days: equal priorities at one loudspeaker, whatever the cause.

A merger, a cluster that serves another village, or rules that meet after many years: nobody saved
a schedule that day, so nobody was warned.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.plays.schemas import ClashOut
from broadcast.stations.places import clusters_found

MOST = 500


_CLASHES = sa.text("""
    SELECT one.starts_at, one.id AS occurrence_id, one.title,
           other.starts_at AS other_starts_at, other.id AS other_occurrence_id,
           other.title AS other_title, one.priority, near.cluster_count
    FROM (
        SELECT occurrence_id, next_id, count(*) AS cluster_count
        FROM (
            SELECT p.occurrence_id,
                   p.starts_at + make_interval(secs => COALESCE(
                       o.relay_seconds, GREATEST(r.seconds, r.longest_seconds))) AS ends_at,
                   lead(p.starts_at) OVER following AS next_at,
                   lead(p.occurrence_id) OVER following AS next_id
            FROM plays AS p
            JOIN occurrences AS o ON o.id = p.occurrence_id AND o.state = 'planned'
            JOIN bulletin_revisions AS r
              ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
            WHERE p.starts_at >= :now AND p.starts_at < :until AND p.state = 'planned'
              AND (CAST(:clusters AS integer[]) IS NULL OR p.cluster_id = ANY(:clusters))
            WINDOW following AS (
                PARTITION BY p.cluster_id, o.priority ORDER BY p.starts_at, p.occurrence_id
            )
        ) AS each
        WHERE next_at < ends_at
        GROUP BY occurrence_id, next_id
    ) AS near
    JOIN occurrences AS one ON one.id = near.occurrence_id
    JOIN occurrences AS other ON other.id = near.next_id
    ORDER BY one.starts_at, one.id, other.starts_at, other.id
    LIMIT :most
""")


async def clashes(session: AsyncSession, now: datetime, until: datetime) -> list[ClashOut]:
    """Find what begins in [now, until) while an item of equal priority still sounds there.

    At the clusters of the caller's places. By start, at most `MOST`; of three that meet, each with
    the next.
    """
    span = {"now": now, "until": until, "most": MOST}
    clusters = await clusters_found(session)
    async with scope.whole(session):
        rows = await session.execute(_CLASHES, {**span, "clusters": clusters})
    return [ClashOut.model_validate(row) for row in rows]
