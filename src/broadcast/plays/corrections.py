"""Plays settled again because an installation, a village's cluster or an outage was corrected.

Triggers record a correction with every such change, in its transaction, whatever way it came:
REST, a file, a merger, SQL by hand. Reports that come late need none: they settle their plays
themselves.

The circumstances of a silent play (receipts, readiness, documents that were published) are kept
for a limited time; of older plays only those are settled whose records went to another cluster.
The others stay as they were settled while all of it was there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays.model import Correction
from broadcast.plays.settling import settle_plays
from broadcast.plays.silence import Key

BATCH = 1000
"""Plays of one correction settled in one transaction, and those that start with the last."""

_WITHOUT_EFFECT = sa.text("""
    DELETE FROM corrections AS m
    WHERE NOT EXISTS (
        SELECT FROM plays AS p
        WHERE p.starts_at >= GREATEST(m.since, :known_since)
          AND p.starts_at < COALESCE(m.until, 'infinity') AND p.starts_at <= :now
          AND (m.cluster_id IS NULL OR p.cluster_id = m.cluster_id)
    ) AND NOT EXISTS (
        SELECT FROM journal_records AS j
        WHERE j.device_id = m.device_id AND j.received_at >= m.since - interval '1 day'
    )
""").bindparams(
    sa.bindparam("now", type_=sa.DateTime(timezone=True)),
    sa.bindparam("known_since", type_=sa.DateTime(timezone=True)),
)

_MOVE = sa.text("""
    WITH assigned AS (
        SELECT j.device_id, j.journal_id, j.seq, j.occurrence_id, j.cluster_id AS was, o.id,
               (SELECT i.cluster_id FROM installations AS i
                WHERE i.device_id = j.device_id AND i.installed_at <= started.at
                  AND (i.removed_at IS NULL OR i.removed_at > started.at)
                ORDER BY i.installed_at DESC LIMIT 1) AS cluster_id
        FROM journal_records AS j
        LEFT JOIN occurrences AS o ON o.id = CASE
            WHEN j.occurrence_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            THEN j.occurrence_id::uuid END
        CROSS JOIN LATERAL (
            SELECT COALESCE(o.starts_at, LEAST(j.at, j.received_at)) AS at
        ) AS started
        WHERE j.device_id = :device_id AND j.received_at >= :since - interval '1 day'
          AND started.at >= :since AND started.at < COALESCE(:until, 'infinity')
    )
    UPDATE journal_records AS j SET cluster_id = assigned.cluster_id
    FROM assigned
    WHERE j.device_id = assigned.device_id AND j.journal_id = assigned.journal_id
      AND j.seq = assigned.seq
      AND assigned.was IS DISTINCT FROM assigned.cluster_id
    RETURNING assigned.id, assigned.was, assigned.cluster_id
""").bindparams(
    sa.bindparam("device_id", type_=sa.Integer()),
    sa.bindparam("since", type_=sa.DateTime(timezone=True)),
    sa.bindparam("until", type_=sa.DateTime(timezone=True)),
)
"""As `reports` assigns a record when it is received."""

_CONCERNED = sa.text("""
    SELECT p.occurrence_id, p.cluster_id, p.starts_at
    FROM plays AS p
    WHERE p.starts_at >= GREATEST(:since, :known_since)
      AND p.starts_at < COALESCE(:until, 'infinity')
      AND p.starts_at <= :now AND (CAST(:cluster_id AS integer) IS NULL
                                   OR p.cluster_id = :cluster_id)
    ORDER BY p.starts_at
    FETCH FIRST (:batch) ROWS WITH TIES
""").bindparams(
    sa.bindparam("cluster_id", type_=sa.Integer()),
    sa.bindparam("since", type_=sa.DateTime(timezone=True)),
    sa.bindparam("until", type_=sa.DateTime(timezone=True)),
    sa.bindparam("now", type_=sa.DateTime(timezone=True)),
    sa.bindparam("known_since", type_=sa.DateTime(timezone=True)),
    sa.bindparam("batch", type_=sa.Integer()),
)


async def pending(
    session: AsyncSession, now: datetime, known_since: datetime, but: Collection[int], limit: int
) -> list[int]:
    """Corrections that are to be applied, oldest first; those without effect are deleted.

    `but`: not these.
    """
    if await session.scalar(sa.select(Correction.id).limit(1)) is None:
        return []
    await session.execute(_WITHOUT_EFFECT, {"now": now, "known_since": known_since})
    ids = sa.select(Correction.id).where(Correction.id.not_in(list(but)))
    return list(await session.scalars(ids.order_by(Correction.id).limit(limit)))


async def apply(
    session: AsyncSession,
    ids: Iterable[int],
    now: datetime,
    known_since: datetime,
    settle_after: timedelta,
) -> None:
    """Settle the plays again that these corrections concern, at most `BATCH` of each at a time.

    Args:
        session: Open transaction.
        ids: Of `pending`.
        now: Present.
        known_since: Time since which the circumstances of plays are kept.
        settle_after: Time after `ends_by` for which reports are waited for.
    """
    statement = sa.select(Correction).where(Correction.id.in_(ids)).order_by(Correction.id)
    for correction in (await session.scalars(statement.with_for_update(skip_locked=True))).all():
        span = {"since": correction.since, "until": correction.until}
        keys: set[Key] = set()
        if correction.device_id is not None:
            for row in await session.execute(_MOVE, {"device_id": correction.device_id, **span}):
                clusters = {row.was, row.cluster_id} - {None} if row.id is not None else set()
                keys.update((row.id, cluster_id) for cluster_id in clusters)
        concerned = (
            await session.execute(
                _CONCERNED,
                {
                    "cluster_id": correction.cluster_id,
                    "now": now,
                    "known_since": known_since,
                    "batch": BATCH,
                    **span,
                },
            )
        ).all()
        keys.update((row.occurrence_id, row.cluster_id) for row in concerned)
        if keys:
            await settle_plays(session, sorted(keys), now, settle_after, correction.cause)
        if len(concerned) < BATCH:
            await session.delete(correction)
        else:
            correction.since = concerned[-1].starts_at + timedelta.resolution
        await session.flush()
