"""Rows that grow without end and prove nothing: deleted by age, a bounded number at a time.

Some tables are kept permanently on purpose: `journal_records`, `plays` and `play_changes` prove
what sounded; from `online_minutes`, `presence_changes`, `faults` and `listening_spans` the
indicators of past days are recomputed. docs/decisions/0014.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import db

log = structlog.get_logger()

DELETED = Counter("broadcast_retention_deleted", "Rows deleted by age", ["table"])

CHUNK = 5000
"""Rows of one transaction: some ten milliseconds, in which nobody waits for more than a row."""

PAUSE_SECONDS = 0.05
"""Between two chunks, so that a backlog of months leaves the disk to ingest."""

FAILURE_DAYS = 2
"""They count for one (`accounts.lockout.FORGET_AFTER`)."""

_OLD = {
    "boots": """
        old.received_at < :before AND EXISTS (
            SELECT FROM boots AS n WHERE n.device_id = old.device_id AND n.session > old.session
        )""",
    "cap_messages": "old.received_at < :before",
    "command_results": "old.received_at < :before",
    "bulletin_drafts": "old.saved_at < :before",
    "commands": "old.ordered_at < :before",
    "dead_letters": "old.received_at < :before",
    "health_progress": "old.hour < :before",
    "readiness": "old.received_at < :before",
    "receipts": """
        old.received_at < :before AND EXISTS (
            SELECT FROM receipts AS n
            WHERE n.device_id = old.device_id AND n.document = old.document
              AND n.revision > old.revision
        )""",
    "one_time_links": "old.expires_at < :before",
    "refusals": "old.received_at < :before",
    "sessions": "old.expires_at < :before",
    "sign_in_failures": "old.last_at < :before",
}
"""Table → which of its rows, called `old`, may go."""


def keep_days(settings: config.Upkeep) -> dict[str, int]:
    """Tables whose rows are deleted, and after how many days."""
    return {
        "boots": settings.boot_days,
        "cap_messages": settings.cap_message_days,
        "command_results": settings.command_result_days,
        "bulletin_drafts": settings.draft_days,
        "commands": settings.command_result_days,
        "dead_letters": settings.dead_letter_days,
        "health_progress": settings.raw_days,
        "readiness": settings.readiness_days,
        "receipts": settings.receipt_days,
        "one_time_links": settings.session_days,
        "refusals": settings.refusal_days,
        "sessions": settings.session_days,
        "sign_in_failures": FAILURE_DAYS,
    }


async def delete_old(
    engine: AsyncEngine, settings: config.Upkeep, now: datetime, chunk: int = CHUNK
) -> dict[str, int]:
    """Delete what has had its time; returns how many rows of each table."""
    deleted = {}
    for table, days in keep_days(settings).items():
        deleted[table] = await _delete(engine, table, now - timedelta(days=days), chunk)
        if deleted[table]:
            DELETED.labels(table).inc(deleted[table])
            log.info("upkeep.rows.deleted", table=table, count=deleted[table])
    return deleted


async def _delete(engine: AsyncEngine, table: str, before: datetime, chunk: int) -> int:
    statement = sa.text(f"""
        DELETE FROM {table} WHERE ctid = ANY(ARRAY(
            SELECT old.ctid FROM {table} AS old WHERE {_OLD[table]}
            LIMIT :chunk FOR UPDATE SKIP LOCKED
        ))
    """)  # noqa: S608 — constants of this module
    total = 0
    while True:
        async with db.transaction(engine) as session:
            result = await session.execute(statement, {"before": before, "chunk": chunk})
            count = int(result.rowcount)  # type: ignore[attr-defined]
        total += count
        if count < chunk:
            return total
        await asyncio.sleep(PAUSE_SECONDS)
