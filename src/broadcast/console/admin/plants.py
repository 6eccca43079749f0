"""A plant: its name, and from which day it belonged to which station, worked how, or did not."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller, Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.clusters import register
from broadcast.console.admin.choices import station_choices
from broadcast.console.admin.editing import Line, day, filled, hold, version
from broadcast.console.admin.words import PLANT_STATUSES, STATES, TECHNOLOGIES
from broadcast.console.page import PageRouter, page, redirect
from broadcast.kit import clock
from broadcast.stations import plants, stations
from broadcast.stations.places import require_at_named_station, require_at_plant
from broadcast.stations.schemas import NewPlantIn, PlantIn, PlantNameIn, PlantOut
from broadcast.web.rest import Paging, Session

router = PageRouter()

MOST = 200
"""Clusters shown of a plant."""

Several = Annotated[list[str] | None, Form()]


@router.get("/admin/plants/new")
async def ask(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    station: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Ask for a new plant of a station."""
    return page(
        request, caller, "admin/plant_new.html", station=station, today=clock.today(),
        stations=await station_choices(session, caller), technologies=TECHNOLOGIES,
    )  # fmt: skip


@router.post("/admin/plants", summary="Thêm hệ thống kỹ thuật")
async def create(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: Line = "",
    name: Line = "",
    station_code: Line = "",
    valid_from: Line = "",
    technologies: Several = None,
    document: Line = "",
) -> Response:
    """As `POST /api/v1/plants`."""
    body = filled(
        NewPlantIn,
        {
            "code": code, "name": name, "station_code": station_code, "valid_from": valid_from,
            "technologies": "+".join(technologies or ()), "document": document,
        },
    )  # fmt: skip
    await require_at_named_station(session, caller, body.station_code)
    await plants.create_plant(session, body, clock.today())
    return redirect(request, f"/admin/plants/{body.code}")


@router.get("/admin/plants/{code}")
async def show(request: Request, session: Session, caller: Reader, code: str) -> Response:
    """As `GET /api/v1/plants/{code}`, with its states over time and its clusters."""
    found = await plants.show_plant(session, code, clock.today())
    return await _page(request, session, caller, found, "admin/plant.html")


@router.post("/admin/plants/{code}", summary="Đổi tên hệ thống kỹ thuật")
async def rename(
    request: Request, session: Session, caller: RegisterEditor, code: str, name: Line = ""
) -> Response:
    """As `PUT /api/v1/plants/{code}`; the old name can be put back."""
    body = filled(PlantNameIn, {"name": name})
    await require_at_plant(session, caller, Permission.REGISTER_WRITE, code)
    before = await _hold(request, session, code)
    found = await plants.rename_plant(session, code, body.name, clock.today())
    undo = {"name": before.name} if before.name != found.name else None
    return await _page(request, session, caller, found, "admin/_plant.html", undo=undo)


@router.post("/admin/plants/{code}/state", summary="Đài, công nghệ, trạng thái từ một ngày")
async def put_state(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: str,
    state_from: Line = "",
    station_code: Line = "",
    technologies: Several = None,
    status: Line = "",
    document: Line = "",
) -> Response:
    """As `PUT /api/v1/plants/{code}/states/{valid_from}`."""
    body = filled(
        PlantIn,
        {
            "station_code": station_code, "technologies": "+".join(technologies or ()),
            "status": status, "document": document,
        },
    )  # fmt: skip
    from_on = day("state_from", state_from)
    await require_at_plant(session, caller, Permission.REGISTER_WRITE, code)
    await require_at_named_station(session, caller, body.station_code)
    await _hold(request, session, code)
    await plants.set_state(session, code, from_on, body)
    found = await plants.show_plant(session, code, clock.today())
    return await _page(request, session, caller, found, "admin/_plant.html")


@router.post("/admin/plants/{code}/delete", summary="Xóa hệ thống kỹ thuật nhập nhầm")
async def delete(
    request: Request, session: Session, caller: RegisterEditor, code: str
) -> Response:
    """As `DELETE /api/v1/plants/{code}`."""
    await require_at_plant(session, caller, Permission.REGISTER_WRITE, code)
    before = await _hold(request, session, code)
    await plants.delete_plant(session, code, clock.today())
    return redirect(request, f"/admin/stations/{before.station_code}")


async def _hold(request: Request, session: AsyncSession, code: str) -> PlantOut:
    return await hold(
        request, session, f"/api/v1/plants/{code}",
        plants.show_plant(session, code, clock.today()),
    )  # fmt: skip


async def _page(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    found: PlantOut,
    template: str,
    *,
    undo: dict[str, Any] | None = None,
) -> Response:
    today, paging = clock.today(), Paging(None, MOST)
    tag = version(found)
    states = await plants.list_states(session, found.code)
    return page(
        request,
        caller,
        template,
        headers=tag,
        version=tag["ETag"],
        plant=found,
        undo=undo,
        states=states,
        names=await stations.names(session, (each.station_code for each in states)),
        stations=await station_choices(session, caller),
        clusters=await register.list_clusters(
            session, paging, today, clock.now(), plant=found.code
        ),
        plant_statuses=PLANT_STATUSES,
        technologies=TECHNOLOGIES,
        cluster_states=STATES,
        today=today,
    )
