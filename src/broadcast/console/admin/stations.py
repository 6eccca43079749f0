"""A station: its facts, its status over time, its plants; a new one, and the end of one."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller, Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.clusters import register
from broadcast.console.admin.choices import commune_choices
from broadcast.console.admin.editing import Line, day, filled, hold, version, written
from broadcast.console.admin.words import PLANT_STATUSES, STATUSES, TECHNOLOGIES
from broadcast.console.library import area_names
from broadcast.console.page import PageRouter, page, redirect
from broadcast.kit import clock
from broadcast.stations import plants, stations
from broadcast.stations.places import require_at_station
from broadcast.stations.schemas import NewStationIn, StationIn, StationOut, StationStateIn
from broadcast.web.rest import Paging, Session

router = PageRouter()

MOST = 200
"""Plants and clusters shown of a station."""


@router.get("/admin/stations/new")
async def ask(request: Request, session: Session, caller: RegisterEditor) -> Response:
    """Ask for a new station."""
    return page(
        request, caller, "admin/station_new.html", statuses=STATUSES, today=clock.today(),
        communes=await commune_choices(session, caller),
    )  # fmt: skip


@router.post("/admin/stations", summary="Thêm đài")
async def create(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: Line = "",
    name: Line = "",
    commune_code: Line = "",
    valid_from: Line = "",
    status: Line = "",
    cause: Line = "",
    document: Line = "",
) -> Response:
    """As `POST /api/v1/stations`."""
    body = filled(
        NewStationIn,
        {
            "code": code, "name": name, "commune_code": commune_code, "valid_from": valid_from,
            "status": status, "cause": cause, "document": document,
        },
    )  # fmt: skip
    await scope.require(session, caller, Permission.REGISTER_WRITE, [body.commune_code])
    await stations.create_station(session, body, clock.today())
    return redirect(request, f"/admin/stations/{body.code}")


@router.get("/admin/stations/{code}")
async def show(request: Request, session: Session, caller: Reader, code: str) -> Response:
    """As `GET /api/v1/stations/{code}`, with its plants and clusters."""
    found = await stations.show_station(session, code, clock.today())
    return await _page(request, session, caller, found, "admin/station.html")


@router.post("/admin/stations/{code}", summary="Sửa hoặc kết thúc đài")
async def change(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: str,
    name: Line = "",
    commune_code: Line = "",
    valid_from: Line = "",
    valid_to: Line = "",
) -> Response:
    """As `PUT /api/v1/stations/{code}`; what was can be put back."""
    body = filled(
        StationIn,
        {
            "name": name, "commune_code": commune_code, "valid_from": valid_from,
            "valid_to": valid_to,
        },
    )  # fmt: skip
    await require_at_station(
        session, caller, Permission.REGISTER_WRITE, code, also=[body.commune_code]
    )
    before = await _hold(request, session, code)
    found = await stations.change_station(session, code, body, clock.today())
    undo = written(StationIn, before) if before != found else None
    return await _page(request, session, caller, found, "admin/_station.html", undo=undo)


@router.post("/admin/stations/{code}/state", summary="Trạng thái của đài từ một ngày")
async def put_state(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: str,
    state_from: Line = "",
    status: Line = "",
    cause: Line = "",
    document: Line = "",
) -> Response:
    """As `PUT /api/v1/stations/{code}/states/{valid_from}`."""
    body = filled(StationStateIn, {"status": status, "cause": cause, "document": document})
    from_on = day("state_from", state_from)
    await require_at_station(session, caller, Permission.REGISTER_WRITE, code)
    await _hold(request, session, code)
    await stations.set_state(session, code, from_on, body)
    await session.flush()
    found = await stations.show_station(session, code, clock.today())
    return await _page(request, session, caller, found, "admin/_station.html")


@router.post("/admin/stations/{code}/delete", summary="Xóa đài nhập nhầm")
async def delete(
    request: Request, session: Session, caller: RegisterEditor, code: str
) -> Response:
    """As `DELETE /api/v1/stations/{code}`."""
    await require_at_station(session, caller, Permission.REGISTER_WRITE, code)
    await _hold(request, session, code)
    await stations.delete_station(session, code)
    return redirect(request, "/admin/stations")


async def _hold(request: Request, session: AsyncSession, code: str) -> StationOut:
    return await hold(
        request, session, f"/api/v1/stations/{code}",
        stations.show_station(session, code, clock.today()),
    )  # fmt: skip


async def _page(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    found: StationOut,
    template: str,
    *,
    undo: dict[str, Any] | None = None,
) -> Response:
    today, paging = clock.today(), Paging(None, MOST)
    tag = version(found)
    return page(
        request,
        caller,
        template,
        headers=tag,
        version=tag["ETag"],
        station=found,
        facts=written(StationIn, found),
        undo=undo,
        states=await stations.list_states(session, found.code),
        plants=await plants.list_plants(session, paging, today, station=found.code),
        clusters=await register.list_clusters(
            session, paging, today, clock.now(), station=found.code
        ),
        names=await area_names(session, [found.commune_code]),
        communes=await commune_choices(session, caller),
        statuses=STATUSES,
        plant_statuses=PLANT_STATUSES,
        technologies=TECHNOLOGIES,
        today=today,
    )
