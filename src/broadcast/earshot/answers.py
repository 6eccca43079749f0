"""Groups of the caller's places, and how they began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.earshot import groups, texts
from broadcast.earshot.groups import Pair, Point
from broadcast.earshot.model import EarshotPair
from broadcast.earshot.schemas import GroupOut, LinkOut, MemberOut, SpreadOut, StartOut
from broadcast.earshot.spread import Judged, Start, Verdict, spread
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.stations.clusters import stands_on
from broadcast.stations.model import Cluster

SHOWN = timedelta(days=7)
"""How far back starts are compared."""

MOST_SPREADS = 20
"""Occurrences of one group that are shown."""

MOST_CLUSTERS = 60
"""Clusters of one group that are shown: those nearest to the one that was asked for."""

MOST_GROUPS = 500


class _Known(NamedTuple):
    """Where clusters stand, and which are heard together."""

    clusters: Mapping[int, Cluster]
    said: Mapping[Pair, bool]
    within: Mapping[Pair, float | None]


async def list_groups(session: AsyncSession, reach: int, now: datetime) -> list[GroupOut]:
    """Every group with its latest occurrence, who began apart first; at most `MOST_GROUPS`."""
    known = await _known(session, reach, now)
    found = groups.groups(known.within)[:MOST_GROUPS]
    number_of = {each: number for number, group in enumerate(found) for each in group}
    starts: defaultdict[int, list[_Started]] = defaultdict(list)
    for each in await _starts(session, number_of, now - timedelta(days=1), now):
        starts[number_of[each.start.cluster_id]].append(each)
    pairs: defaultdict[int, list[_Pair]] = defaultdict(list)
    for pair in _pairs(known):
        if pair.one in number_of:
            pairs[number_of[pair.one]].append(pair)
    listed = [
        _group(known, sorted(group), min(group), starts[number], pairs[number], most=1)
        for number, group in enumerate(found)
    ]
    return sorted(listed, key=_urgency)


async def group_of(session: AsyncSession, code: str, reach: int, now: datetime) -> GroupOut:
    """The group of a cluster; of one that is heard alone, a group of itself.

    Raises:
        NotFound: There is no such cluster today in the caller's places.
    """
    known = await _known(session, reach, now)
    of = next((each.id for each in known.clusters.values() if each.code == code), None)
    if of is None:
        raise NotFound(f"Không có cụm loa mã “{code}”.")
    found = next((each for each in groups.groups(known.within) if of in each), frozenset({of}))
    members = groups.nearest(of, found, known.within, MOST_CLUSTERS)
    starts = await _starts(session, members, now - SHOWN, now)
    return _group(known, sorted(members), min(found), starts, _pairs(known), most=MOST_SPREADS)


async def _known(session: AsyncSession, reach: int, now: datetime) -> _Known:
    today = now.astimezone(LOCAL).date()
    rows = await session.scalars(sa.select(Cluster).where(stands_on(today)))
    clusters = {each.id: each for each in rows}
    said = {
        (row.cluster_id, row.other_id): row.heard
        for row in await session.scalars(sa.select(EarshotPair))
        if row.cluster_id in clusters and row.other_id in clusters
    }
    places = {
        each.id: Point(each.latitude, each.longitude)
        for each in clusters.values()
        if each.latitude is not None and each.longitude is not None
    }
    return _Known(clusters, said, groups.pairs(places, reach, said))


def _urgency(group: GroupOut) -> tuple[int, int]:
    """Who began out of time first, then who began at all, then the largest."""
    verdict = group.spreads[0].verdict if group.spreads else None
    worst = len(Verdict) if verdict is None else list(Verdict).index(verdict)
    return worst, -group.clusters_count


class _Started(NamedTuple):
    """A play that is over, or sounds, with what its first start told."""

    occurrence_id: UUID
    title: str
    starts_at: datetime
    start: Start


_STARTS = sa.text("""
    SELECT p.occurrence_id, o.title, p.starts_at, p.cluster_id, p.started_at, j.at,
           j.offset_ms, j.uncertainty_ms
    FROM plays AS p
    JOIN occurrences AS o ON o.id = p.occurrence_id AND o.alert_mode IS NULL
    LEFT JOIN LATERAL (
        SELECT at, CAST(body->>'clock_offset_ms' AS bigint) AS offset_ms,
               CAST(body->>'clock_uncertainty_ms' AS bigint) AS uncertainty_ms
        FROM journal_records
        WHERE occurrence_id = p.occurrence_id::text AND cluster_id = p.cluster_id
          AND event = 'started'
        ORDER BY at, seq LIMIT 1
    ) AS j ON p.started_at IS NOT NULL
    WHERE p.starts_at >= :since AND p.starts_at < :now
      AND p.cluster_id = ANY(CAST(:clusters AS integer[]))
      AND p.state NOT IN ('cancelled', 'planned')
    ORDER BY p.starts_at DESC, p.occurrence_id
""")


async def _starts(
    session: AsyncSession, clusters: Collection[int], since: datetime, now: datetime
) -> list[_Started]:
    """Starts at these clusters, the newest first; they were found in the caller's places."""
    async with scope.whole(session):
        rows = await session.execute(
            _STARTS, {"since": since, "now": now, "clusters": sorted(clusters)}
        )
        return [
            _Started(
                row.occurrence_id,
                row.title,
                row.starts_at,
                Start(
                    row.cluster_id,
                    None
                    if row.started_at is None
                    else ((row.at or row.started_at) - row.starts_at).total_seconds() * 1000,
                    row.offset_ms,
                    row.uncertainty_ms,
                ),
            )
            for row in rows
        ]


class _Pair(NamedTuple):
    """Two clusters that are heard together, or of which a person has said that they are not."""

    one: int
    other: int
    metres: float | None


def _pairs(known: _Known) -> list[_Pair]:
    found = {pair: None for pair, heard in known.said.items() if not heard} | dict(known.within)
    return [_Pair(*pair, metres) for pair, metres in sorted(found.items())]


def _group(
    known: _Known,
    members: list[int],
    named: int,
    starts: Iterable[_Started],
    pairs: Iterable[_Pair],
    most: int,
) -> GroupOut:
    there = set(members)
    occurrences: defaultdict[UUID, list[_Started]] = defaultdict(list)
    for each in starts:
        if each.start.cluster_id in there:
            occurrences[each.occurrence_id].append(each)
    shared = [rows for rows in occurrences.values() if len(rows) > 1][:most]
    spreads = [_spread(known, rows) for rows in shared]
    latest = spread(each.start for each in shared[0]) if shared else None
    clusters = [known.clusters[each] for each in members]
    return GroupOut(
        cluster=known.clusters[named].code,
        clusters_count=len(members),
        answer=texts.answer(
            len(members),
            latest.width_ms if latest else None,
            latest.doubt_ms if latest else None,
            latest.starts if latest else [],
        ),
        clusters=[
            MemberOut(
                code=each.code, name=each.name, latitude=each.latitude, longitude=each.longitude
            )
            for each in sorted(clusters, key=lambda each: each.code)
        ],
        links=_links(known, there, pairs),
        spreads=spreads,
    )


def _links(known: _Known, there: Collection[int], pairs: Iterable[_Pair]) -> list[LinkOut]:
    return [
        LinkOut(
            cluster=known.clusters[one].code,
            other=known.clusters[other].code,
            metres=None if metres is None else round(metres, 1),
            heard=(one, other) in known.within,
            said=(one, other) in known.said,
        )
        for one, other, metres in pairs
        if one in there and (other in there or (one, other) in known.said)
    ]


def _spread(known: _Known, rows: list[_Started]) -> SpreadOut:
    found = spread(each.start for each in rows)
    return SpreadOut(
        occurrence_id=rows[0].occurrence_id,
        title=rows[0].title,
        starts_at=rows[0].starts_at,
        width_ms=None if found.width_ms is None else round(found.width_ms, 1),
        doubt_ms=found.doubt_ms,
        verdict=found.verdict,
        starts=[_start(known.clusters[each.cluster_id], each) for each in found.starts],
    )


def _start(cluster: Cluster, judged: Judged) -> StartOut:
    return StartOut(
        cluster=cluster.code,
        name=cluster.name,
        late_ms=None if judged.late_ms is None else round(judged.late_ms, 1),
        uncertainty_ms=judged.uncertainty_ms,
        verdict=judged.verdict,
        verdict_text=texts.VERDICTS[judged.verdict],
        cause=judged.cause,
        cause_text="" if judged.cause is None else texts.CAUSES[judged.cause],
        remedy="" if judged.cause is None else texts.REMEDIES[judged.cause],
    )
