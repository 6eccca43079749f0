"""Reading from the database what the run and its verdict need."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.telemetry.heartbeats import presence_thresholds
from chaos.verdict import Flip, Occurrence, Play, Stored

_RECORDS = sa.text("""
    SELECT d.code, j.journal_id, j.seq, j.event, j.occurrence_id
    FROM journal_records AS j JOIN devices AS d ON d.id = j.device_id
""")

_OCCURRENCES = sa.text("""
    SELECT o.id::text, o.starts_at, o.ends_by, o.late_limit_seconds, r.seconds, o.on_preempt
    FROM occurrences AS o JOIN bulletin_revisions AS r
        ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
    WHERE o.starts_at < :until
""")

_PLAYS = sa.text("""
    SELECT p.occurrence_id::text, d.code, p.state, p.reason, p.fresh_starts
    FROM plays AS p
    JOIN installations AS i ON i.cluster_id = p.cluster_id AND i.removed_at IS NULL
    JOIN devices AS d ON d.id = i.device_id
    WHERE p.starts_at < :until
""")

_FLIPS = sa.text("""
    SELECT d.code, c.presence, c.happened_at, c.cause
    FROM presence_changes AS c JOIN devices AS d ON d.id = c.device_id
    WHERE c.presence IN ('silent', 'offline')
    ORDER BY c.happened_at, c.id
""")

_SCHEDULES = sa.text("SELECT id::text FROM schedules")


async def read_stored(session: AsyncSession, rules: Rules, until: datetime) -> Stored:
    """The database's record of everything that was to start before `until`."""
    wait = presence_thresholds(rules)
    patiences: dict[tuple[str, str], timedelta] = {
        ("silent", "silence"): wait.silent,
        ("silent", "gone"): min(wait.silent, wait.gone),
        ("offline", "silence"): wait.offline,
    }
    span = {"until": until}
    records = await session.execute(_RECORDS)
    occurrences = await session.execute(_OCCURRENCES, span)
    plays = await session.execute(_PLAYS, span)
    flips = await session.execute(_FLIPS)
    return Stored(
        records={(row[0], row[1], row[2]): (row[3], row[4]) for row in records},
        occurrences={
            row[0]: Occurrence(
                row[1], row[2], timedelta(seconds=row[3]), row[4], row[5] == "restart"
            )
            for row in occurrences
        },
        plays={(row[0], row[1]): Play(*row[2:]) for row in plays},
        flips=[Flip(row[0], row[1], row[2], patiences[row[1], row[3]]) for row in flips],
        schedules=frozenset(await session.scalars(_SCHEDULES)),
    )


_CONFIGURED = sa.text("""
    SELECT count(*) FROM device_presence AS p JOIN devices AS d ON d.id = p.device_id
    WHERE p.presence = 'online' AND jsonb_exists(p.held, 'device/' || d.code || '/config')
""")


async def configured(session: AsyncSession) -> int:
    """Number of devices that are online and hold their config."""
    return await session.scalar(_CONFIGURED) or 0
