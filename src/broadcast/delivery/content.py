"""Audio at the broker: wanted from a week before its first item until a day after its last.

Of an item with versions in other languages also what villages hear in their stead.

Only the codecs that some device needs are there: blocks of an MP3 nobody plays would cost every
broker of the country its memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.programmes.model import PublishedContent
from broadcast.schedules.starts import LONGEST
from broadcast.wire.documents import Audio
from broadcast.wire.fields import Codec

KEEP = timedelta(days=1)
"""How long audio stays after its last item: a device may be catching up."""


class File(NamedTuple):
    """An audio file that is to be published, or removed."""

    sha256: str
    size_bytes: int


_WANT = sa.text("""
    WITH revisions AS MATERIALIZED (
        SELECT v.bulletin_id, v.number, max(o.ends_by) AS ends_by
        FROM occurrences AS o
        JOIN bulletin_revisions AS v
            ON v.bulletin_id = o.bulletin_id AND v.number = o.bulletin_revision
        WHERE o.starts_at > :begin AND o.starts_at < :until AND o.ends_by > :now
          AND o.state = 'planned' AND v.state = 'approved'
        GROUP BY v.bulletin_id, v.number
    ),
    needed AS MATERIALIZED (
        SELECT r.sha256, r.size_bytes, v.ends_by + :keep AS until
        FROM revisions AS v
        JOIN renditions AS r ON r.bulletin_id = v.bulletin_id AND r.revision = v.number
        WHERE r.codec = ANY (CAST(:codecs AS text[]))
        UNION ALL
        SELECT s.sha256, s.size_bytes, v.ends_by + :keep
        FROM revisions AS v
        JOIN mixes AS m ON m.bulletin_id = v.bulletin_id AND m.revision = v.number AND m.is_current
        JOIN mix_sounds AS s ON s.mix_id = m.id
        WHERE s.codec = ANY (CAST(:codecs AS text[]))
    ),
    ready AS MATERIALIZED (
        SELECT r.sha256, max(r.size_bytes) AS size_bytes
        FROM bulletins AS b
        JOIN LATERAL (
            SELECT v.number FROM bulletin_revisions AS v
            WHERE v.bulletin_id = b.id AND v.state = 'approved'
            ORDER BY v.number DESC LIMIT 1
        ) AS newest ON true
        JOIN renditions AS r ON r.bulletin_id = b.id AND r.revision = newest.number
        WHERE b.kept_ready AND r.codec = ANY (CAST(:codecs AS text[]))
        GROUP BY r.sha256
    ),
    wanted AS MATERIALIZED (
        SELECT sha256, max(size_bytes) AS size_bytes, max(until) AS until
        FROM (
            SELECT sha256, size_bytes, until FROM needed
            UNION ALL SELECT sha256, size_bytes, :until + :keep FROM ready
        ) AS every GROUP BY sha256
    ),
    ending AS (
        UPDATE published_content AS p SET wanted_until = n.until
        FROM (
            SELECT p.sha256, CASE
                WHEN EXISTS (
                    SELECT FROM renditions AS r JOIN bulletin_revisions AS v
                        ON v.bulletin_id = r.bulletin_id AND v.number = r.revision
                    WHERE r.sha256 = p.sha256 AND v.state = 'approved'
                ) OR EXISTS (
                    SELECT FROM mix_sounds AS s JOIN mixes AS m ON m.id = s.mix_id
                    JOIN bulletin_revisions AS v
                        ON v.bulletin_id = m.bulletin_id AND v.number = m.revision
                    WHERE s.sha256 = p.sha256 AND v.state = 'approved'
                ) THEN CAST(:now AS timestamptz) + :keep
                ELSE :now
            END AS until
            FROM published_content AS p
            WHERE p.removed_at IS NULL AND p.wanted_until > :now
              AND NOT EXISTS (SELECT FROM wanted WHERE wanted.sha256 = p.sha256)
        ) AS n
        WHERE p.sha256 = n.sha256 AND p.wanted_until > n.until
    )
    INSERT INTO published_content AS p (sha256, size_bytes, wanted_until)
    SELECT sha256, size_bytes, until FROM wanted
    ON CONFLICT (sha256) DO UPDATE SET
        wanted_until = excluded.wanted_until,
        published_at = CASE WHEN p.removed_at IS NULL THEN p.published_at END,
        removed_at = NULL
    WHERE p.removed_at IS NOT NULL OR p.wanted_until <> excluded.wanted_until
""").bindparams(sa.bindparam("keep", KEEP, sa.Interval()))
"""What no item needs any more stays for a day; what was withdrawn goes at once."""


async def want(session: AsyncSession, now: datetime, until: datetime) -> None:
    """List the audio that items from now `until` then need, or devices hold ready; how long."""
    await session.execute(
        _WANT,
        {
            "now": now,
            "begin": now - LONGEST,
            "until": until,
            "codecs": sorted(await needed_codecs(session)),
        },
    )


async def needed_codecs(session: AsyncSession) -> set[Codec]:
    """The first codec that each enrolled device knows, in the order in which items list them."""
    return _needed(await session.scalars(_CODEC_SETS))


_CODEC_SETS = sa.select(Device.codecs).where(Device.retired_at.is_(None)).distinct()


def _needed(sets: Iterable[Collection[str]]) -> set[Codec]:
    return {codec for known in sets for codec in _first(known)} or {Codec.OPUS}


def _first(known: Collection[str]) -> list[Codec]:
    return [codec for codec in Codec if codec in known][:1]


async def are_there(session: AsyncSession, wanted: Collection[Audio], now: datetime) -> bool:
    """Tell whether the broker has confirmed what devices need of this audio, and keeps it."""
    if not wanted:
        return True
    there = sa.select(PublishedContent.sha256).where(
        PublishedContent.sha256.in_({audio.sha256 for audio in wanted}),
        PublishedContent.published_at.is_not(None),
        PublishedContent.removed_at.is_(None),
        PublishedContent.wanted_until > now,
    )
    sets = sa.select(sa.func.json_agg(_CODEC_SETS.subquery().c.codecs)).scalar_subquery()
    held = sa.select(sa.func.json_agg(there.subquery().c.sha256)).scalar_subquery()
    known, files = (await session.execute(sa.select(sets, held))).one()
    codecs = _needed(known or ())
    return {audio.sha256 for audio in wanted if audio.codec in codecs} <= set(files or ())


async def missing(session: AsyncSession) -> list[File]:
    """Files that the broker should have and has not confirmed, soonest needed first."""
    rows = await session.execute(
        sa.select(PublishedContent.sha256, PublishedContent.size_bytes)
        .where(PublishedContent.published_at.is_(None), PublishedContent.removed_at.is_(None))
        .order_by(PublishedContent.wanted_until, PublishedContent.sha256)
    )
    return [File(*row) for row in rows]


async def superfluous(session: AsyncSession, now: datetime) -> list[File]:
    """Files that nothing needs any more and that have not been removed."""
    rows = await session.execute(
        sa.select(PublishedContent.sha256, PublishedContent.size_bytes).where(
            PublishedContent.wanted_until <= now, PublishedContent.removed_at.is_(None)
        )
    )
    return [File(*row) for row in rows]


async def confirm(session: AsyncSession, sha256: str, now: datetime) -> None:
    """Note that the broker has all blocks of a file."""
    await session.execute(
        sa.update(PublishedContent)
        .where(PublishedContent.sha256 == sha256)
        .values(published_at=now)
    )


async def confirm_removal(session: AsyncSession, sha256: str, now: datetime) -> None:
    """Note that the broker has no blocks of a file, unless it is wanted again meanwhile."""
    await session.execute(
        sa.update(PublishedContent)
        .where(PublishedContent.sha256 == sha256, PublishedContent.wanted_until <= now)
        .values(removed_at=now, published_at=None)
    )


async def compare(session: AsyncSession, held: Collection[str]) -> int:
    """Have published what the broker lost, and removed what came back; returns how many files.

    Args:
        session: Open transaction.
        held: Files whose first block the broker retains. It is published last and removed
            first, so it stands for the whole file.
    """
    there = sa.literal([*held], ARRAY(sa.Text()))  # one parameter, however many they are
    lost = await session.execute(
        sa.update(PublishedContent)
        .where(
            PublishedContent.published_at.is_not(None),
            PublishedContent.removed_at.is_(None),
            PublishedContent.sha256 != sa.all_(there),
        )
        .values(published_at=None)
        .returning(PublishedContent.sha256)
    )
    back = await session.execute(
        sa.update(PublishedContent)
        .where(PublishedContent.removed_at.is_not(None), PublishedContent.sha256 == sa.any_(there))
        .values(removed_at=None)
        .returning(PublishedContent.sha256)
    )
    return len(lost.all()) + len(back.all())
