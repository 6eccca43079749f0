"""Clashes that come near: equal priorities at one loudspeaker, whatever brought them there.

A merger, a cluster that serves another village, or rules that meet after many years: nobody saved
a schedule that day, so nobody was told.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.times import Moment

MOST = 500


class Clash(BaseModel):
    """Two occurrences of equal priority that want the same clusters at the same time."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "starts_at": "2025-07-08T17:00:00+07:00",
                "occurrence_id": "0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11",
                "title": "Bản tin chiều xã Nghĩa Phú",
                "other_starts_at": "2025-07-08T17:05:00+07:00",
                "other_occurrence_id": "7d0c8a51-2f5e-5b8b-8a5e-0f6f1c0a9d22",
                "other_title": "Bản tin chiều xã Nghĩa An",
                "priority": 64,
                "cluster_count": 2,
            }
        },
    )

    starts_at: Moment
    occurrence_id: UUID
    title: str
    other_starts_at: Moment = Field(description="sẽ phải chờ, và có thể bị bỏ")
    other_occurrence_id: UUID
    other_title: str
    priority: int
    cluster_count: int


_CLASHES = sa.text("""
    SELECT one.starts_at, one.id AS occurrence_id, one.title,
           other.starts_at AS other_starts_at, other.id AS other_occurrence_id,
           other.title AS other_title, one.priority, near.cluster_count
    FROM (
        SELECT occurrence_id, next_id, count(*) AS cluster_count
        FROM (
            SELECT p.occurrence_id,
                   p.starts_at + make_interval(secs => r.seconds) AS ends_at,
                   lead(p.starts_at) OVER following AS next_at,
                   lead(p.occurrence_id) OVER following AS next_id
            FROM plays AS p
            JOIN occurrences AS o ON o.id = p.occurrence_id AND o.state = 'planned'
            JOIN bulletin_revisions AS r
              ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
            WHERE p.starts_at >= :now AND p.starts_at < :until AND p.state = 'planned'
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


async def clashes(session: AsyncSession, now: datetime, until: datetime) -> list[Clash]:
    """What begins in [now, until) while an item of equal priority still sounds there.

    By start, at most `MOST`; of three that meet, each with the next.
    """
    rows = await session.execute(_CLASHES, {"now": now, "until": until, "most": MOST})
    return [Clash.model_validate(row) for row in rows]
