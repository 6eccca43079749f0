"""Which keys each device has pinned, by what it says that it holds.

A device pins the keys that its config names. Its heartbeats and boots say which revision of the
config that is, and `config_keys` what each revision named; nothing more need be asked of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.keys.states import Evidence, OwnKey


class DevicePins(NamedTuple):
    """A device in use, and what is known of its keys.

    Attributes:
        id: Of its row.
        code: Of the device.
        last_seen_at: When it was last heard; None: never.
        evidence: For the rules.
        own: The key that it has been given for itself.
    """

    id: int
    code: str
    last_seen_at: datetime | None
    evidence: Evidence
    own: OwnKey | None


async def evidence(session: AsyncSession) -> list[DevicePins]:
    """All devices in use, by code."""
    return [
        DevicePins(
            id=row.id,
            code=row.code,
            last_seen_at=row.last_seen_at,
            evidence=Evidence(
                enrolled_at=row.enrolled_at,
                pinned=None if row.held is None else frozenset(row.kids or ()),
                heard=row.last_seen_at is not None,
                has_old=row.has_old,
                refused=row.refused,
            ),
            own=None if row.own_kid is None else OwnKey(row.own_kid, row.signs),
        )
        for row in await session.execute(_EVIDENCE)
    ]


_EVIDENCE = sa.text("""
    WITH holds_old AS MATERIALIZED (
        SELECT DISTINCT p.device_id
        FROM device_presence AS p
        CROSS JOIN LATERAL jsonb_each_text(CAST(p.held AS jsonb)) AS h
        JOIN documents AS d ON d.scope || '/' || d.kind = h.key
        WHERE d.kind <> 'config' AND CAST(h.value AS bigint) < d.key_since
    ),
    refused AS MATERIALIZED (
        SELECT device_id, max(received_at) AS at FROM refusals
        WHERE reason = 'key' AND topic LIKE 'device/%/state/config'
        GROUP BY device_id
    ),
    present AS MATERIALIZED (
        SELECT d.id, d.code, d.enrolled_at, 'device/' || d.code AS scope, p.last_seen_at,
               CAST(CAST(p.held AS jsonb) ->> ('device/' || d.code || '/config') AS bigint) AS held
        FROM devices AS d LEFT JOIN device_presence AS p ON p.device_id = d.id
        WHERE d.retired_at IS NULL
    )
    SELECT p.id, p.code, p.enrolled_at, p.last_seen_at, p.held, named.kids,
           own.kid AS own_kid, own.signs,
           holds_old.device_id IS NOT NULL AS has_old,
           coalesce(r.at > c.issued_at AND p.held IS DISTINCT FROM c.revision, false) AS refused
    FROM present AS p
    LEFT JOIN documents AS c ON c.scope = p.scope AND c.kind = 'config'
    LEFT JOIN device_keys AS own ON own.device_id = p.id
    LEFT JOIN holds_old ON holds_old.device_id = p.id
    LEFT JOIN refused AS r ON r.device_id = p.id
    LEFT JOIN LATERAL (
        SELECT kids FROM config_keys AS k
        WHERE k.scope = p.scope AND k.revision <= p.held
        ORDER BY k.revision DESC
        LIMIT 1
    ) AS named ON true
    ORDER BY p.code
""")
