"""Of starts that were withdrawn: what proves at each cluster that nothing was heard.

A device writes `started` into its journal before the first sample leaves the amplifier, and says
with each heartbeat how many records are not confirmed yet. A heartbeat after the latest start with
none, and no such record here: it never sounded (docs/wire.md §8). Before that, a programme without
the item, which the device says to hold, shows that it will not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.kit.english import Said
from broadcast.kit.times import Moment
from broadcast.plays.model import Play
from broadcast.schedules.cancellation import WITHDRAWN
from broadcast.schedules.findings import moment
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.stations.model import Cluster

MOST_STARTS = 10
"""Starts that are shown, the latest ones."""


class Proof(StrEnum):
    """What is known of a withdrawn start at a cluster, the worst first."""

    SOUNDED = "sounded"
    """It had begun: before the withdrawal came, or without a link."""
    OPEN = "open"
    """The device has not told that it knows of the withdrawal."""
    DROPPED = "dropped"
    """It holds a programme without the item; its journal after the start is not complete yet."""
    SILENT = "silent"
    """Its journal is complete beyond the latest start and has no record of it."""
    NO_DEVICE = "no_device"


class Seen(NamedTuple):
    """What devices told of a withdrawn start at a cluster."""

    device: str | None
    fetched: bool
    """The device reported that it had the sound."""
    dropped_at: datetime | None
    """When it first told that it holds newer programmes, in place of all that had the item."""
    sounded_at: datetime | None
    """Of its journal."""
    told_at: datetime | None
    """Of a sign of life after the latest start, by which all its records are stored."""


def proof_of(seen: Seen) -> Proof:
    """Judge what is known."""
    if seen.sounded_at is not None:
        return Proof.SOUNDED
    if seen.device is None:
        return Proof.NO_DEVICE
    if seen.told_at is not None:
        return Proof.SILENT
    return Proof.OPEN if seen.dropped_at is None else Proof.DROPPED


def text_of(seen: Seen) -> str:
    """What is known, for people."""
    match proof_of(seen):
        case Proof.SOUNDED:
            assert seen.sounded_at is not None
            return f"đã bắt đầu phát lúc {moment(seen.sounded_at)}"
        case Proof.NO_DEVICE:
            return "cụm loa không có thiết bị vào giờ đó"
        case Proof.SILENT:
            assert seen.told_at is not None
            told_at = moment(seen.told_at)
            return f"không phát: nhật ký của loa đủ đến {told_at}, không ghi buổi phát này"
        case Proof.DROPPED:
            assert seen.dropped_at is not None
            return f"loa đã bỏ bản tin từ {moment(seen.dropped_at)}; chờ nhật ký sau giờ phát"
        case Proof.OPEN:
            return "loa chưa báo là đã biết việc rút"


class ClusterOut(BaseModel):
    """One cluster of a withdrawn start."""

    code: str
    name: str
    device: str | None
    proof: Proof
    fetched: bool = Field(description="loa đã tải xong âm thanh trước khi rút")
    dropped_at: Moment | None = Field(description="loa báo đã giữ chương trình không có bản tin")
    told_at: Moment | None = Field(description="nhật ký của loa đủ đến lúc này")
    sounded_at: Moment | None
    text: Said


class WithdrawnOut(BaseModel):
    """A start that was withdrawn, and whether it was heard."""

    occurrence_id: UUID
    title: str
    starts_at: Moment
    counts: dict[Proof, int]
    clusters: list[ClusterOut] = Field(description="nơi chưa chắc đã im trước")


async def withdrawn_starts(session: AsyncSession, bulletin_id: UUID) -> list[WithdrawnOut]:
    """The latest withdrawn starts of a bulletin at the clusters of the caller, soonest first."""
    rows = await session.scalars(
        sa.select(Occurrence)
        .where(
            Occurrence.bulletin_id == bulletin_id,
            Occurrence.state == OccurrenceState.CANCELLED,
            Occurrence.cancel_reason == WITHDRAWN,
        )
        .order_by(Occurrence.starts_at.desc(), Occurrence.id)
        .limit(MOST_STARTS)
    )
    occurrences = sorted(rows, key=lambda each: each.starts_at)
    if not occurrences:
        return []
    planned = await session.execute(
        sa.select(Play.occurrence_id, Cluster.id, Cluster.code, Cluster.name)
        .join(Cluster, Cluster.id == Play.cluster_id)
        .where(
            Play.occurrence_id.in_([each.id for each in occurrences]),
            Play.starts_at >= occurrences[0].starts_at,
            Play.starts_at <= occurrences[-1].starts_at,
        )
    )
    places = {(id_, cluster): (code, name) for id_, cluster, code, name in planned}
    async with scope.whole(session):
        seen = await _seen(session, places)
    shown: defaultdict[UUID, list[ClusterOut]] = defaultdict(list)
    for key, (code, name) in places.items():
        shown[key[0]].append(_shown(code, name, seen[key]))
    return [_start(each, shown[each.id]) for each in occurrences]


def _start(occurrence: Occurrence, clusters: list[ClusterOut]) -> WithdrawnOut:
    worst = list(Proof)
    return WithdrawnOut(
        occurrence_id=occurrence.id,
        title=occurrence.title,
        starts_at=occurrence.starts_at,
        counts=Counter(each.proof for each in clusters),
        clusters=sorted(clusters, key=lambda each: (worst.index(each.proof), each.code)),
    )


def _shown(code: str, name: str, seen: Seen) -> ClusterOut:
    return ClusterOut(
        code=code, name=name, proof=proof_of(seen), text=text_of(seen), **seen._asdict()
    )


_SEEN = sa.text("""
    WITH n AS MATERIALIZED (
        SELECT o.id AS occurrence_id, k.cluster_id, o.starts_at,
               LEAST(o.ends_by, o.starts_at
                     + GREATEST(o.late_limit_seconds, 1) * interval '1 second') AS latest_at
        FROM unnest(CAST(:occurrences AS uuid[]), CAST(:clusters AS integer[]))
            AS k (occurrence_id, cluster_id)
        JOIN occurrences AS o ON o.id = k.occurrence_id
    ),
    carriers AS MATERIALIZED (
        SELECT o.occurrence_id, p.scope || '/' || p.kind AS document, max(p.revision) AS revision
        FROM (SELECT DISTINCT occurrence_id FROM n) AS o
        JOIN programme_revisions AS p ON p.occurrence_ids @> ARRAY[o.occurrence_id]
        GROUP BY o.occurrence_id, p.scope, p.kind
    )
    SELECT n.occurrence_id, n.cluster_id, d.code AS device,
        COALESCE(r.state = 'ready', false) AS fetched,
        CASE WHEN dropped.everywhere THEN dropped.at END AS dropped_at,
        (
            SELECT min(j.at) FROM journal_records AS j
            WHERE j.occurrence_id = CAST(n.occurrence_id AS text)
              AND j.cluster_id = n.cluster_id AND j.event = 'started'
        ) AS sounded_at,
        COALESCE(
            (
                SELECT min(s.hour) FROM health_hours AS s
                WHERE s.device_id = d.id AND s.hour > n.latest_at
                  AND s.beats > 0 AND s.journal_pending_max = 0
            ),
            (
                SELECT min(h.sent_at) FROM heartbeats AS h
                WHERE h.device_id = d.id AND h.sent_at > n.latest_at
                  AND h.received_on BETWEEN CAST(n.latest_at AS date)
                      AND CAST(n.latest_at AS date) + 1
                  AND COALESCE((h.body ->> 'journal_pending')::bigint, 0) = 0
            )
        ) AS told_at
    FROM n
    LEFT JOIN installations AS i
        ON i.cluster_id = n.cluster_id AND i.installed_at <= n.starts_at
        AND (i.removed_at IS NULL OR i.removed_at > n.starts_at)
    LEFT JOIN devices AS d ON d.id = i.device_id
    LEFT JOIN readiness AS r ON r.device_id = d.id AND r.occurrence_id = n.occurrence_id
    LEFT JOIN LATERAL (
        SELECT max(newer.at) AS at, bool_and(newer.at IS NOT NULL) AS everywhere
        FROM carriers AS c
        CROSS JOIN LATERAL (
            SELECT min(t.received_at) AS at FROM receipts AS t
            WHERE t.device_id = d.id AND t.document = c.document AND t.revision > c.revision
        ) AS newer
        WHERE c.occurrence_id = n.occurrence_id
          AND EXISTS (
              SELECT FROM receipts AS t WHERE t.device_id = d.id AND t.document = c.document
          )
    ) AS dropped ON true
""")
"""Revisions of a document grow with time: one above the newest with the item is without it.

Heartbeats one by one are looked at only where no hour of them is summed up yet."""


async def _seen(
    session: AsyncSession, keys: Iterable[tuple[UUID, int]]
) -> dict[tuple[UUID, int], Seen]:
    keys = list(keys)
    rows = await session.execute(
        _SEEN,
        {
            "occurrences": [occurrence for occurrence, _ in keys],
            "clusters": [cluster for _, cluster in keys],
        },
    )
    found = rows.mappings()
    return {
        (row["occurrence_id"], row["cluster_id"]): Seen(*(row[name] for name in Seen._fields))
        for row in found
    }
