"""REST of incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from broadcast.auth.caller import Reader
from broadcast.auth.routing import Router
from broadcast.incidents import queries
from broadcast.incidents.causes import Cause
from broadcast.incidents.model import Incident, IncidentLoss
from broadcast.incidents.schemas import ContactLossOut, IncidentDetailOut, IncidentOut
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.web.rest import Id, Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["incidents"])


@router.get("/incidents", summary="Sự cố: những cụm loa cùng mất liên lạc, kèm nguyên nhân")
async def list_incidents(
    session: Session,
    caller: Reader,
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
) -> Page[IncidentOut]:
    """Incidents in the order in which they were noticed."""
    on = clock.today()
    statement = await queries.incidents_statement(
        session, on, is_open=is_open, area=area, cause=cause, since=since
    )
    found = await paged(session, statement, [Incident.id], paging)
    return found.page(lambda incident: IncidentOut.of(incident, on))


@router.get("/incidents/{incident_id}", summary="Một sự cố và các cụm loa của nó")
async def show_incident(
    session: Session, caller: Reader, incident_id: Id, paging: PageQuery
) -> IncidentDetailOut:
    """An incident with its losses, by device; `cursor` and `limit` are of the devices."""
    incident = await queries.get(session, incident_id)
    key = [IncidentLoss.device_id, IncidentLoss.fell_at]
    found = await paged(session, queries.losses_statement(incident_id), key, paging)
    known = IncidentOut.of(incident, clock.today()).model_dump()
    return IncidentDetailOut(**known, falls=found.page(ContactLossOut.of))
