"""Reading incidents for people: by state, area, cause and time, and one with its losses."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.places import code_of
from broadcast.incidents.causes import Cause
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.kit.errors import NotFound
from broadcast.stations.model import Cluster
from broadcast.stations.spans import area_over, clusters_over, days_with, heard_by


async def get(session: AsyncSession, incident_id: int) -> Incident:
    """One incident.

    Raises:
        NotFound: There is none with this id.
    """
    incident = await session.get(Incident, incident_id)
    if incident is None:
        raise NotFound(f"Không có sự cố số {incident_id}.")
    return incident


async def incidents_statement(
    session: AsyncSession,
    on: date,
    *,
    is_open: bool | None = None,
    area: str | None = None,
    cause: Cause | None = None,
    since: datetime | None = None,
) -> sa.Select[Incident]:
    """Select incidents; those that others took over are left out.

    Raises:
        InvalidInput: No such area on any day up to this one.
    """
    statement = sa.select(Incident).where(~Incident.superseded)
    if is_open is not None:
        statement = statement.where(
            Incident.closed_at.is_(None) if is_open else Incident.closed_at.is_not(None)
        )
    if cause is not None:
        statement = statement.where(Incident.cause == cause)
    if since is not None:
        statement = statement.where(Incident.opened_at >= since)
    if area is not None:
        days = await days_with(session, IncidentLoss.fell_at, on)
        inside = await clusters_over(session, await area_over(session, "area", area, days))
        touched = sa.select(IncidentLoss.incident_id).where(
            heard_by(inside, IncidentLoss.cluster_id, IncidentLoss.fell_at)
        )
        statement = statement.where(Incident.id.in_(touched))
    return statement


def losses_statement(incident_id: int) -> sa.Select[IncidentLoss, str, str]:
    """Select the losses of an incident, with the codes of device and cluster."""
    return (
        sa.select(IncidentLoss, code_of(IncidentLoss.device_id), Cluster.code)
        .join(Cluster, Cluster.id == IncidentLoss.cluster_id)
        .where(IncidentLoss.incident_id == incident_id)
    )
