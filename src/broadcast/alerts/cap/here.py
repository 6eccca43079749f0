"""The places of this province, read for judging a message."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.cap.places import Here
from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.boundaries import shapes
from broadcast.boundaries.centroids import centroids
from broadcast.boundaries.formats import Point
from broadcast.boundaries.model import Boundary
from broadcast.stations.model import Cluster, ClusterVillage, Grade


async def load(session: AsyncSession, province: str, on: date) -> Here:
    """The communes' outlines, as the map has them, and where the villages are.

    A commune without an imported outline has the cell around its known point.
    """
    lineage = (await scope.territory_of(session)).lineage
    communes = [unit.code for unit in lineage.tree_on(on).under(province, Level.COMMUNE)]
    stored = await session.execute(
        sa.select(Boundary.area_code, Boundary.polygons).where(Boundary.area_code.in_(communes))
    )
    outlines = {row[0]: row[1] for row in stored}
    points = {code: centroids()[code] for code in communes if code in centroids()}
    if len(outlines) < len(points):
        outlines = await asyncio.to_thread(shapes.cells, points) | outlines
    positions: dict[str, list[Point]] = defaultdict(list)
    served = await session.execute(
        sa.select(ClusterVillage.village_code, Cluster.longitude, Cluster.latitude)
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(
            ClusterVillage.grade == Grade.PRIMARY,
            ClusterVillage.valid_from <= on,
            sa.or_(ClusterVillage.valid_to.is_(None), ClusterVillage.valid_to >= on),
            sa.or_(Cluster.removed_on.is_(None), Cluster.removed_on > on),
            Cluster.latitude.is_not(None),
            Cluster.longitude.is_not(None),
        )
    )
    for village, longitude, latitude in served:
        assert longitude is not None
        assert latitude is not None
        positions[village].append((longitude, latitude))
    return Here(province, lineage, on, outlines, positions)
