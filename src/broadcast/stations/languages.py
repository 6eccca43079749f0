"""Languages in which clusters speak to the villages that they serve first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.languages import Spoken, together
from broadcast.areas.village_languages import spoken_on
from broadcast.stations.clusters import serves_on, stands_on
from broadcast.stations.model import Cluster, ClusterVillage, Grade


async def villages_of_clusters(
    session: AsyncSession, on: date, cluster_ids: Collection[int] | None = None
) -> dict[int, list[str]]:
    """Villages that clusters serve first on a day; of all clusters, or of these."""
    statement = (
        sa.select(ClusterVillage.cluster_id, ClusterVillage.village_code)
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(stands_on(on), serves_on(on), ClusterVillage.grade == Grade.PRIMARY)
        .order_by(ClusterVillage.cluster_id, ClusterVillage.village_code)
    )
    if cluster_ids is not None:
        statement = statement.where(ClusterVillage.cluster_id.in_(cluster_ids))
    found: defaultdict[int, list[str]] = defaultdict(list)
    for cluster_id, village in await session.execute(statement):
        found[cluster_id].append(village)
    return found


async def languages_of_clusters(
    session: AsyncSession, on: date, cluster_ids: Collection[int] | None = None
) -> dict[int, list[str]]:
    """Languages of clusters on a day, in their order; a cluster without any is left out."""
    spoken: dict[str, list[Spoken]] = await spoken_on(session, on)
    if not spoken:
        return {}
    villages = await villages_of_clusters(session, on, cluster_ids)
    orders = {
        cluster_id: together(spoken.get(code, []) for code in codes)
        for cluster_id, codes in villages.items()
    }
    return {cluster_id: order for cluster_id, order in orders.items() if order}
