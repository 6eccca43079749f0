"""Devices on clusters over time, as REST shows them."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device, Installation
from broadcast.kit.times import Moment
from broadcast.stations.model import Cluster


class InstallationView(BaseModel):
    """A device on a cluster for a span of time."""

    cluster_code: str
    device_code: str
    installed_at: Moment
    removed_at: Moment | None


async def installations(
    session: AsyncSession, where: sa.ColumnElement[bool]
) -> list[InstallationView]:
    """Installations of a device or on a cluster, oldest first."""
    rows = await session.execute(
        sa.select(Cluster.code, Device.code, Installation.installed_at, Installation.removed_at)
        .select_from(Installation)
        .join(Cluster, Cluster.id == Installation.cluster_id)
        .join(Device, Device.id == Installation.device_id)
        .where(where)
        .order_by(Installation.installed_at)
    )
    return [
        InstallationView(
            cluster_code=cluster, device_code=device, installed_at=began, removed_at=ended
        )
        for cluster, device, began, ended in rows
    ]
