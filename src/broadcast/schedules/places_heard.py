"""Villages and clusters that targets reach, and which of these are out of contact."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Installation
from broadcast.schedules import targets
from broadcast.schedules.findings import Place
from broadcast.schedules.targets import Targets
from broadcast.stations.model import Cluster
from broadcast.telemetry.model import DevicePresence
from broadcast.telemetry.presence import Presence

IN_CONTACT = (Presence.ONLINE, Presence.SILENT)
"""A device that has been silent for some minutes is not lost yet."""


async def places_of(
    session: AsyncSession, wanted: Targets, wanted_on: date, on: date
) -> list[Place]:
    """Villages of a day that targets reach, and clusters that they name."""
    resolver = await targets.target_resolver(session)
    places = []
    for number, target in enumerate(wanted):
        if "cluster" in target:
            reached = await resolver.resolve([target], wanted_on, on)
            name = await session.scalar(
                sa.select(Cluster.name).where(Cluster.code == target["cluster"])
            )
            places.append(
                Place(number, target["cluster"], name or "", reached.cluster_ids, is_village=False)
            )
            continue
        served = await resolver.villages([target], wanted_on, on)
        places += [
            Place(number, code, resolver.name(code, on), clusters)
            for code, clusters in served.items()
        ]
    return places


async def out_of_contact(session: AsyncSession, cluster_ids: Collection[int]) -> frozenset[int]:
    """Those of these clusters, each with a device, that the server does not hear."""
    heard = await session.scalars(
        sa.select(Installation.cluster_id)
        .join(DevicePresence, DevicePresence.device_id == Installation.device_id)
        .where(
            Installation.cluster_id.in_(cluster_ids),
            Installation.removed_at.is_(None),
            DevicePresence.presence.in_(IN_CONTACT),
        )
    )
    return frozenset(cluster_ids) - frozenset(heard)
