"""Which keys each device has pinned, by what it says that it holds.

A device pins the keys that its config names. Its heartbeats and boots say which revision of the
config that is, and `config_keys` what each revision named; nothing more need be asked of it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.keys.states import Evidence, OwnKey, Ring, State


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


async def evidence(
    session: AsyncSession, ring: Ring, lacking: Collection[str] | None = None
) -> list[DevicePins]:
    """All devices in use, by code.

    Args:
        session: Transaction.
        ring: All keys.
        lacking: Only devices that need looking at: those that lack one of these keys, have a key
            of their own, still name a retired one, or do not hold the config that they should.
    """
    retired = [key.kid for key in ring if key.state is State.RETIRED]
    rows = await session.execute(
        _EVIDENCE,
        {"all": lacking is None, "lacking": list(lacking or ()), "retired": retired},
    )
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
        for row in rows
    ]


_EVIDENCE = sa.text("""
    WITH present AS MATERIALIZED (
        SELECT d.id, d.code, d.enrolled_at, 'device/' || d.code AS scope, p.last_seen_at,
               CAST(p.held AS jsonb) AS documents,
               CAST(CAST(p.held AS jsonb) ->> ('device/' || d.code || '/config') AS bigint) AS held
        FROM devices AS d LEFT JOIN device_presence AS p ON p.device_id = d.id
        WHERE d.retired_at IS NULL
    )
    SELECT p.id, p.code, p.enrolled_at, p.last_seen_at, p.held, named.kids,
           own.kid AS own_kid, own.signs,
           CASE WHEN named.kids && CAST(:retired AS text[]) THEN EXISTS (
               SELECT FROM jsonb_each_text(p.documents) AS h
               JOIN documents AS x ON x.scope = regexp_replace(h.key, '/[^/]*$', '')
                   AND x.kind = substring(h.key FROM '[^/]*$')
               WHERE x.kind <> 'config' AND CAST(h.value AS bigint) < x.key_since
           ) ELSE false END AS has_old,
           CASE WHEN p.held IS DISTINCT FROM c.revision THEN EXISTS (
               SELECT FROM refusals AS r
               WHERE r.device_id = p.id AND r.reason = 'key'
                 AND r.topic = p.scope || '/state/config' AND r.received_at > c.issued_at
           ) ELSE false END AS refused
    FROM present AS p
    LEFT JOIN documents AS c ON c.scope = p.scope AND c.kind = 'config'
    LEFT JOIN device_keys AS own ON own.device_id = p.id
    LEFT JOIN LATERAL (
        SELECT kids FROM config_keys AS k
        WHERE k.scope = p.scope AND k.revision <= p.held
        ORDER BY k.revision DESC
        LIMIT 1
    ) AS named ON true
    WHERE :all OR own.kid IS NOT NULL OR named.kids IS NULL
       OR NOT named.kids @> CAST(:lacking AS text[])
       OR named.kids && CAST(:retired AS text[])
       OR p.held IS DISTINCT FROM c.revision
    ORDER BY p.code
""")
