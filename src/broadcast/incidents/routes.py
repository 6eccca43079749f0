"""REST of incidents: found, listed as work, shown, and what people do about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from broadcast.auth.caller import IncidentEditor, Reader
from broadcast.auth.routing import Router
from broadcast.commands.schemas import CommandOut
from broadcast.incidents import handling, history, queries, work_list
from broadcast.incidents.causes import Cause
from broadcast.incidents.grouping import Kind
from broadcast.incidents.queries import IncidentFilter
from broadcast.incidents.schemas import (
    Assigned,
    AssignIn,
    CloseIn,
    HandlersOut,
    HistoryOut,
    IncidentDetailOut,
    IncidentOut,
    NoteIn,
    WorkListOut,
    WorkState,
)
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["incidents"])


def _wanted(
    caller: Reader,
    area: Annotated[
        str | None,
        Query(description="mã đơn vị có cụm loa trong sự cố, địa giới ngày đó"),
    ] = None,
    kind: Annotated[Kind | None, Query(description="các cụm loa có chung gì")] = None,
    cause: Annotated[Cause | None, Query(description="nguyên nhân có thể nhất")] = None,
    since: Annotated[Moment | None, Query(description="xảy ra từ")] = None,
    assigned: Annotated[Assigned | None, Query(description="ai phụ trách")] = None,
) -> IncidentFilter:
    return IncidentFilter(
        area=area, kind=kind, cause=cause, since=since, assigned=assigned,
        account_id=caller.account_id,
    )  # fmt: skip


Wanted = Annotated[IncidentFilter, Depends(_wanted)]


@router.get("/incidents", summary="Sự cố: những cụm loa cùng mất liên lạc, kèm nguyên nhân")
async def list_incidents(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    wanted: Wanted,
    is_open: Annotated[
        bool | None, Query(alias="open", description="chỉ sự cố chưa đóng, hoặc chỉ đã đóng")
    ] = None,
    newest_first: Annotated[bool, Query(description="mới nhất trước")] = False,
) -> Page[IncidentOut]:
    """Incidents in the order in which they were noticed."""
    return await queries.list_incidents(
        session, paging, clock.today(), wanted._replace(is_open=is_open), newest_first=newest_first
    )


@router.get("/incidents/work-list", summary="Sự cố cần xử lý, ảnh hưởng nhiều nhất trước")
async def show_work_list(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    wanted: Wanted,
    state: Annotated[WorkState | None, Query(description="còn mất, hay đã trở lại")] = None,
    hours: Annotated[
        int | None, Query(ge=0, le=8784, description="kéo dài từ bấy nhiêu giờ")
    ] = None,
) -> WorkListOut:
    """Incidents that are not closed, by silent villages × hours."""
    now = clock.now()
    before = None if hours is None else now - timedelta(hours=hours)
    asked = wanted._replace(state=state, before=before)
    return await work_list.work_list(session, paging, asked, caller.account_id, clock.today(), now)


@router.get("/incidents/{incident_id}", summary="Một sự cố và các cụm loa của nó")
async def show_incident(
    session: Session, caller: Reader, incident_id: Id, paging: PageQuery
) -> IncidentDetailOut:
    """An incident with its losses, by device; `cursor` and `limit` are of the devices."""
    return await queries.show_incident(session, incident_id, paging, clock.today())


@router.get("/incidents/{incident_id}/history", summary="Diễn biến của một sự cố")
async def show_history(session: Session, caller: Reader, incident_id: Id) -> HistoryOut:
    """What happened with an incident and what people did, the newest first."""
    return await history.show_history(session, incident_id, clock.today())


@router.get("/incidents/{incident_id}/commands", summary="Lệnh đã ra trong một sự cố")
async def list_commands(
    session: Session, caller: Reader, incident_id: Id, paging: PageQuery
) -> Page[CommandOut]:
    """Commands that its devices were given since it began, the newest first."""
    return await history.list_commands(session, incident_id, paging, clock.now())


@router.get("/incidents/{incident_id}/handlers", summary="Ai có thể phụ trách một sự cố")
async def list_handlers(session: Session, caller: Reader, incident_id: Id) -> HandlersOut:
    """People who may see to an incident in all of its places, by name."""
    return HandlersOut(items=await handling.handlers(session, incident_id, clock.now()))


@router.post("/incidents/{incident_id}/assign", summary="Giao một sự cố cho một người")
async def assign(
    session: Session, caller: IncidentEditor, incident_id: Id, body: AssignIn
) -> IncidentOut:
    """Have somebody see to an incident; whoever did so before does not any more."""
    return await handling.assign(session, caller, incident_id, body.account_id, clock.now())


@router.post("/incidents/{incident_id}/release", summary="Thôi giao một sự cố")
async def release(session: Session, caller: IncidentEditor, incident_id: Id) -> IncidentOut:
    """Have nobody see to an incident any more."""
    return await handling.release(session, caller, incident_id, clock.now())


@router.post(
    "/incidents/{incident_id}/notes",
    status_code=201,
    summary="Ghi chú vào một sự cố",
    response_model=IncidentOut,
)
async def note(
    request: Request, session: Session, caller: IncidentEditor, incident_id: Id, body: NoteIn
) -> Response:
    """Write down what somebody found or did; also when the incident is over."""

    async def make() -> Created:
        shown = await handling.note(session, caller, incident_id, body.text, clock.now())
        return Created(f"/api/v1/incidents/{incident_id}/history", shown)

    return await Once(request).run(session, caller.account_id, make)


@router.post("/incidents/{incident_id}/close", summary="Đóng một sự cố, kèm lý do")
async def close(
    session: Session, caller: IncidentEditor, incident_id: Id, body: CloseIn
) -> IncidentOut:
    """Close an incident; it opens again by itself when more devices are lost."""
    return await handling.close(session, caller, incident_id, body, clock.now())


@router.post("/incidents/{incident_id}/reopen", summary="Mở lại một sự cố")
async def reopen(session: Session, caller: IncidentEditor, incident_id: Id) -> IncidentOut:
    """Take back that a person has closed an incident."""
    return await handling.reopen(session, caller, incident_id, clock.now())
