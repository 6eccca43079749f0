"""How an occurrence sounded: village by village, each with its proof or reason and remedy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.spans import area_intervals
from broadcast.areas.tree import Lineage
from broadcast.areas.units import load_lineage
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Revision
from broadcast.kit.clock import LOCAL
from broadcast.plays import joined, soundings, texts
from broadcast.plays.ledger import month_of
from broadcast.plays.model import OPEN, Play
from broadcast.plays.schemas import ClusterResultOut, OccurrenceResultOut, VillageResultOut
from broadcast.plays.settle import Grade, PlayState, Settlement
from broadcast.plays.soundings import Sounding
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.queries import get_occurrence
from broadcast.stations.model import Cluster, ClusterVillage
from broadcast.stations.model import Grade as Service

ATTENTION = (
    Sounding.SILENT,
    Sounding.UNKNOWN,
    Sounding.PARTLY,
    Sounding.UNREACHED,
)
"""What somebody ought to look at, the worst first."""
_ORDER = (
    *ATTENTION,
    *(each for each in Sounding if each not in ATTENTION),
)


class _Village(NamedTuple):
    code: str
    name: str
    commune_code: str
    commune: str


async def result_of(
    session: AsyncSession, occurrence_id: UUID, caller: Caller
) -> OccurrenceResultOut:
    """How an occurrence sounded in the places of the caller.

    A village counts that was to hear it on its day: one that a cluster of the plan serves
    primarily, or that lies in an area of the audience and has no cluster (`UNREACHED`). A cluster
    that was taken out of the audience before the start counts for nothing.

    Raises:
        NotFound: There is no such occurrence in the caller's places.
    """
    occurrence = await get_occurrence(session, occurrence_id)
    is_cancelled = occurrence.state is OccurrenceState.CANCELLED
    async with scope.whole(session):
        seconds: float | None = occurrence.relay_seconds or await session.scalar(
            sa.select(Revision.seconds).where(
                Revision.bulletin_id == occurrence.bulletin_id,
                Revision.number == occurrence.bulletin_revision,
            )
        )
        heard = await joined.of_occurrence(session, occurrence_id)
    plays = await _plays(session, occurrence)
    counted = [play for play, *_ in plays if is_cancelled or play.state is not PlayState.CANCELLED]
    day = occurrence.starts_at.astimezone(LOCAL).date()
    serves = await _serves(session, [play.cluster_id for play, *_ in plays], day)
    lengths = {cluster_id: each.seconds for cluster_id, each in heard.items()}
    clusters = [
        _cluster(play, code, name, serves[play.cluster_id], lengths.get(play.cluster_id, seconds))
        for play, code, name in plays
    ]
    lineage = await load_lineage(session)
    readable = await scope.readable_scope(session, caller, Permission.READ)
    audience = {code for code in _audience(occurrence, lineage, day) if code in readable}
    served = {code for play in counted for code in serves[play.cluster_id]}
    villages = _villages(
        (each for each in clusters if is_cancelled or each.state is not PlayState.CANCELLED),
        _named(lineage, served | audience, day),
    )
    counts = Counter(each.sounding for each in villages)
    return OccurrenceResultOut(
        occurrence_id=occurrence.id,
        schedule_id=occurrence.schedule_id,
        bulletin_id=occurrence.bulletin_id,
        bulletin_revision=occurrence.bulletin_revision,
        title=occurrence.title,
        class_=occurrence.class_,
        starts_at=occurrence.starts_at,
        ends_by=occurrence.ends_by,
        state=occurrence.state,
        cancel_reason=occurrence.cancel_reason,
        audio_seconds=seconds,
        is_settled=all(play.state not in OPEN for play in counted),
        answer=texts.answer(
            counts,
            [
                (each.name, each.sounding, each.reason_text)
                for each in villages
                if each.sounding in ATTENTION
            ],
            occurrence.starts_at,
            (occurrence.cancel_reason or "") if is_cancelled else None,
        ),
        villages_count=len(villages),
        counts=dict(counts),
        villages=villages,
        clusters=clusters,
    )


async def _plays(session: AsyncSession, occurrence: Occurrence) -> list[tuple[Play, str, str]]:
    """Plays of an occurrence with code and name of the cluster, by code."""
    rows = await session.execute(
        sa.select(Play, Cluster.code, Cluster.name)
        .join(Cluster, Cluster.id == Play.cluster_id)
        .where(
            Play.occurrence_id == occurrence.id,
            Play.month == month_of(occurrence.recurrence_at),
        )
        .order_by(Cluster.code)
    )
    return [(play, code, name) for play, code, name in rows]


async def _serves(
    session: AsyncSession, cluster_ids: Iterable[int], on: date
) -> Mapping[int, list[str]]:
    """Villages that each cluster serves primarily on a day, by code."""
    rows = await session.execute(
        sa.select(ClusterVillage.cluster_id, ClusterVillage.village_code)
        .where(
            ClusterVillage.cluster_id.in_(list(cluster_ids)),
            ClusterVillage.grade == Service.PRIMARY,
            ClusterVillage.valid_from <= on,
            sa.or_(ClusterVillage.valid_to.is_(None), ClusterVillage.valid_to >= on),
        )
        .order_by(ClusterVillage.village_code)
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for cluster_id, code in rows:
        found[cluster_id].append(code)
    return found


def _audience(occurrence: Occurrence, lineage: Lineage, on: date) -> set[str]:
    """Villages of the areas that an occurrence is for, on its day."""
    areas = [each.removeprefix("area/") for each in occurrence.scopes if each.startswith("area/")]
    return {
        village
        for area in areas
        for interval in area_intervals(lineage, area, on, on)
        for unit in interval.units
        for village in interval.interval.tree.villages(unit)
    }


def _named(lineage: Lineage, codes: Iterable[str], on: date) -> list[_Village]:
    tree = lineage.tree_on(on)
    found = []
    for code in sorted(codes):
        unit = lineage.unit(code, on) or lineage.last(code, on)
        commune = next((each for each in tree.chain(code) if each.level is Level.COMMUNE), None)
        found.append(
            _Village(
                code,
                unit.called if unit else code,
                commune.code if commune else "",
                commune.called if commune else "",
            )
        )
    return found


def _cluster(
    play: Play, code: str, name: str, villages: list[str], audio_seconds: float | None
) -> ClusterResultOut:
    sounding = soundings.of_play(play.state, play.reason)
    settlement = Settlement(
        state=play.state,
        reason=play.reason,
        started_at=play.started_at,
        ended_at=play.ended_at,
        played_seconds=play.played_seconds,
        relayed_seconds=play.relayed_seconds,
        start_error_ms=play.start_error_ms,
    )
    return ClusterResultOut(
        code=code,
        name=name,
        villages=villages,
        sounding=sounding,
        verdict=texts.verdict(settlement, audio_seconds),
        state=play.state,
        reason=play.reason,
        reason_text=texts.reason(play.reason),
        remedy=texts.remedy(play.reason),
        started_at=play.started_at,
        ended_at=play.ended_at,
        played_seconds=play.played_seconds,
        start_error_ms=play.start_error_ms,
        evidence=Grade(play.evidence),
        evidence_text=texts.EVIDENCE[Grade(play.evidence)],
        settled_at=play.settled_at,
    )


def _villages(
    clusters: Iterable[ClusterResultOut], named: Iterable[_Village]
) -> list[VillageResultOut]:
    serving: defaultdict[str, list[ClusterResultOut]] = defaultdict(list)
    for cluster in clusters:
        for code in cluster.villages:
            serving[code].append(cluster)
    found = [_village(each, serving[each.code]) for each in named]
    return sorted(
        found, key=lambda each: (_ORDER.index(each.sounding), each.commune, each.name, each.code)
    )


def _village(village: _Village, clusters: list[ClusterResultOut]) -> VillageResultOut:
    sounding = soundings.of_village(each.sounding for each in clusters)
    of_it = next((each for each in clusters if each.sounding is sounding), None)
    return VillageResultOut(
        **village._asdict(),
        sounding=sounding,
        reason_text=of_it.reason_text if of_it else texts.SOUNDINGS[Sounding.UNREACHED],
        remedy=of_it.remedy if of_it else texts.UNREACHED_REMEDY,
        clusters=[each.code for each in clusters],
    )
