"""Facts of the database on the work, for the checks, the report and the metrics."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.kit.clock import LOCAL
from broadcast.kit.failures import Failure
from broadcast.kit.roles import states
from broadcast.restore.model import Restore
from broadcast.telemetry import sweep
from broadcast.upkeep import checks, lifetimes, partitions
from broadcast.upkeep.checks import HEARD_WITHIN, Certificates, Facts, Failed
from broadcast.upkeep.lifetimes import GRACE, WANTED, Partition

_WORK = sa.text("""
    SELECT unpublished.count, unpublished.since, heard.expected, heard.at,
           unprepared.count, unprepared.since, unprepared.held
    FROM (
        SELECT count(*) AS count, min(issued_at) AS since FROM documents
        WHERE published_revision < revision
    ) AS unpublished,
    (
        SELECT count(*) FILTER (WHERE presence = 'online' OR last_seen_at > :heard_since)
                   AS expected,
               max(last_seen_at) AS at
        FROM device_presence
    ) AS heard,
    (
        SELECT count(*) FILTER (WHERE NOT held) AS count,
               min(due_at) FILTER (WHERE NOT held AND due_at <= :now) AS since,
               count(*) FILTER (WHERE held) AS held
        FROM (
            SELECT due_at, state = 'running' AND locked_until > :now AS held
            FROM preparations WHERE state IN ('waiting', 'running')
        ) AS queue
    ) AS unprepared
""")


async def schema_revision(session: AsyncSession) -> str | None:
    """Revision of the schema; None of a database that has never been migrated."""
    known = await session.scalar(sa.text("SELECT to_regclass('alembic_version')"))
    if known is None:
        return None
    revision: str | None = await session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision


async def gather(session: AsyncSession, settings: config.Upkeep, now: datetime) -> Facts:
    """The facts that `checks.work` judges."""
    present = await partitions.existing(session)
    row = (await session.execute(_WORK, {"heard_since": now - HEARD_WITHIN, "now": now})).one()
    today = now.astimezone(LOCAL).date()
    return Facts(
        partitions=frozenset(partition.name for partition in present),
        wanted=tuple(partitions.due(today, WANTED.days)),
        ahead=tuple(partitions.due(today, settings.partition_days_ahead - 1)),
        undropped=tuple(partition.name for partition in undropped(present, settings, now)),
        unpublished=row[0],
        unpublished_since=row[1],
        expected=row[2],
        heard_at=row[3],
        unprepared=row[4],
        unprepared_since=row[5],
        preparing=row[6],
        listened_until=await sweep.listened_until(session),
        failed=tuple(Failed(*row) for row in await session.execute(_FAILED)),
        certificates=await _certificates(session, now),
        restored_at=await session.scalar(
            sa.select(Restore.found_at).where(Restore.accepted_at.is_(None))
        ),
    )


_FAILED = (
    sa.select(Failure.step, Failure.subject, Failure.error, Failure.failed_since)
    .order_by(Failure.subject != "", Failure.failed_since)
    .limit(1000)
)


EXPIRING = timedelta(days=14)
"""A box renews when a third of the life is left, 30 days of 90."""

_CERTIFICATES = sa.text("""
    SELECT list.issued_at, list.expires_at,
           (SELECT count(*) FROM (
                SELECT device_id FROM device_certificates
                JOIN devices ON devices.id = device_id
                WHERE retired_at IS NULL AND revoked_at IS NULL AND expires_at > :now
                GROUP BY device_id HAVING max(expires_at) < :soon
            ) AS expiring)
    FROM (SELECT 1 WHERE EXISTS (SELECT FROM device_certificates)) AS any_at_all
    LEFT JOIN (SELECT issued_at, expires_at FROM revocation_lists
               ORDER BY number DESC LIMIT 1) AS list ON true
""")


async def _certificates(session: AsyncSession, now: datetime) -> Certificates | None:
    row = (
        await session.execute(_CERTIFICATES, {"now": now, "soon": now + EXPIRING})
    ).one_or_none()
    return None if row is None else Certificates(*row)


def undropped(present: list[Partition], settings: config.Upkeep, now: datetime) -> list[Partition]:
    """Partitions that should have been dropped `GRACE` ago."""
    today = (now - GRACE).astimezone(LOCAL).date()
    return lifetimes.expired(present, partitions.keep_days(settings), today)


async def limit_time(session: AsyncSession, at_most: timedelta) -> None:
    """Have the statements of this transaction end within a time, also their waits for locks."""
    milliseconds = int(at_most / timedelta(milliseconds=1))
    await session.execute(sa.text(f"SET LOCAL statement_timeout = {milliseconds}"))


async def roles(session: AsyncSession) -> list[checks.Role]:
    """The last reports of the roles of all processes."""
    return [
        checks.Role(
            state.name, f"máy {state.host}, tiến trình {state.pid}", state.trouble, state.at
        )
        for state in await states(session)
    ]
