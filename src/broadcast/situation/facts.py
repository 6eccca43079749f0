"""Facts of clusters, read in a handful of statements however many there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.tree import DAY, Tree
from broadcast.devices.model import Device, Installation
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.kit.clock import LOCAL
from broadcast.plays.model import Play, PlayState
from broadcast.situation.condition import Facts
from broadcast.stations.clusters import serves_on, stands_on
from broadcast.stations.model import Attestation, Cluster, ClusterVillage, Evidence, Outage
from broadcast.telemetry.model import DevicePresence, Fault, Readiness
from broadcast.telemetry.presence import Presence

SOON = timedelta(hours=2)
"""Time ahead in which a play that is not ready is told. Shorter: nobody can do anything any more.
Longer: sound that is still on its way looks like a failure."""

UNREADY = ("bad_audio", "no_codec", "storage_full", "waiting")
"""States of `wire.events.Ready` in which a play could not sound now."""


class Known(NamedTuple):
    """A cluster with what is known of it."""

    id: int
    code: str
    name: str
    latitude: float | None
    longitude: float | None
    device: str | None
    villages: tuple[str, ...]
    facts: Facts
    plays: Mapping[PlayState, int]
    incidents: frozenset[int]


async def read(
    session: AsyncSession,
    tree: Tree,
    villages: Collection[str] | None,
    now: datetime,
    speaker_faults: Collection[str],
) -> list[Known]:
    """Clusters that stand today, by code.

    Args:
        session: Transaction; what it finds.
        tree: Units of today.
        villages: Those that serve one of these; None for all.
        now: The present.
        speaker_faults: Kinds of faults in which no sound comes out.
    """
    today = now.astimezone(LOCAL).date()
    served = await _served(session, now)
    ids: list[int] | None = None
    if villages is not None:
        wanted = set(villages)
        ids = [each for each, codes in served.items() if not wanted.isdisjoint(codes)]
    rows = await session.execute(
        _of(ids, Cluster.id, sa.select(
            Cluster.id, Cluster.code, Cluster.name, Cluster.latitude, Cluster.longitude,
            Cluster.evidence, Device.id, Device.code, DevicePresence.presence,
            DevicePresence.since, DevicePresence.last_seen_at,
        ))
        .outerjoin(
            Installation,
            sa.and_(Installation.cluster_id == Cluster.id, Installation.removed_at.is_(None)),
        )
        .outerjoin(Device, Device.id == Installation.device_id)
        .outerjoin(DevicePresence, DevicePresence.device_id == Device.id)
        .where(stands_on(today))
        .order_by(Cluster.code)
    )  # fmt: skip
    begins = datetime.combine(today, time(), LOCAL)
    plays, missed = await _plays(session, ids, begins)
    unready = await _unready(session, ids, now)
    attested = await _attested(session, ids)
    faults = await _faults(session)
    outages = await _outages(session, now)
    incidents = await _incidents(session, ids)
    found: list[Known] = []
    for (
        id_, code, name, latitude, longitude, evidence, device_id, device, presence, since, seen
    ) in rows:  # fmt: skip
        codes = served.get(id_, ())
        speaker, other = _oldest(faults.get(device_id, ()), speaker_faults)
        facts = Facts(
            reports=evidence is Evidence.TELEMETRY,
            presence=None if device_id is None else presence or Presence.NEVER_SEEN,
            since=since,
            last_seen_at=seen,
            speaker_fault_since=speaker,
            fault_since=other,
            is_unready=id_ in unready,
            last_missed_at=missed.get(id_),
            attested_at=attested.get(id_),
            outage_until=_outage(outages, id_, codes, tree),
        )
        found.append(
            Known(
                id_, code, name, latitude, longitude, device, codes, facts,
                plays.get(id_, {}), incidents.get(id_, frozenset()),
            )
        )  # fmt: skip
    return found


def _of(ids: list[int] | None, column: Any, statement: Any) -> Any:
    return statement if ids is None else statement.where(column.in_(ids))


async def _served(session: AsyncSession, now: datetime) -> dict[int, tuple[str, ...]]:
    """Villages that each cluster serves today."""
    rows = await session.execute(
        sa.select(ClusterVillage.cluster_id, ClusterVillage.village_code)
        .where(serves_on(now.astimezone(LOCAL).date()))
        .order_by(ClusterVillage.cluster_id, ClusterVillage.village_code)
    )
    served: dict[int, list[str]] = {}
    for cluster_id, village in rows:
        served.setdefault(cluster_id, []).append(village)
    return {cluster_id: tuple(codes) for cluster_id, codes in served.items()}


async def _plays(
    session: AsyncSession, ids: list[int] | None, begins: datetime
) -> tuple[dict[int, dict[PlayState, int]], dict[int, datetime]]:
    """Plays of the day by cluster and state; of whose last settled one failed: when that was."""
    rows = await session.execute(
        _of(ids, Play.cluster_id, sa.select(
            Play.cluster_id, Play.state, sa.func.count(), sa.func.max(Play.starts_at)
        ))
        .where(Play.starts_at >= begins, Play.starts_at < begins + DAY)
        .where(Play.state != PlayState.CANCELLED)
        .group_by(Play.cluster_id, Play.state)
    )  # fmt: skip
    counts: dict[int, dict[PlayState, int]] = {}
    failed: dict[int, datetime] = {}
    played: dict[int, datetime] = {}
    for cluster_id, state, count, last in rows:
        counts.setdefault(cluster_id, {})[state] = count
        if state in {PlayState.MISSED, PlayState.PARTIAL}:
            failed[cluster_id] = max(last, failed.get(cluster_id, last))
        elif state in {PlayState.PLAYED, PlayState.PREEMPTED}:
            played[cluster_id] = max(last, played.get(cluster_id, last))
    return counts, {
        each: at for each, at in failed.items() if each not in played or at > played[each]
    }


async def _unready(session: AsyncSession, ids: list[int] | None, now: datetime) -> set[int]:
    """Clusters whose device has reported that a play of soon could not sound."""
    rows = await session.scalars(
        _of(ids, Play.cluster_id, sa.select(Play.cluster_id))
        .join(Installation, Installation.cluster_id == Play.cluster_id)
        .join(
            Readiness,
            sa.and_(
                Readiness.occurrence_id == Play.occurrence_id,
                Readiness.device_id == Installation.device_id,
            ),
        )
        .where(Installation.removed_at.is_(None), Readiness.state.in_(UNREADY))
        .where(Play.state == PlayState.PLANNED)
        .where(Play.starts_at >= now, Play.starts_at < now + SOON)
        .distinct()
    )
    return set(rows)


async def _attested(session: AsyncSession, ids: list[int] | None) -> dict[int, datetime]:
    rows = await session.execute(
        _of(ids, Attestation.cluster_id, sa.select(
            Attestation.cluster_id, sa.func.max(Attestation.attested_at)
        )).group_by(Attestation.cluster_id)
    )  # fmt: skip
    return {row[0]: row[1] for row in rows}


async def _faults(session: AsyncSession) -> dict[int, list[tuple[str, datetime]]]:
    """Open faults by device."""
    rows = await session.execute(
        sa.select(Fault.device_id, Fault.kind, Fault.opened_at).where(Fault.closed_at.is_(None))
    )
    found: dict[int, list[tuple[str, datetime]]] = {}
    for device_id, kind, opened_at in rows:
        found.setdefault(device_id, []).append((kind, opened_at))
    return found


def _oldest(
    faults: Collection[tuple[str, datetime]], speaker: Collection[str]
) -> tuple[datetime | None, datetime | None]:
    """Since when the oldest fault has been open, of those without sound and of the others."""
    return (
        min((at for kind, at in faults if kind in speaker), default=None),
        min((at for kind, at in faults if kind not in speaker), default=None),
    )


async def _outages(session: AsyncSession, now: datetime) -> list[tuple[Any, ...]]:
    rows = await session.execute(
        sa.select(Outage.cluster_id, Outage.area_code, Outage.ends_at).where(
            Outage.starts_at <= now, Outage.ends_at > now
        )
    )
    return [tuple(row) for row in rows]


def _outage(
    outages: Collection[tuple[Any, ...]], cluster_id: int, villages: Collection[str], tree: Tree
) -> datetime | None:
    """End of the last outage of a cluster: its own, or of a unit in which a village lies."""
    if not outages:
        return None
    places = {unit.code for village in villages for unit in tree.chain(village)}
    return max(
        (ends for cluster, area, ends in outages if cluster == cluster_id or area in places),
        default=None,
    )


async def _incidents(session: AsyncSession, ids: list[int] | None) -> dict[int, frozenset[int]]:
    """Incidents that are not closed, in which a cluster is down now."""
    rows = await session.execute(
        _of(ids, IncidentLoss.cluster_id, sa.select(
            IncidentLoss.cluster_id, IncidentLoss.incident_id
        ).join(Incident, Incident.id == IncidentLoss.incident_id))
        .where(IncidentLoss.returned_at.is_(None), Incident.closed_by_hand_at.is_(None))
    )  # fmt: skip
    found: dict[int, set[int]] = {}
    for cluster_id, incident_id in rows:
        found.setdefault(cluster_id, set()).add(incident_id)
    return {cluster_id: frozenset(ids) for cluster_id, ids in found.items()}
