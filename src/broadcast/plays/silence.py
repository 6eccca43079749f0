"""Circumstances of plays of which no record came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.plays.settle import Circumstances
from broadcast.telemetry.sweep import complete_spans

Key = tuple[UUID, int]
"""Occurrence and cluster."""


class Window(NamedTuple):
    """Span of time in which a device might have begun."""

    starts_at: datetime
    latest_at: datetime


REPORTED_WITHIN = timedelta(minutes=2)
"""A device reports the documents that it holds with its next heartbeat."""

DECLARED_OUTAGE = """
    LEFT JOIN LATERAL (
        SELECT o.kind FROM outages AS o
        WHERE o.starts_at <= n.latest_at AND o.ends_at > n.starts_at
          AND (o.cluster_id = n.cluster_id OR o.area_code IN (
              WITH RECURSIVE up (code, parent_code) AS (
                  SELECT a.code, a.parent_code
                  FROM cluster_villages AS v JOIN areas AS a ON a.code = v.village_code
                  WHERE v.cluster_id = n.cluster_id AND v.grade = 'primary'
                    AND v.valid_from <= (n.starts_at AT TIME ZONE :zone)::date
                    AND (v.valid_to IS NULL
                         OR v.valid_to >= (n.starts_at AT TIME ZONE :zone)::date)
                    AND a.valid_from <= (n.starts_at AT TIME ZONE :zone)::date
                    AND (a.valid_to IS NULL
                         OR a.valid_to >= (n.starts_at AT TIME ZONE :zone)::date)
                  UNION
                  SELECT a.code, a.parent_code FROM up JOIN areas AS a ON a.code = up.parent_code
                  WHERE a.valid_from <= (n.starts_at AT TIME ZONE :zone)::date
                    AND (a.valid_to IS NULL
                         OR a.valid_to >= (n.starts_at AT TIME ZONE :zone)::date)
              )
              SELECT code FROM up
          ))
        ORDER BY o.kind DESC LIMIT 1
    ) AS outage ON true
"""
"""Joins `outage.kind` to rows `n` of cluster_id, starts_at and latest_at; `:zone` is that of days.
A power cut, where one was declared, comes before maintenance."""

_CIRCUMSTANCES = sa.text(f"""
    WITH n AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]),
            CAST(:starts_at AS timestamptz[]), CAST(:latest_at AS timestamptz[])
        ) AS n (occurrence_id, cluster_id, starts_at, latest_at)
    ),
    carried AS MATERIALIZED (
        SELECT o.occurrence_id, p.scope || '/' || p.kind AS document,
               p.scope || CASE p.kind WHEN 'live' THEN '/live/sessions'
                                      ELSE '/state/' || p.kind END AS topic,
               p.revision, p.published_at
        FROM (SELECT DISTINCT occurrence_id FROM n) AS o
        JOIN programme_revisions AS p ON p.occurrence_ids @> ARRAY[o.occurrence_id]
        WHERE p.published_at IS NOT NULL
    ),
    listened AS MATERIALIZED (
        {complete_spans("(SELECT min(starts_at) FROM n)", "(SELECT max(latest_at) FROM n)")}
    )
    SELECT n.occurrence_id, n.cluster_id, d.device_id,
        COALESCE(published.at <= n.latest_at, false) AS published,
        EXISTS (
            SELECT FROM carried AS c JOIN receipts AS r
                ON r.device_id = d.device_id AND r.document = c.document
                AND r.revision = c.revision
            WHERE c.occurrence_id = n.occurrence_id
              AND r.received_at <= n.latest_at + :reported_within
        ) AS received,
        COALESCE(
            EXISTS (
                SELECT FROM presence_changes AS p
                WHERE p.device_id = d.device_id AND p.presence = 'online'
                  AND p.happened_at > published.at AND p.happened_at <= n.latest_at
            ) OR (
                SELECT p.presence = 'online' FROM presence_changes AS p
                WHERE p.device_id = d.device_id AND p.happened_at <= published.at
                ORDER BY p.happened_at DESC, p.id DESC LIMIT 1
            ), false
        ) AS reachable,
        COALESCE(
            EXISTS (
                SELECT FROM presence_changes AS p
                WHERE p.device_id = d.device_id AND p.presence = 'online'
                  AND p.happened_at > n.starts_at AND p.happened_at <= n.latest_at
            ) OR (
                SELECT p.presence = 'online' FROM presence_changes AS p
                WHERE p.device_id = d.device_id AND p.happened_at <= n.starts_at
                ORDER BY p.happened_at DESC, p.id DESC LIMIT 1
            ), false
        ) AS online,
        EXISTS (
            SELECT FROM device_presence AS p
            WHERE p.device_id = d.device_id AND p.presence = 'online'
        ) AS online_now,
        EXISTS (
            SELECT FROM listened WHERE listened.spans && tstzrange(n.starts_at, n.latest_at, '[]')
        ) AS listening,
        COALESCE((
            SELECT b.reason = 'power_on' FROM boots AS b
            WHERE b.device_id = d.device_id AND b.received_at > n.starts_at
            ORDER BY b.received_at LIMIT 1
        ), false) AS cold_boot,
        outage.kind AS outage,
        EXISTS (
            SELECT FROM refusals AS f
            WHERE f.device_id = d.device_id AND f.reason <> 'revision'
              AND f.received_at BETWEEN published.at AND n.latest_at + :reported_within
              AND EXISTS (
                  SELECT FROM carried AS c
                  WHERE c.occurrence_id = n.occurrence_id
                    AND right(f.topic, length(c.topic)) = c.topic
              )
        ) AS refused,
        (
            SELECT r.state FROM readiness AS r
            WHERE r.occurrence_id = n.occurrence_id AND r.device_id = d.device_id
        ) AS readiness,
        ARRAY(
            SELECT f.kind FROM faults AS f
            WHERE f.device_id = d.device_id AND f.opened_at <= n.latest_at
              AND (f.closed_at IS NULL OR f.closed_at > n.starts_at)
        ) AS faults
    FROM n
    LEFT JOIN LATERAL (
        SELECT i.device_id FROM installations AS i
        WHERE i.cluster_id = n.cluster_id AND i.installed_at <= n.starts_at
          AND (i.removed_at IS NULL OR i.removed_at > n.starts_at)
        ORDER BY i.installed_at DESC LIMIT 1
    ) AS d ON true
    LEFT JOIN LATERAL (
        SELECT min(c.published_at) AS at FROM carried AS c
        WHERE c.occurrence_id = n.occurrence_id
    ) AS published ON true
    {DECLARED_OUTAGE}
""").bindparams(  # noqa: S608 — made of constants
    sa.bindparam("reported_within", REPORTED_WITHIN, sa.Interval()),
    sa.bindparam("zone", LOCAL.key, sa.Text()),
)
"""A device that refuses a document for its revision holds a newer one: that was a late repetition,
and no reason for silence."""


async def read_circumstances(
    session: AsyncSession, windows: Mapping[Key, Window]
) -> dict[Key, Circumstances]:
    """Read the circumstances of these plays."""
    rows = await session.execute(
        _CIRCUMSTANCES,
        {
            "occurrences": [occurrence_id for occurrence_id, _ in windows],
            "clusters": [cluster_id for _, cluster_id in windows],
            "starts_at": [window.starts_at for window in windows.values()],
            "latest_at": [window.latest_at for window in windows.values()],
        },
    )
    return {
        (row.occurrence_id, row.cluster_id): Circumstances(
            device_id=row.device_id,
            published=row.published,
            received=row.received,
            reachable=row.reachable,
            online=row.online,
            online_now=row.online_now,
            listening=row.listening,
            cold_boot=row.cold_boot,
            outage=row.outage,
            refused=row.refused,
            readiness=row.readiness,
            faults=frozenset(row.faults),
        )
        for row in rows
    }
