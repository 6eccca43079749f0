"""Conditions of occurrences audible in an area or at a cluster, on each day of a span."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Unknown
from broadcast.schedules.model import Occurrence
from broadcast.stations.clusters import find_cluster
from broadcast.stations.spans import Days, area_over, clusters_over, during, followed_over


async def audible_in_area(session: AsyncSession, code: str, days: Days) -> sa.ColumnElement[bool]:
    """Return the condition that an occurrence is audible in an area: of it, above it or in it.

    Raises:
        InvalidInput: It is a unit on no day of the span.
    """
    found = await area_over(session, "area", code, days)
    scopes = {
        Days(*each.interval[:2]): {f"area/{unit}" for unit in each.heard()} for each in found
    }
    return _carried(scopes, await _devices(session, await clusters_over(session, found)))


async def audible_at_cluster(
    session: AsyncSession, code: str, days: Days
) -> sa.ColumnElement[bool]:
    """Return the condition that an occurrence is for a cluster, by its areas or for it alone.

    Raises:
        InvalidInput: There is no such cluster.
    """
    cluster = await find_cluster(session, code)
    if cluster is None:
        raise Unknown("cluster", f"không có cụm loa “{code}”; kiểm tra lại mã")
    followed = await followed_over(session, cluster.id, days)
    scopes = {span: {f"area/{unit}" for unit in units} for span, units in followed.items()}
    return _carried(scopes, await _devices(session, {days: {cluster.id}}))


async def _devices(
    session: AsyncSession, clusters: Mapping[Days, Iterable[int]]
) -> dict[Days, set[str]]:
    """Return the documents of devices installed on clusters, by days."""
    ids = {cluster_id for found in clusters.values() for cluster_id in found}
    rows = await session.execute(
        sa.select(Installation, Device.code)
        .join(Device, Device.id == Installation.device_id)
        .where(Installation.cluster_id == sa.any_(sa.literal(sorted(ids), ARRAY(sa.Integer()))))
    )
    installed = [
        (
            row.cluster_id,
            row.installed_at.astimezone(LOCAL).date(),
            date.max if row.removed_at is None else row.removed_at.astimezone(LOCAL).date(),
            f"device/{device}",
        )
        for row, device in rows
    ]
    scopes: dict[Days, set[str]] = {}
    for span, found in clusters.items():
        for cluster_id, installed_on, removed_on, scope in installed:
            days = Days(max(span.first_on, installed_on), min(span.last_on, removed_on))
            if cluster_id in found and days.first_on <= days.last_on:
                scopes.setdefault(days, set()).add(scope)
    return scopes


def _carried(*found: Mapping[Days, Collection[str]]) -> sa.ColumnElement[bool]:
    return sa.or_(
        *(during(each, Occurrence.starts_at, Occurrence.scopes.overlap) for each in found)
    )
