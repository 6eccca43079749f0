"""Which clusters played a sound of several languages, by the SHA-256 that their devices told."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

HEARD = """
    LEFT JOIN LATERAL (
        SELECT s.seconds, array_to_string(m.languages, ',') AS languages
        FROM journal_records AS j
        JOIN mix_sounds AS s ON s.sha256 = j.body->>'sha256'
        JOIN mixes AS m ON m.id = s.mix_id
            AND m.bulletin_id = o.bulletin_id AND m.revision = o.bulletin_revision
        WHERE r.longest_seconds IS NOT NULL AND j.occurrence_id = p.occurrence_id::text
          AND j.cluster_id = p.cluster_id AND j.event = 'started'
        ORDER BY j.seq DESC
        LIMIT 1
    ) AS heard ON true
"""
"""Joins what a play `p` of an occurrence `o` with a revision `r` sounded like.

Nothing where it was the bulletin's own sound."""


class Joined(NamedTuple):
    """A joined sound as one cluster played it.

    Attributes:
        languages: In the order in which they were heard.
        codec: Of the file.
        sha256: Of the file.
        seconds: Its length.
    """

    languages: list[str]
    codec: str
    sha256: str
    seconds: float


_OF_OCCURRENCE = sa.text("""
    SELECT DISTINCT ON (j.cluster_id) j.cluster_id, m.languages, s.codec, s.sha256, s.seconds
    FROM occurrences AS o
    JOIN journal_records AS j ON j.occurrence_id = o.id::text AND j.event = 'started'
    JOIN mix_sounds AS s ON s.sha256 = j.body->>'sha256'
    JOIN mixes AS m ON m.id = s.mix_id
        AND m.bulletin_id = o.bulletin_id AND m.revision = o.bulletin_revision
    WHERE o.id = :occurrence AND j.cluster_id IS NOT NULL
    ORDER BY j.cluster_id, j.seq DESC
""")


async def of_occurrence(session: AsyncSession, occurrence_id: UUID) -> dict[int, Joined]:
    """Joined sounds of an occurrence by id of the cluster; one that played none is missing."""
    rows = await session.execute(_OF_OCCURRENCE, {"occurrence": occurrence_id})
    return {cluster_id: Joined(*values) for cluster_id, *values in rows}
