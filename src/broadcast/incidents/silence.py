"""Villages in which nothing is heard, because every loudspeaker that serves them is away.

A village is silent while no cluster that serves it as its primary one and has a device is heard;
since the last of these was lost. Clusters without a device say nothing either way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from broadcast.devices.model import Installation
from broadcast.incidents.model import IncidentLoss
from broadcast.stations.clusters import serves_on
from broadcast.stations.model import ClusterVillage, Grade

Silence = Mapping[int, Mapping[str, datetime]]
"""By incident: the silent villages, and since when."""


class Away(NamedTuple):
    """A cluster that is away, at one of its villages."""

    incident_id: int
    village: str
    fell_at: datetime


def silent(away: Iterable[Away], heard: Collection[str]) -> Silence:
    """The silent villages of each incident that has a part in their silence. Pure.

    Args:
        away: Clusters that are away, once for each village.
        heard: Villages in which another cluster is heard.
    """
    since: dict[str, datetime] = {}
    causes: dict[str, set[int]] = {}
    for each in away:
        if each.village not in heard:
            since[each.village] = max(each.fell_at, since.get(each.village, each.fell_at))
            causes.setdefault(each.village, set()).add(each.incident_id)
    found: dict[int, dict[str, datetime]] = {}
    for village, incidents in causes.items():
        for incident_id in incidents:
            found.setdefault(incident_id, {})[village] = since[village]
    return found


def seconds(villages: Mapping[str, datetime], at: datetime) -> int:
    """Seconds for which villages have been silent, added up. Pure."""
    return sum(max(0, int((at - since).total_seconds())) for since in villages.values())


async def silence(session: AsyncSession, on: date, incident_id: int | None = None) -> Silence:
    """The silent villages of all incidents, or of one, by who serves which village on a day."""
    serves = sa.and_(serves_on(on), ClusterVillage.grade == Grade.PRIMARY)
    if incident_id is not None:
        lost_by_it = sa.select(IncidentLoss.cluster_id).where(
            IncidentLoss.incident_id == incident_id, IncidentLoss.returned_at.is_(None)
        )
        theirs = aliased(ClusterVillage)
        villages = sa.select(theirs.village_code).where(theirs.cluster_id.in_(lost_by_it))
        serves = sa.and_(serves, ClusterVillage.village_code.in_(villages))
    lost = sa.select(IncidentLoss.cluster_id).where(IncidentLoss.returned_at.is_(None))
    away = await session.execute(
        sa.select(IncidentLoss.incident_id, ClusterVillage.village_code, IncidentLoss.fell_at)
        .join(ClusterVillage, ClusterVillage.cluster_id == IncidentLoss.cluster_id)
        .where(IncidentLoss.returned_at.is_(None), serves)
    )
    found = [Away(*row) for row in away]
    if not found:
        return {}
    heard = await session.scalars(
        sa.select(ClusterVillage.village_code)
        .join(
            Installation,
            sa.and_(
                Installation.cluster_id == ClusterVillage.cluster_id,
                Installation.removed_at.is_(None),
            ),
        )
        .where(serves, ClusterVillage.cluster_id.not_in(lost))
        .distinct()
    )
    return silent(found, frozenset(heard))
