"""Readiness of devices: whether coming items could sound."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.online_minutes import happened_at
from broadcast.wire.events import Readiness, Ready

_KEEP = sa.text("""
    INSERT INTO readiness AS r (occurrence_id, device_id, bulletin_revision, state, sent_at,
                                received_at)
    SELECT occurrence_id, device_id, bulletin_revision, state, sent_at, :received_at
    FROM unnest(CAST(:occurrences AS uuid[]), CAST(:ids AS integer[]),
                CAST(:revisions AS integer[]), CAST(:states AS text[]),
                CAST(:sent_at AS timestamptz[]))
        AS n (occurrence_id, device_id, bulletin_revision, state, sent_at)
    WHERE EXISTS (SELECT FROM occurrences AS o WHERE o.id = n.occurrence_id)
    ORDER BY occurrence_id, device_id
    ON CONFLICT (occurrence_id, device_id) DO UPDATE
        SET bulletin_revision = excluded.bulletin_revision, state = excluded.state,
            sent_at = excluded.sent_at, received_at = excluded.received_at
        WHERE r.sent_at <= excluded.sent_at
          AND (r.bulletin_revision, r.state) <> (excluded.bulletin_revision, excluded.state)
""")


async def record(
    session: AsyncSession, arrivals: Sequence[Arrival[Readiness]], received_at: datetime
) -> None:
    """Keep the newest report of each device on each occurrence.

    An item that is none of our occurrences is left out: a device may make up any number of them.
    """
    newest: dict[tuple[UUID, int], tuple[datetime, Ready]] = {}
    for arrival in arrivals:
        device_id = arrival.device_id
        at = happened_at(arrival.message.sent_at, received_at, trusted=True)
        for item in arrival.message.items:
            occurrence_id = parse_id(item.occurrence_id)
            if occurrence_id is None:
                continue
            known = newest.get((occurrence_id, device_id))
            if known is None or known[0] <= at:
                newest[occurrence_id, device_id] = (at, item)
    if newest:
        await session.execute(
            _KEEP,
            {
                "occurrences": [occurrence_id for occurrence_id, _ in newest],
                "ids": [device_id for _, device_id in newest],
                "revisions": [item.bulletin_revision for _, item in newest.values()],
                "states": [item.state for _, item in newest.values()],
                "sent_at": [at for at, _ in newest.values()],
                "received_at": received_at,
            },
        )


def parse_id(text: str) -> UUID | None:
    """Read an occurrence's id as the wire carries it; None where the server cannot have issued it.

    Another spelling of the same number was not issued either: rows are found by the text.
    """
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
