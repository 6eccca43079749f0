"""REST of incidents."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep
from broadcast.accounts.routing import Router
from broadcast.devices.model import Device
from broadcast.incidents import texts
from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentFall
from broadcast.incidents.texts import State
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.kit.times import Moment
from broadcast.stations.model import Cluster
from broadcast.stations.spans import area_over, clusters_over, days_with, heard_by
from broadcast.web.fields import example
from broadcast.web.rest import Id, Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["incidents"])

EXAMPLE: dict[str, Any] = {
    "id": 12,
    "state": "open",
    "title": "Mất điện tuyến 471-E16.1: 38 cụm loa, 2 xã, từ 14:02",
    "advice": "Còn 38 cụm mất liên lạc: hỏi Điện lực giờ có điện lại; loa tự phát tiếp lịch khi"
    " có điện.",
    "kind": "power_feed",
    "code": "471-E16.1",
    "within": "",
    "name": "471-E16.1",
    "cause": "power",
    "opened_at": "2025-07-01T14:02:11+07:00",
    "noticed_at": "2025-07-01T14:05:15+07:00",
    "recovered_at": None,
    "closed_at": None,
    "superseded_by": None,
    "devices_count": 38,
    "down_count": 38,
    "villages_count": 9,
    "communes_count": 2,
}

FALL: dict[str, Any] = {
    "device": "QN-000417",
    "cluster": "QN-21025-01",
    "fell_at": "2025-07-01T14:02:11+07:00",
    "noticed_at": "2025-07-01T14:05:15+07:00",
    "returned_at": None,
    "evidence": "power",
    "evidence_text": "mất điện",
}


class IncidentView(BaseModel):
    """One event by which devices fell."""

    model_config = example(**EXAMPLE)

    id: int
    state: State
    title: str
    """What happened, for people."""
    advice: str
    """What came of it so far, and what to do next."""
    kind: Kind
    code: str
    """Of the area, power feed, operator or device."""
    within: str
    """Commune, for an operator there; else empty."""
    name: str
    cause: Cause
    opened_at: Moment
    """When the first of its devices was last heard of."""
    noticed_at: Moment
    recovered_at: Moment | None
    """When the last of its devices returned."""
    closed_at: Moment | None
    superseded_by: int | None
    """Incident that took this one over."""
    devices_count: int
    down_count: int
    villages_count: int
    communes_count: int


class FallView(BaseModel):
    """One absence of one device."""

    model_config = example(**FALL)

    device: str
    cluster: str
    fell_at: Moment
    """When it was last heard of before."""
    noticed_at: Moment
    returned_at: Moment | None
    evidence: Evidence
    """What the device itself said of it."""
    evidence_text: str


class IncidentDetail(IncidentView):
    """An incident with its devices, a page at a time."""

    model_config = example(**EXAMPLE, falls={"items": [FALL], "next": None})

    falls: Page[FallView]


def view(incident: Incident, on: date) -> IncidentView:
    """An incident as it is shown on a day."""
    return IncidentView(
        id=incident.id,
        state=texts.state_of(incident),
        title=texts.title(incident, on),
        advice=texts.advice(incident, on),
        kind=incident.kind,
        code=incident.code,
        within=incident.within,
        name=incident.name,
        cause=incident.cause,
        opened_at=incident.opened_at,
        noticed_at=incident.noticed_at,
        recovered_at=incident.recovered_at,
        closed_at=incident.closed_at,
        superseded_by=incident.superseded_by,
        devices_count=incident.devices_count,
        down_count=incident.down_count,
        villages_count=incident.villages_count,
        communes_count=incident.communes_count,
    )


async def incidents_statement(
    session: AsyncSession,
    on: date,
    *,
    is_open: bool | None = None,
    area: str | None = None,
    cause: Cause | None = None,
    since: datetime | None = None,
) -> sa.Select[Incident]:
    """Statement for incidents; those that others took over are left out.

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
        days = await days_with(session, IncidentFall.fell_at, on)
        inside = await clusters_over(session, await area_over(session, "area", area, days))
        touched = sa.select(IncidentFall.incident_id).where(
            heard_by(inside, IncidentFall.cluster_id, IncidentFall.fell_at)
        )
        statement = statement.where(Incident.id.in_(touched))
    return statement


@router.get("/incidents", summary="Sự cố: những cụm loa cùng mất liên lạc, kèm nguyên nhân")
async def list_incidents(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    is_open: Annotated[
        bool | None, Query(alias="open", description="chỉ sự cố chưa đóng, hoặc chỉ đã đóng")
    ] = None,
    area: Annotated[
        str | None,
        Query(description="mã đơn vị có cụm loa trong sự cố, địa giới ngày đó"),
    ] = None,
    cause: Annotated[Cause | None, Query(description="nguyên nhân có thể nhất")] = None,
    since: Annotated[Moment | None, Query(description="xảy ra từ")] = None,
) -> Page[IncidentView]:
    """Incidents in the order in which they were noticed."""
    on = clock.today()
    statement = await incidents_statement(
        session, on, is_open=is_open, area=area, cause=cause, since=since
    )
    rows, following = await paged(session, statement, [Incident.id], paging)
    return Page(items=[view(row, on) for row in rows], next=following)


@router.get("/incidents/{incident_id}", summary="Một sự cố và các cụm loa của nó")
async def show_incident(
    session: Session, caller: CallerDep, incident_id: Id, paging: PageQuery
) -> IncidentDetail:
    """An incident with what fell, by device; `cursor` and `limit` are of the devices."""
    incident = await session.get(Incident, incident_id)
    if incident is None:
        raise NotFound(f"Không có sự cố số {incident_id}.")
    statement = (
        sa.select(IncidentFall, Device.code, Cluster.code)
        .join(Device, Device.id == IncidentFall.device_id)
        .join(Cluster, Cluster.id == IncidentFall.cluster_id)
        .where(IncidentFall.incident_id == incident_id)
    )
    key = [IncidentFall.device_id, IncidentFall.fell_at]
    rows, following = await paged(session, statement, key, paging)
    falls = [
        FallView(
            device=device,
            cluster=cluster,
            fell_at=fall.fell_at,
            noticed_at=fall.noticed_at,
            returned_at=fall.returned_at,
            evidence=fall.evidence,
            evidence_text=texts.EVIDENCE[fall.evidence],
        )
        for fall, device, cluster in rows
    ]
    known = view(incident, clock.today()).model_dump()
    return IncidentDetail(**known, falls=Page(items=falls, next=following))
